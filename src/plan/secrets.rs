//! Plans the Kubernetes Secrets that are made from Juju secrets.
//!
//! An image pull secret keeps its name when the content changes: the kubelet reads it at every pull, so new
//! credentials need no rollout. A storage secret is read when a pod starts, and Seldon does not notice new content
//! (operator v1.17.1 watches no Secret), so new content becomes another immutable Secret under the next number. The
//! number is not a digest: names are visible to many who must not read Secrets, and a digest would let them test
//! guesses of the content. It is not Juju's revision either, which Juju does not report to readers of a secret.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::DynamicObject;
use kube::{Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::metadata;
use super::types::{Environment, PlannedSecret};
use crate::api::seldon::SeldonDeployment;
use crate::config::secret::{NamedSecret, Purpose, SecretData, SecretDataByUse};
use crate::config::value::{SecretRef, SecretUri};
use crate::config::{Config, Model, ServerOptions};
use crate::labels;
use crate::observed::Observed;

impl PlannedSecret {
    pub fn owners(&self) -> Vec<OwnerReference> {
        self.metadata.owner_references.clone().unwrap_or_default()
    }

    /// Whether the Juju secret has to be read first.
    pub fn is_unread(&self) -> bool {
        self.data.is_none()
    }

    /// The complete object, which must not be logged; `None` if the Juju secret has to be read first.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn object(&self) -> Result<Option<Value>, serde_json::Error> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        let kind = match self.purpose {
            Purpose::ImagePull => "kubernetes.io/dockerconfigjson",
            Purpose::Storage => "Opaque",
        };
        let secret = v1::Secret {
            metadata: self.metadata.clone(),
            data: Some(data.encoded()),
            immutable: (self.purpose == Purpose::Storage).then_some(true),
            type_: Some(kind.to_owned()),
            string_data: None,
        };
        serde_json::to_value(secret).map(Some)
    }

    /// Whether the live Secret has the planned content.
    pub fn is_applied(&self, observed: &Observed) -> bool {
        let live = observed.secret(&self.name).and_then(|live| live.data.get("data"));
        let desired = self.data.as_ref().map(|data| json!(data.encoded()));
        desired.is_some() && desired.as_ref() == live
    }
}

/// The names of the Secrets that a model's servers refer to, and the Secrets to apply for it.
pub(super) struct SecretNames {
    names: BTreeMap<(Purpose, SecretUri), String>,
    pub secrets: Vec<PlannedSecret>,
}

impl SecretNames {
    pub fn new(model: &Model, environment: &Environment, secrets: &SecretDataByUse, observed: &Observed) -> Self {
        let mut desired = Self {
            names: BTreeMap::new(),
            secrets: Vec::new(),
        };
        for (purpose, uri) in model.juju_secrets() {
            let key = (purpose, uri.clone());
            if desired.names.contains_key(&key) {
                continue;
            }
            let read = secrets.get(&key);
            let (name, data) = match (purpose, read) {
                (Purpose::ImagePull, Some(data)) => (image_pull_name(&model.name, uri), Some(data.clone())),
                (Purpose::Storage, Some(data)) => (storage_name(&model.name, uri, data, observed), Some(data.clone())),
                (_, None) => names_only(model, purpose, uri, environment, observed),
            };
            desired.names.insert(key, name.clone());
            desired.secrets.push(PlannedSecret {
                metadata: metadata(&name, model, environment, observed),
                name,
                uri: uri.clone(),
                purpose,
                data,
            });
        }
        desired
    }

    pub fn name(&self, server: &ServerOptions, purpose: Purpose) -> Option<String> {
        let (_, referenced) = server.secrets().find(|(kind, _)| *kind == purpose)?;
        self.resolve(purpose, referenced)
    }

    pub fn explainer_secret_name(&self, model: &Model) -> Option<String> {
        self.resolve(Purpose::Storage, model.explainer_secret()?)
    }

    fn resolve(&self, purpose: Purpose, referenced: &NamedSecret) -> Option<String> {
        match &referenced.reference {
            SecretRef::Kubernetes(name) => Some(name.clone()),
            SecretRef::Juju(uri) => self.names.get(&(purpose, uri.clone())).cloned(),
        }
    }
}

fn image_pull_name(model: &str, uri: &SecretUri) -> String {
    format!("{model}-image-pull-{}", uri.id())
}

/// The common prefix of all storage Secrets that were made from one Juju secret.
fn storage_prefix(model: &str, uri: &SecretUri) -> String {
    format!("{model}-storage-{}-", uri.id())
}

/// The number of a Secret of ours. The charm never counts further than this, so a greater one is not its own.
fn number(prefix: &str, name: &str) -> Option<u64> {
    const GREATEST: u64 = 1_000_000_000;
    let number = name.strip_prefix(prefix)?.parse().ok()?;
    (number <= GREATEST).then_some(number)
}

/// The newest Secret with this prefix that is not being deleted.
fn newest<'a>(prefix: &str, observed: &'a Observed) -> Option<&'a DynamicObject> {
    let candidates = observed.secrets.iter().map(|secret| &secret.0);
    candidates
        .filter(|live| live.metadata.deletion_timestamp.is_none())
        .filter_map(|live| Some((number(prefix, &live.name_any())?, live)))
        .max_by_key(|(number, _)| *number)
        .map(|(_, live)| live)
}

/// Reuses the newest Secret if it has this content, else takes the next number. Older ones are never reused: hooks
/// that read no secret rely on the newest being the content that was read last.
fn storage_name(model: &str, uri: &SecretUri, data: &SecretData, observed: &Observed) -> String {
    let prefix = storage_prefix(model, uri);
    let content = json!(data.encoded());
    let newest = newest(&prefix, observed);
    match newest.filter(|live| live.data.get("data") == Some(&content)) {
        Some(live) => live.name_any(),
        None => next_storage_name(model, &prefix, observed),
    }
}

fn next_storage_name(model: &str, prefix: &str, observed: &Observed) -> String {
    let existing = observed.secrets.iter().map(|secret| secret.0.name_any());
    // A Secret that was deleted manually may still be referenced by running pods.
    let referenced = observed
        .seldon_deployment(model)
        .map(|live| referenced_secrets(&live.data));
    let candidates = existing.chain(referenced.into_iter().flatten());
    let last = candidates.filter_map(|name| number(prefix, &name)).max();
    format!("{prefix}{}", last.unwrap_or_default() + 1)
}

/// The live Secret for a Juju secret that was not read. Its content is current, because Juju reports changes. Without
/// data if no such Secret is referenced by the model, or if another client changed it: then the Juju secret has to be
/// read.
fn names_only(
    model: &Model,
    purpose: Purpose,
    uri: &SecretUri,
    environment: &Environment,
    observed: &Observed,
) -> (String, Option<SecretData>) {
    let prefix = storage_prefix(&model.name, uri);
    let (name, live) = match purpose {
        Purpose::ImagePull => {
            let name = image_pull_name(&model.name, uri);
            let live = observed.secret(&name);
            (name, live)
        }
        Purpose::Storage => match newest(&prefix, observed) {
            Some(live) => (live.name_any(), Some(live)),
            None => (next_storage_name(&model.name, &prefix, observed), None),
        },
    };
    let referred = observed
        .seldon_deployment(&model.name)
        .is_some_and(|live| referenced_secrets(&live.data).contains(&name));
    let live = live.filter(|live| referred && live.metadata.deletion_timestamp.is_none());
    let data = live.and_then(|live| as_applied(live, environment));
    (name, data)
}

/// The content that this application applied, as far as it is unchanged: when another client sets a field to another
/// value, the API server makes that client the owner (kubernetes/website, "Server-Side Apply", "Conflicts").
fn as_applied(live: &DynamicObject, environment: &Environment) -> Option<SecretData> {
    let manager = environment.identity.manager();
    let managers = live.metadata.managed_fields.iter().flatten();
    let applied = managers
        .filter(|entry| entry.manager.as_ref() == Some(&manager) && entry.operation.as_deref() == Some("Apply"))
        .find_map(|entry| entry.fields_v1.as_ref()?.0.get("f:data")?.as_object())?;
    let keys = applied.keys().filter_map(|key| key.strip_prefix("f:"));
    let data = SecretData::decoded(live.data.get("data")?, keys)?;
    // The parent field stays owned when all its keys are not.
    (data != SecretData::default()).then_some(data)
}

/// The id of the Juju secret that a Secret was made from.
pub fn juju_id(name: &str) -> Option<&str> {
    let (rest, last) = name.rsplit_once('-')?;
    if rest.ends_with("-image-pull") {
        return Some(last);
    }
    let (rest, id) = rest.rsplit_once('-')?;
    (rest.ends_with("-storage") && last.parse::<u64>().is_ok()).then_some(id)
}

/// Owned by the SeldonDeployment, so that it is deleted along with it; by the application as long as there is none.
fn metadata(name: &str, model: &Model, environment: &Environment, observed: &Observed) -> ObjectMeta {
    let mut metadata = metadata::metadata(name, model, environment);
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

/// Searches the whole object.
pub fn referenced_secrets(object: &Value) -> BTreeSet<String> {
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
                        let list = list.iter().filter_map(|item| item.get("name")?.as_str());
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

/// Whether Secrets of ours are planned or exist for the model.
pub(super) fn has_secrets(model: &Model, planned: &[PlannedSecret], observed: &Observed) -> bool {
    let mut existing = observed
        .secrets
        .iter()
        .map(|secret| secret.0.labels().get(labels::MODEL));
    !planned.is_empty() || existing.any(|label| label == Some(&model.name))
}

/// Whether a SeldonDeployment is marked as having Secrets, so that a hook of a model without any need not list them.
pub fn is_marked(object: &DynamicObject) -> bool {
    object.annotations().contains_key(labels::SECRETS)
}

/// The names of the Secrets that are planned for the models.
pub fn names(config: &Config, environment: &Environment, observed: &Observed) -> Vec<String> {
    let planned = |model| SecretNames::new(model, environment, &config.secrets, observed).secrets;
    let secrets = config.models.iter().flat_map(planned);
    secrets.map(|secret| secret.name).collect()
}
