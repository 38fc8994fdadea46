//! The kinds of Kubernetes' Gateway API: the fields this charm writes and reads, and no more.
//!
//! The definitions that charmed Istio brings are those of release 1.2.0 in its standard channel (`canonical/istio-k8s-operator`,
//! `src/manifests/gateway-apis-crds.yaml`). What that channel has no word for is not written. Fields that the API server would fill in
//! are written all the same, so that an object is what it was applied as.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The API group.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// The header by which a route of ours knows the host of a call, as a path can have none.
pub const HOST_HEADER: &str = "host";

/// Routes for the requests that come in at a gateway.
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
    /// The gateways it is for.
    pub parent_refs: Vec<ParentRef>,
    /// The host names it is for; all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// The routes. The longest path goes first, then the most headers, and the oldest object among equals.
    pub rules: Vec<HttpRouteRule>,
}

/// A gateway; [`listeners`] reads what it takes.
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

/// What a route belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentRef {
    /// The API group of its kind.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// Which requests it is for: any of these.
    pub matches: Vec<HttpRouteMatch>,
    /// What becomes of them on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where they go.
    pub backend_refs: Vec<Backend>,
    /// How long is waited for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// A condition on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRouteMatch {
    /// The path.
    pub path: PathMatch,
    /// Headers that it must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

/// A condition on a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMatch {
    /// `PathPrefix` or `Exact`. A prefix is of whole parts: `/a` is no prefix of `/ab`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path.
    pub value: String,
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// `Exact` or `RegularExpression`, which for Istio is one of RE2 and must match the whole value.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What becomes of a request on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Filter {
    /// Another path.
    #[serde(rename = "URLRewrite")]
    Rewrite {
        /// Which.
        #[serde(rename = "urlRewrite")]
        rewrite: UrlRewrite,
    },
    /// Other headers of the request.
    #[serde(rename = "RequestHeaderModifier")]
    Request {
        /// Which.
        #[serde(rename = "requestHeaderModifier")]
        changes: HeaderModifier,
    },
    /// Other headers of the answer.
    #[serde(rename = "ResponseHeaderModifier")]
    Response {
        /// Which.
        #[serde(rename = "responseHeaderModifier")]
        changes: HeaderModifier,
    },
    /// A copy of every request, the answer to which nobody sees.
    #[serde(rename = "RequestMirror")]
    Mirror {
        /// Where to.
        #[serde(rename = "requestMirror")]
        mirror: Mirror,
    },
}

/// Another path for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRewrite {
    /// What becomes of the path.
    pub path: PathModifier,
}

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathModifier {
    /// `ReplacePrefixMatch`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is put in the place of the prefix.
    pub replace_prefix_match: String,
}

/// Changes of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderModifier {
    /// Set to a value, whatever it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<HeaderEntry>,
    /// Given one more value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<HeaderEntry>,
    /// Taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderEntry {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// The Service. It has no weight.
    pub backend_ref: Backend,
}

/// A Service of the route's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The API group of its kind: none.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Its part of the requests, in proportion to the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

/// How long is waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For the whole of an answer: whole numbers with their units.
    pub request: String,
}

/// The Services that a rule of a route in the cluster leads to, with their weights.
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

/// The ports that a route in the cluster leads to.
pub fn ports(object: &Value) -> std::collections::BTreeSet<u64> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let rules = list(object.pointer("/spec/rules")).into_iter();
    let backends = rules.flat_map(|rule| list(rule.get("backendRefs")));
    backends.filter_map(|backend| backend.get("port")?.as_u64()).collect()
}

/// The labels of the pods that Istio runs for a gateway (`istio/api`, `label/labels.gen.go`, `IoK8sNetworkingGatewayGatewayName`).
pub fn pods_of(gateway: &str) -> BTreeMap<String, String> {
    [(format!("{GROUP}/gateway-name"), gateway.to_owned())].into()
}
