//! Lists the routes of all namespaces, because those of any namespace can share a gateway.
//!
//! They belong to others, who may have thousands, and each as large as the API server stores. So they are read page by page,
//! and of those in other namespaces only what they take of our models' requests is kept.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Time};
use kube::Resource as _;
use kube::api::{DynamicObject, ListParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Cluster;
use crate::api_error::ApiError;
use crate::gateway::claims::{ClaimReader, RouteClaim};
use crate::labels::ObjectKind;

/// Objects in one page.
const PAGE: u32 = 100;

/// A list whose items are still text.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<Box<RawValue>>,
}

/// A VirtualService or an HTTPRoute of another namespace, as far as claims are read from it.
#[derive(Deserialize)]
struct Route<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    creation_timestamp: Option<Time>,
}

#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Those of our namespace, whole.
    pub(super) ours: Vec<DynamicObject>,
    /// Those of other namespaces that match requests of our models.
    pub(super) others: Vec<RouteClaim>,
}

impl Cluster {
    pub(super) async fn routes(&self, kind: ObjectKind, reader: &mut ClaimReader<'_>) -> Result<Routes, ApiError> {
        let resource = kind.resource();
        let path = DynamicObject::url_path(&resource, None);
        let mut routes = Routes::default();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let request = || async {
                let request = Request::new(&path)
                    .list(&parameters)
                    .map_err(kube::Error::BuildRequest)?;
                self.client.request::<Page>(request).await
            };
            let page = match self.call(request).await {
                Ok(page) => page,
                Err(ApiError::NotFound) => {
                    return Err(ApiError::CrdMissing {
                        kind: kind.as_str().to_owned(),
                    });
                }
                Err(error) => return Err(error),
            };
            for item in page.items {
                routes.add(kind, item.get(), &self.identity.namespace, reader)?;
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(routes),
            }
        }
    }
}

impl Routes {
    fn add(
        &mut self,
        kind: ObjectKind,
        text: &str,
        our_namespace: &str,
        reader: &mut ClaimReader<'_>,
    ) -> Result<(), ApiError> {
        let unreadable = |error| ApiError::from(kube::Error::SerdeError(error));
        let Route { metadata, spec } = serde_json::from_str(text).map_err(unreadable)?;
        if metadata.namespace == our_namespace {
            self.ours.push(serde_json::from_str(text).map_err(unreadable)?);
        } else if let Some(spec) = spec {
            let created = metadata.creation_timestamp.map(|time| time.0);
            let claim = reader.read_spec(kind, &metadata.namespace, &metadata.name, created, spec);
            self.others.extend(Some(claim).filter(|claim| !claim.is_empty()));
        }
        Ok(())
    }
}
