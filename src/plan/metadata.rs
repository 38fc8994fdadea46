//! Metadata of a model's objects: name, labels and owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::types::Site;
use crate::config::Model;
use crate::labels;

pub fn metadata(name: &str, model: &Model, site: &Site) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(site.namespace.clone()),
        labels: Some(labels_of(model, site)),
        owner_references: site.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The labels of a model's objects, and of the Deployments and pods that Seldon creates for it.
pub fn labels_of(model: &Model, site: &Site) -> BTreeMap<String, String> {
    let ours = [
        (labels::APPLICATION, &site.application),
        (labels::MODEL_UUID, &site.model_uuid),
        (labels::MODEL, &model.name),
    ];
    let mut labels = model.labels.clone();
    labels.extend(ours.map(|(key, value)| (key.to_owned(), value.clone())));
    labels
}
