//! Istio's RequestAuthentication and AuthorizationPolicy, with the fields that the charm writes.
//!
//! `security.istio.io/v1beta1` is the only version that Istio 1.11 to 1.28 all serve (`istio/istio`,
//! `manifests/charts/base`).

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};

pub const GROUP: &str = "security.istio.io";

/// Which tokens are valid. A request with an invalid one is answered by 401, one without any gets on.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "security.istio.io",
    version = "v1beta1",
    kind = "RequestAuthentication",
    plural = "requestauthentications",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct RequestAuthenticationSpec {
    pub selector: WorkloadSelector,
    pub jwt_rules: Vec<JwtRule>,
}

/// The pods in the object's namespace with these labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    pub match_labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    pub issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Without any, Envoy reads the header Authorization and the query's parameter `access_token`.
    pub from_headers: Vec<JwtHeader>,
    /// Whether the request keeps its token.
    pub forward_original_token: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JwtHeader {
    pub name: String,
    /// What is before the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "security.istio.io",
    version = "v1beta1",
    kind = "AuthorizationPolicy",
    plural = "authorizationpolicies",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct AuthorizationPolicySpec {
    pub selector: WorkloadSelector,
    /// `DENY` answers a request that satisfies a rule by 403.
    pub action: String,
    pub rules: Vec<AuthorizationRule>,
}

/// A request has to satisfy all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRule {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<To>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct To {
    pub operation: Operation,
}

/// One of the hosts and one of the paths, and none of `not_paths`; an empty list is all. A `*` at the end of a text stands for any rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_paths: Vec<String>,
}

/// What a header or a claim of a valid token has to be, or must not be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Such as `request.headers[x-site]` or `request.auth.claims[iss]`.
    pub key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_values: Vec<String>,
}
