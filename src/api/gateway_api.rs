//! Kinds of the Gateway API, with the fields that the charm writes and reads.
//!
//! Charmed Istio installs the CRDs of release 1.2.0, standard channel (`canonical/istio-k8s-operator`,
//! `src/manifests/gateway-apis-crds.yaml`), so only fields of that channel are written. Fields that the API server
//! would default are written too, so that the stored object equals the applied one.
//!
//! The `gateway-api` crate (0.22) needs kube 4 and Rust 1.92, where the charm has kube 5 and Rust 1.89.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const GROUP: &str = "gateway.networking.k8s.io";

/// gRPC requests are matched by this header, because their path cannot have a prefix.
pub const HOST_HEADER: &str = "host";

#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    plural = "httproutes",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteSpec {
    pub parent_refs: Vec<ParentRef>,
    /// Empty for all hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// The longest path wins, then the most headers, then the oldest route.
    pub rules: Vec<HttpRouteRule>,
}

/// `gateway::listeners` reads its spec.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "Gateway",
    plural = "gateways",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct GatewaySpec {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentRef {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// A request has to satisfy one of them.
    pub matches: Vec<HttpRouteMatch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// None where a filter redirects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<Backend>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRouteMatch {
    pub path: PathMatch,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMatch {
    /// `PathPrefix` or `Exact`. A prefix has whole segments: `/a` is not a prefix of `/ab`.
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// `Exact` or `RegularExpression`. The latter is RE2 in Istio and must match the whole value.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Filter {
    #[serde(rename = "URLRewrite")]
    Rewrite {
        #[serde(rename = "urlRewrite")]
        rewrite: UrlRewrite,
    },
    #[serde(rename = "RequestHeaderModifier")]
    Request {
        #[serde(rename = "requestHeaderModifier")]
        changes: HeaderModifier,
    },
    #[serde(rename = "ResponseHeaderModifier")]
    Response {
        #[serde(rename = "responseHeaderModifier")]
        changes: HeaderModifier,
    },
    /// Responses to mirrored requests are discarded.
    #[serde(rename = "RequestMirror")]
    Mirror {
        #[serde(rename = "requestMirror")]
        mirror: Mirror,
    },
    #[serde(rename = "RequestRedirect")]
    Redirect {
        #[serde(rename = "requestRedirect")]
        redirect: Redirect,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    pub path: FullPath,
    pub status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FullPath {
    /// `ReplaceFullPath`.
    #[serde(rename = "type")]
    pub kind: String,
    pub replace_full_path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRewrite {
    pub path: PathModifier,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathModifier {
    /// `ReplacePrefixMatch`.
    #[serde(rename = "type")]
    pub kind: String,
    pub replace_prefix_match: String,
}

/// `set` replaces a header's values, `add` adds one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderModifier {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<HeaderEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<HeaderEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderEntry {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Without a weight.
    pub backend_ref: Backend,
}

/// A Service in the namespace of the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
    pub name: String,
    pub port: u16,
    /// In proportion to the sum of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For the whole request. The Gateway API allows only whole numbers with units.
    pub request: String,
}

/// The Services and weights of a live route's rule.
pub fn destinations(rule: &Value) -> Vec<(String, u8)> {
    let all = rule.get("backendRefs").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(|backend| {
            let name = backend.get("name")?.as_str()?;
            let weight = backend.get("weight").and_then(Value::as_u64).unwrap_or(1);
            Some((name.to_owned(), u8::try_from(weight).ok()?))
        })
        .collect()
}

/// The backend ports of a live route.
pub fn ports(object: &Value) -> std::collections::BTreeSet<u64> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let rules = list(object.pointer("/spec/rules")).into_iter();
    let backends = rules.flat_map(|rule| list(rule.get("backendRefs")));
    backends.filter_map(|backend| backend.get("port")?.as_u64()).collect()
}

/// The labels of the pods that Istio runs for a gateway (`istio/api`, `label/labels.gen.go`,
/// `IoK8sNetworkingGatewayGatewayName`).
pub fn pods_of(gateway: &str) -> BTreeMap<String, String> {
    [(format!("{GROUP}/gateway-name"), gateway.to_owned())].into()
}
