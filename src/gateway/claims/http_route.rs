//! HTTPRoutes. Of the matches of all routes that have a gateway and a host in common, the one with an exact path wins, then the
//! one with the longer prefix, then a regular expression; among equals the one with a method, then with more headers, with more
//! query parameters, then the older route (`istio/istio` 1.20, `pilot/pkg/config/kube/gateway/conversion.go`,
//! `sortHTTPRoutes`).

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::pattern::Pattern;
use super::requests::{ModelRequests, RequestKind};
use super::route::{ParentGateway, PathPattern, Precedence, Route, RouteMatch};
use crate::api::seldon::grpc;
use crate::gateway::GatewayName;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    parent_refs: Vec<Parent>,
    hostnames: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parent {
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
    port: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    matches: Vec<HttpMatch>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HttpMatch {
    path: Option<PathMatch>,
    headers: Vec<HeaderMatch>,
    query_params: Vec<IgnoredAny>,
    method: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PathMatch {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HeaderMatch {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    value: String,
}

impl Spec {
    pub(super) fn into_route(self, namespace: &str) -> Route {
        let is_gateway = |parent: &Parent| parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
        let gateways = self.parent_refs.into_iter().filter(is_gateway);
        let mut matches = Vec::new();
        for rule in self.rules {
            if rule.matches.is_empty() {
                matches.push(RouteMatch::default());
            }
            matches.extend(rule.matches.into_iter().map(route_match));
        }
        Route {
            gateways: gateways
                .map(|parent| ParentGateway {
                    name: GatewayName {
                        namespace: parent.namespace.unwrap_or_else(|| namespace.to_owned()),
                        name: parent.name,
                    },
                    port: parent.port,
                })
                .collect(),
            hosts: if self.hostnames.is_empty() {
                vec!["*".to_owned()]
            } else {
                self.hostnames.iter().map(|host| host.to_ascii_lowercase()).collect()
            },
            matches,
        }
    }
}

fn route_match(one: HttpMatch) -> RouteMatch {
    let path = one.path.unwrap_or_default();
    let value = path.value.unwrap_or_else(|| "/".to_owned());
    RouteMatch {
        path: Some(PathPattern {
            text: match path.kind.as_deref() {
                Some("Exact") => Pattern::Exact(value),
                Some("RegularExpression") => Pattern::Regex(value),
                _ => Pattern::Prefix(value.trim_end_matches('/').to_owned()),
            },
            ignores_case: false,
            by_segments: true,
        }),
        method: one.method.map(Pattern::Exact),
        headers: one
            .headers
            .into_iter()
            .map(|header| {
                let value = match header.kind.as_deref() {
                    Some("RegularExpression") => Pattern::Regex(header.value),
                    _ => Pattern::Exact(header.value),
                };
                (header.name.to_ascii_lowercase(), value)
            })
            .collect(),
        query_params: one.query_params.len(),
        ..RouteMatch::default()
    }
}

/// In the list of the model's host, against the match of the model's own route for these requests; `None` if that comes
/// first.
pub(super) fn precedence(one: &RouteMatch, requests: RequestKind, model: &ModelRequests) -> Option<Precedence> {
    // The prefix of our match, and its headers, as `plan::route` writes them.
    let (own_prefix, own_headers) = match requests {
        RequestKind::Http => (model.prefix.bare(), 0),
        RequestKind::GrpcByHost => ("", 2),
        RequestKind::GrpcByHeaders => ("", grpc::HEADERS.len()),
    };
    let by_path = match one.path.as_ref().map(|path| &path.text) {
        Some(Pattern::Exact(_)) => std::cmp::Ordering::Greater,
        Some(Pattern::Prefix(prefix)) => prefix.len().cmp(&own_prefix.len()),
        Some(Pattern::Regex(_) | Pattern::Present) | None => std::cmp::Ordering::Less,
    };
    let order = by_path
        .then(one.method.is_some().cmp(&false))
        .then(one.headers.len().cmp(&own_headers))
        .then(one.query_params.cmp(&0));
    match order {
        std::cmp::Ordering::Greater => Some(Precedence::First),
        std::cmp::Ordering::Equal => Some(Precedence::ByAge),
        std::cmp::Ordering::Less => None,
    }
}
