//! Reads our Secrets, and the metadata of others whose names we need.

use kube::api::{DynamicObject, ListParams};
use serde_json::json;

use super::Cluster;
use crate::api_error::ApiError;
use crate::labels::ObjectKind;
use crate::observed::{Observed, Secret};
use crate::plan::secrets::is_marked;

impl Cluster {
    /// The Secrets of these names, without their content.
    pub async fn secrets_named(&self, names: &[String]) -> Result<Vec<Secret>, ApiError> {
        let api = self.namespaced(&ObjectKind::Secret.resource());
        let mut secrets = Vec::new();
        for name in names {
            // A list instead of a get, because the permission to list exists already.
            let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
            let found = self.call(|| api.list_metadata(&parameters)).await?;
            secrets.extend(found.items.into_iter().map(|found| {
                Secret(DynamicObject {
                    types: None,
                    metadata: found.metadata,
                    data: json!({}),
                })
            }));
        }
        Ok(secrets)
    }

    /// Whether Secrets of ours may exist, by the annotation on our SeldonDeployments.
    pub(super) fn has_secrets(&self, observed: &Observed) -> bool {
        let mut all = observed.seldon_deployments.iter();
        all.any(|object| self.identity.has_our_labels(object) && is_marked(object))
    }

    pub(super) async fn our_secrets(&self) -> Result<Vec<Secret>, ApiError> {
        let found: Vec<DynamicObject> = self.list_ours("", "Secret").await?;
        Ok(found.into_iter().map(Secret).collect())
    }
}
