//! Istio's VirtualService and Gateway: the fields this charm writes and reads, and no more.
//!
//! `networking.istio.io/v1beta1` is the one version that Istio 1.11 to 1.28 all serve (`istio/istio`,
//! `manifests/charts/base`).

use std::collections::{BTreeMap, BTreeSet};

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Routes for the requests that come in at a gateway.
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
    /// The host names it is for.
    pub hosts: Vec<String>,
    /// The gateways it binds to, as `namespace/name`.
    pub gateways: Vec<String>,
    /// The routes; the first that matches is taken.
    pub http: Vec<HttpRoute>,
}

/// The ports that a VirtualService in the cluster leads to.
pub fn ports(object: &Value) -> BTreeSet<u64> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let routes = list(object.pointer("/spec/http")).into_iter();
    let shares = routes.flat_map(|http| list(http.get("route")));
    shares
        .filter_map(|share| share.pointer("/destination/port/number")?.as_u64())
        .collect()
}

/// A gateway.
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

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpRoute {
    /// Which requests it is for: any of these.
    #[serde(rename = "match")]
    pub matches: Vec<HttpMatch>,
    /// What becomes of the path; left out, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Where requests go.
    pub route: Vec<Destination>,
    /// What becomes of headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderOperations>,
    /// Where copies of them go, the answers to which nobody sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Service>,
    /// How many of them are copied; left out, all are.
    #[serde(default, rename = "mirrorPercentage", skip_serializing_if = "Option::is_none")]
    pub mirror_percentage: Option<Percent>,
    /// How long the gateway waits for an answer, in seconds with an `s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Whether the gateway tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
}

/// A condition on a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HttpMatch {
    /// The host that it is for as the client wrote it, perhaps with a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Text>,
    /// Headers that it must have, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// The path; any where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<Text>,
}

/// A condition on a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Text {
    /// It begins with this, as plain text: `/a` is a prefix of `/ab`.
    Prefix(String),
    /// It is this.
    Exact(String),
    /// All of it matches this expression of RE2.
    Regex(String),
}

/// The condition that a request is for a host, on whatever port: a client that connects to another than 80 or 443 names it, and Istio
/// leaves it there (`istio/istio`, `gateway.go`, `StripHostPort`, which is off by default).
pub fn authority(host: &str) -> Text {
    Text::Regex(format!("{}(:[0-9]+)?", host.replace('.', "[.]")))
}

/// Replaces what matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rewrite {
    /// The replacement.
    pub uri: String,
}

/// A place for requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The Service.
    pub destination: Service,
    /// Its part in percent, where there are several. Istio before 1.15 wants them to be 100 in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

/// A part of something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percent {
    /// From 0 to 100.
    pub value: f64,
}

/// A Service and its port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its full name: a short one would be looked up in the VirtualService's namespace.
    pub host: String,
    /// Its port, which must be named when there are several.
    pub port: Port,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
}

/// What becomes of headers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderOperations {
    /// Of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HeaderValues>,
    /// Of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<HeaderValues>,
}

/// Changes of headers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderValues {
    /// Set to a value, whatever it was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Given one more value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
    /// Taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// How often the gateway tries again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Attempts after the first; none switches Istio's own policy off.
    pub attempts: u8,
    /// When, in Envoy's words; Istio's own choice where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<String>,
}

impl Retries {
    /// Tries again what no model has seen: Seldon's executor closes its port the moment its pod is told to end (v1.17.1,
    /// executor/cmd/executor/main.go, `shutdown_delay` 0), and the gateway hears of that some hundred milliseconds later.
    /// Envoy pauses longer from one attempt to the next, so that ten of them outlast it.
    pub fn of_lost_connections() -> Self {
        Self {
            attempts: 10,
            retry_on: Some("connect-failure,refused-stream".to_owned()),
        }
    }
}
