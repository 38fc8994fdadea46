//! The objects the charm made.

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

/// What the charm labels its objects with.
const LABEL: &str = "seldon-model/application";

/// Group, version, kind and plural of the kinds the charm writes.
const KINDS: [(&str, &str, &str, &str); 2] = [
    (
        "machinelearning.seldon.io",
        "v1",
        "SeldonDeployment",
        "seldondeployments",
    ),
    ("networking.istio.io", "v1beta1", "VirtualService", "virtualservices"),
];

/// What the server fills in and nobody wrote.
const SERVER_FIELDS: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
];

/// The charm's objects in a namespace, of one kind or of both, by kind and name.
pub async fn list(client: &Client, namespace: &str, kind: Option<&str>) -> Result<Vec<Value>> {
    let meant = |word: &str, plural: &str| {
        kind.is_none_or(|requested| {
            let requested = requested.to_ascii_lowercase();
            requested == word.to_ascii_lowercase() || requested == plural
        })
    };
    ensure!(
        KINDS.iter().any(|(_, _, word, plural)| meant(word, plural)),
        "the charm makes no {:?}; it makes: {}",
        kind.unwrap_or_default(),
        KINDS.map(|(_, _, _, plural)| plural).join(", ")
    );
    let mut objects = Vec::new();
    for (group, version, word, plural) in KINDS {
        if !meant(word, plural) {
            continue;
        }
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, word), plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let found = api
            .list(&ListParams::default().labels(LABEL))
            .await
            .with_context(|| format!("cannot list the {plural} of namespace {namespace}"))?;
        for mut object in found.items {
            // A list leaves out what each item is.
            object.types.get_or_insert_with(|| kube::core::TypeMeta {
                api_version: format!("{group}/{version}"),
                kind: word.to_owned(),
            });
            let mut object = serde_json::to_value(object)?;
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                for field in SERVER_FIELDS {
                    metadata.remove(field);
                }
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

/// YAML documents.
pub fn yaml(objects: &[Value]) -> Result<String> {
    let documents = objects.iter().map(serde_yaml::to_string).collect::<Result<Vec<_>, _>>();
    Ok(documents.context("cannot write the objects as YAML")?.join("---\n"))
}
