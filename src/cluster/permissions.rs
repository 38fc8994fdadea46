//! Queries the permissions of the service account.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::Cluster;
use crate::api_error::ApiError;
use crate::permissions::{Needs, Permission, required};

impl Cluster {
    /// Returns those of `required` that the service account does not have.
    pub async fn missing(&self, required: impl Iterator<Item = Permission>) -> Result<Vec<Permission>, ApiError> {
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let mut missing = Vec::new();
        let parameters = PostParams::default();
        for permission in required {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        namespace: (!permission.cluster_wide).then(|| self.identity.namespace.clone()),
                        verb: Some(permission.verb.to_owned()),
                        group: Some(permission.group.to_owned()),
                        resource: Some(permission.resource.to_owned()),
                        // Granted for this name only.
                        name: (permission.resource == "statefulsets").then(|| self.identity.application.clone()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = self.call(|| api.create(&parameters, &review)).await?;
            if !answer.status.is_some_and(|status| status.allowed) {
                missing.push(permission);
            }
        }
        Ok(missing)
    }

    /// Adds the missing permissions to a Forbidden error.
    pub async fn explain(&self, error: ApiError, needs: Needs) -> ApiError {
        match error {
            ApiError::Forbidden { why, .. } => ApiError::Forbidden {
                missing: self.missing(required(needs)).await.unwrap_or_default(),
                why,
            },
            other => other,
        }
    }
}
