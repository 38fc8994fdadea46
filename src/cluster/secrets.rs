//! Secrets in our namespace: ours by our labels, and whether a name is another's.

use kube::api::{DynamicObject, ListParams};
use serde_json::json;

use super::Cluster;
use crate::api_error::ApiError;
use crate::labels::ObjectKind;
use crate::observed::{Observed, Secret};
use crate::plan::secrets::is_marked;

impl Cluster {
    /// Finds those of these Secrets that are not ours, so that none of them is written to. Their content is not read.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn observe_foreign_secrets(&self, names: &[String], observed: &mut Observed) -> Result<(), ApiError> {
        let api = self.ours(&ObjectKind::Secret.resource());
        for name in names {
            // A list, for which there is a right already.
            let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
            let found = self.call(|| api.list_metadata(&parameters)).await?;
            observed.secrets.extend(found.items.into_iter().map(|found| {
                Secret(DynamicObject {
                    types: None,
                    metadata: found.metadata,
                    data: json!({}),
                })
            }));
        }
        Ok(())
    }

    /// Whether there are Secrets of ours, or may be, by what our SeldonDeployments say.
    pub(super) fn has_secrets(&self, observed: &Observed) -> bool {
        let mut all = observed.seldon_deployments.iter();
        all.any(|object| self.identity.labelled(object) && is_marked(object))
    }

    /// Our Secrets, whatever is in them.
    pub(super) async fn our_secrets(&self) -> Result<Vec<Secret>, ApiError> {
        let found: Vec<DynamicObject> = self.list_ours("", "Secret").await?;
        Ok(found.into_iter().map(Secret).collect())
    }
}
