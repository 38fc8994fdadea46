//! Queries the permissions of the service account.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::Cluster;
use crate::api_error::ApiError;
use crate::permissions::{Needs, Permission, Place, required};

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
                        namespace: match &permission.place {
                            Place::Own => Some(self.identity.namespace.clone()),
                            Place::Everywhere => None,
                            Place::Namespace(namespace) => Some(namespace.clone()),
                        },
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
    pub async fn explain(&self, error: ApiError, needs: &Needs) -> ApiError {
        self.explained(error, required(needs)).await
    }

    /// The same with those that a part of the observation needs. An error that has them already is left as it is.
    pub(super) async fn explained(&self, error: ApiError, needed: impl Iterator<Item = Permission>) -> ApiError {
        match error {
            ApiError::Forbidden { why, missing } if missing.is_empty() => ApiError::Forbidden {
                missing: self.missing(needed).await.unwrap_or_default(),
                why,
            },
            other => other,
        }
    }
}
