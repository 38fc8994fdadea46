//! The Secrets of a model, made of secrets of Juju's.
//!
//! One for images keeps its name whatever is in it: the node reads it when it pulls, so that new credentials roll nothing. One for
//! files is read when a pod starts, and Seldon does not look at what is in it (operator v1.17.1 watches no Secret), so that new
//! content is another Secret: immutable, under the next number. The number is no digest, because names are read by many who must not
//! read Secrets, and a digest lets them try what is in it; and Juju tells who only reads a secret no revision.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::DynamicObject;
use kube::{Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::{PlannedModel, Site, objects};
use crate::config::secret::{Data, NamedSecret, Purpose, Secrets};
use crate::config::value::{SecretRef, SecretUri};
use crate::config::{Model, Server};
use crate::labels;
use crate::observed::Observed;
use crate::seldon::SeldonDeployment;

/// A Secret that a model needs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSecret {
    /// Its name.
    pub name: String,
    purpose: Purpose,
    metadata: ObjectMeta,
    data: Data,
}

impl PlannedSecret {
    /// What it goes with.
    #[must_use]
    pub fn owners(&self) -> Vec<OwnerReference> {
        self.metadata.owner_references.clone().unwrap_or_default()
    }

    /// The whole of it, which must not be shown.
    #[must_use]
    pub fn object(&self) -> Value {
        let kind = match self.purpose {
            Purpose::ImagePull => "kubernetes.io/dockerconfigjson",
            Purpose::Storage => "Opaque",
        };
        let secret = v1::Secret {
            metadata: self.metadata.clone(),
            data: Some(self.data.encoded()),
            immutable: (self.purpose == Purpose::Storage).then_some(true),
            type_: Some(kind.to_owned()),
            string_data: None,
        };
        // Text keys and plain values: there is nothing in it that JSON cannot say.
        serde_json::to_value(secret).unwrap_or_default()
    }
}

/// The names of Secrets that the servers of a model refer to, and the Secrets that are to be there for it.
pub(super) struct Wanted {
    names: BTreeMap<(Purpose, SecretUri), String>,
    /// Those to be made.
    pub secrets: Vec<PlannedSecret>,
}

impl Wanted {
    /// Finds out what a model needs beside what is there.
    pub fn new(model: &Model, site: &Site, secrets: &Secrets, observed: &Observed) -> Self {
        let mut wanted = Self {
            names: BTreeMap::new(),
            secrets: Vec::new(),
        };
        for (purpose, uri) in model.juju_secrets() {
            let key = (purpose, uri.clone());
            let (None, Some(data)) = (wanted.names.get(&key), secrets.get(&key)) else {
                continue;
            };
            let name = match purpose {
                Purpose::ImagePull => format!("{}-image-pull-{}", model.name, uri.id()),
                Purpose::Storage => storage_name(&model.name, uri, data, observed),
            };
            wanted.names.insert(key, name.clone());
            wanted.secrets.push(PlannedSecret {
                metadata: metadata(&name, model, site, observed),
                name,
                purpose,
                data: data.clone(),
            });
        }
        wanted
    }

    /// The name of the Secret for one purpose of a server, if it has one.
    pub fn name(&self, server: &Server, purpose: Purpose) -> Option<String> {
        let (_, named) = server.secrets().find(|(of, _)| *of == purpose)?;
        self.of(purpose, named)
    }

    /// That of an explainer.
    pub fn of_explainer(&self, model: &Model) -> Option<String> {
        self.of(Purpose::Storage, model.explainer_secret()?)
    }

    fn of(&self, purpose: Purpose, named: &NamedSecret) -> Option<String> {
        match &named.of {
            SecretRef::Kubernetes(name) => Some(name.clone()),
            SecretRef::Juju(uri) => self.names.get(&(purpose, uri.clone())).cloned(),
        }
    }
}

/// The name of the Secret with that content, or the next one that no other content had.
fn storage_name(model: &str, uri: &SecretUri, data: &Data, observed: &Observed) -> String {
    let prefix = format!("{model}-storage-{}-", uri.id());
    let number = |name: &str| name.strip_prefix(&prefix)?.parse::<u64>().ok();
    let content = json!(data.encoded());
    let same = observed
        .secrets
        .iter()
        .filter(|secret| secret.0.metadata.deletion_timestamp.is_none() && secret.0.data.get("data") == Some(&content))
        .filter_map(|secret| number(&secret.0.name_any()))
        .max();
    let last = || {
        let there = observed.secrets.iter().map(|secret| secret.0.name_any());
        // One that was deleted by hand may be what pods were started with.
        let named = observed.seldon_deployment(model).map(|live| refers_to(&live.data));
        there
            .chain(named.into_iter().flatten())
            .filter_map(|name| number(&name))
            .max()
    };
    let number = same.unwrap_or_else(|| last().unwrap_or_default() + 1);
    format!("{prefix}{number}")
}

/// A Secret goes with its SeldonDeployment, whatever becomes of this charm; before that is there, with the application.
fn metadata(name: &str, model: &Model, site: &Site, observed: &Observed) -> ObjectMeta {
    let mut metadata = objects::metadata(name, model, site);
    let live = observed.seldon_deployment(&model.name);
    let live = live.filter(|live| live.metadata.deletion_timestamp.is_none());
    if let Some(uid) = live.and_then(ResourceExt::uid) {
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: SeldonDeployment::api_version(&()).into_owned(),
            kind: SeldonDeployment::kind(&()).into_owned(),
            name: model.name.clone(),
            uid,
            ..OwnerReference::default()
        }]);
    }
    metadata
}

/// The names of Secrets that a SeldonDeployment refers to, anywhere in it.
#[must_use]
pub fn refers_to(object: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(object, &mut names);
    names
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("envSecretRefName", Value::String(name)) => {
                        names.insert(name.clone());
                    }
                    ("imagePullSecrets", Value::Array(list)) => {
                        let list = list.iter().filter_map(|one| one.get("name")?.as_str());
                        names.extend(list.map(str::to_owned));
                    }
                    _ => collect(value, names),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

/// Whether a SeldonDeployment says that there are Secrets of ours for it, or were when it was written.
#[must_use]
pub fn is_marked(object: &DynamicObject) -> bool {
    object.annotations().contains_key(labels::SECRETS)
}

/// Writes down in a planned SeldonDeployment whether there are Secrets of ours for it, so that a hook need not look for them where
/// there are none.
pub fn mark(planned: &mut PlannedModel, observed: &Observed) {
    let there = observed.secrets.iter().any(|secret| {
        let of = secret.0.labels().get(labels::MODEL);
        of == Some(&planned.model.name)
    });
    if planned.secrets.is_empty() && !there {
        return;
    }
    let Some(metadata) = planned.deployment.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(labels::SECRETS.to_owned(), json!("kept"));
    }
}
