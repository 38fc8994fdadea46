//! Istio's VirtualService and Gateway, with the fields that the charm writes and reads.
//!
//! `networking.istio.io/v1beta1` is the only version that Istio 1.11 to 1.28 all serve (`istio/istio`,
//! `manifests/charts/base`).

use std::collections::{BTreeMap, BTreeSet};

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "networking.istio.io",
    version = "v1beta1",
    kind = "VirtualService",
    plural = "virtualservices",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct VirtualServiceSpec {
    pub hosts: Vec<String>,
    /// As `namespace/name`.
    pub gateways: Vec<String>,
    /// The first match wins.
    pub http: Vec<HttpRoute>,
}

/// The destination ports of a live VirtualService.
pub fn ports(object: &Value) -> BTreeSet<u64> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let routes = list(object.pointer("/spec/http")).into_iter();
    let shares = routes.flat_map(|http| list(http.get("route")));
    shares
        .filter_map(|share| share.pointer("/destination/port/number")?.as_u64())
        .collect()
}

#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "networking.istio.io",
    version = "v1beta1",
    kind = "Gateway",
    plural = "gateways",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct GatewaySpec {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRoute {
    /// A request has to satisfy one of them.
    #[serde(rename = "match")]
    pub matches: Vec<HttpMatchRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<HttpRewrite>,
    /// Either this or destinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<HttpRedirect>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<RouteDestination>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderOperations>,
    /// Responses to mirrored requests are discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Destination>,
    /// `None` mirrors all requests.
    #[serde(default, rename = "mirrorPercentage", skip_serializing_if = "Option::is_none")]
    pub mirror_percentage: Option<Percent>,
    /// In seconds, with an `s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<HttpRetry>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HttpMatchRequest {
    /// As the client sent it, possibly with a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<StringMatch>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
    /// `None` for every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<StringMatch>,
}

/// Istio's `StringMatch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StringMatch {
    /// Of characters, not segments: `/a` is a prefix of `/ab`.
    Prefix(String),
    Exact(String),
    /// RE2, for the whole text.
    Regex(String),
}

/// Matches requests to a host on any port.
pub fn authority(host: &str) -> StringMatch {
    StringMatch::Regex(host_pattern(host))
}

/// A regular expression (RE2) for a host on any port. Clients add a port that is neither 80 nor 443 to the authority,
/// and Istio does not strip it (`istio/istio`, `gateway.go`, `StripHostPort`, which is off by default).
pub fn host_pattern(host: &str) -> String {
    format!("{}(:[0-9]+)?", host.replace('.', "[.]"))
}

/// The Services and weights of a live VirtualService's rule. A host is a Service's name, followed by its namespace.
pub fn destinations(rule: &Value) -> Vec<(String, u8)> {
    let all = rule.get("route").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(|destination| {
            let host = destination.pointer("/destination/host")?.as_str()?;
            let weight = destination.get("weight").and_then(Value::as_u64).unwrap_or(100);
            Some((host.split('.').next()?.to_owned(), u8::try_from(weight).ok()?))
        })
        .collect()
}

/// Replaces the matched part of the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRewrite {
    pub uri: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRedirect {
    /// Replaces the whole path.
    pub uri: String,
    pub redirect_code: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteDestination {
    pub destination: Destination,
    /// In percent, if there are several. Istio before 1.15 requires a sum of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percent {
    /// From 0 to 100, a double in Istio's API.
    pub value: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The full name: Istio would complete a short one with the VirtualService's namespace.
    pub host: String,
    /// Required if the Service has several.
    pub port: PortSelector,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortSelector {
    pub number: u16,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderOperations {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HeaderValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<HeaderValues>,
}

/// `set` replaces a header's values, `add` adds one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderValues {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRetry {
    /// After the first attempt. 0 disables Istio's default retries.
    pub attempts: u8,
    /// Envoy's retry conditions; `None` for Istio's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<String>,
}

impl HttpRetry {
    /// Retries requests that reached no model. Seldon's executor closes its port as soon as its pod is terminated
    /// (v1.17.1, executor/cmd/executor/main.go, `shutdown_delay` 0), some hundred milliseconds before the gateway
    /// learns of it. Envoy's backoff grows, so that ten attempts outlast that.
    pub fn on_lost_connections() -> Self {
        Self {
            attempts: 10,
            retry_on: Some("connect-failure,refused-stream".to_owned()),
        }
    }
}
