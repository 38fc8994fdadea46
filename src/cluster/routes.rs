//! Lists the routes of all namespaces, because those of any namespace can share a gateway.
//!
//! They belong to others, who may have thousands, and each as large as the API server stores. So they are read page by page,
//! and of those in other namespaces only what decides whether one takes a request of ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::Resource as _;
use kube::api::{DynamicObject, ListParams};
use kube::core::Request;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Cluster;
use crate::api_error::ApiError;
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

/// What tells whose an object is, read before the rest.
#[derive(Deserialize)]
struct Header {
    metadata: HeaderMetadata,
}

#[derive(Deserialize)]
struct HeaderMetadata {
    namespace: String,
}

/// The parts of a VirtualService or an HTTPRoute that claims are read from.
#[derive(Deserialize)]
struct Route {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: RouteSpec,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RouteSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateways: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Vec<RouteRule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostnames: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_refs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<RouteRule>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct RouteRule {
    /// Istio's name.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    istio: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Value>,
}

impl Cluster {
    /// Those in our namespace whole, those in others as far as they are claims.
    pub(super) async fn routes(&self, kind: ObjectKind) -> Result<Vec<DynamicObject>, ApiError> {
        let resource = kind.resource();
        let path = DynamicObject::url_path(&resource, None);
        let mut routes = Vec::new();
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
                routes.push(route(item.get(), &self.identity.namespace)?);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(routes),
            }
        }
    }
}

fn route(text: &str, our_namespace: &str) -> Result<DynamicObject, ApiError> {
    let is_foreign =
        serde_json::from_str::<Header>(text).is_ok_and(|header| header.metadata.namespace != our_namespace);
    if is_foreign && let Ok(route) = serde_json::from_str::<Route>(text) {
        return Ok(DynamicObject {
            types: None,
            metadata: ObjectMeta {
                managed_fields: None,
                annotations: None,
                ..route.metadata
            },
            data: json!({"spec": route.spec}),
        });
    }
    serde_json::from_str(text).map_err(|error| ApiError::from(kube::Error::SerdeError(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str) -> Value {
        json!({
            "metadata": {
                "name": "theirs", "namespace": namespace, "labels": {"a": "b"}, "annotations": {"long": "text"},
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "helm"}],
            },
            "spec": {
                "hosts": ["*"], "gateways": ["istio/gate"],
                "http": [{"match": [{"uri": {"prefix": "/a"}}], "route": [{"destination": {"host": "a"}}]}, {}],
            },
        })
    }

    #[test]
    fn only_claims_of_other_namespaces_are_kept() {
        let read = |namespace: &str| {
            let route = route(&object(namespace).to_string(), "edge").unwrap();
            serde_json::to_value(route).unwrap()
        };
        assert_eq!(read("edge"), object("edge"));
        assert_eq!(
            read("other"),
            json!({
                "metadata": {
                    "name": "theirs", "namespace": "other", "labels": {"a": "b"}, "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": {
                    "hosts": ["*"], "gateways": ["istio/gate"], "http": [{"match": [{"uri": {"prefix": "/a"}}]}, {}],
                },
            })
        );
    }

    #[test]
    fn route_of_another_shape_is_kept_whole() {
        let mut odd = object("other");
        odd["spec"]["http"] = json!("text");
        let route = route(&odd.to_string(), "edge").unwrap();
        assert_eq!(route.data["spec"]["http"], "text");
    }
}
