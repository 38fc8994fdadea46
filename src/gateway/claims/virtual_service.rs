//! VirtualServices. Istio appends the routes of all those that have a gateway and a host in common to one list, the oldest
//! VirtualService first, and the first match wins (`istio/istio` 1.28, `pilot/pkg/networking/core/gateway.go`). It does not
//! report overlaps, so an older one silently takes the requests of a younger one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::route::{ParentGateway, PathPattern, Precedence, Route, RouteMatch};
use crate::gateway::GatewayName;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    hosts: Vec<String>,
    gateways: Vec<String>,
    export_to: Vec<String>,
    http: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    #[serde(rename = "match")]
    matches: Vec<HttpMatch>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct HttpMatch {
    /// No condition; listed here so that it does not count as one.
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(rename = "statPrefix")]
    _stat_prefix: IgnoredAny,
    uri: Option<Pattern>,
    ignore_uri_case: bool,
    method: Option<Pattern>,
    scheme: Option<Pattern>,
    authority: Option<Pattern>,
    headers: BTreeMap<String, Pattern>,
    without_headers: BTreeMap<String, Pattern>,
    query_params: Map<String, Value>,
    port: Option<u16>,
    gateways: Vec<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Spec {
    pub(super) fn into_route(self, namespace: &str) -> Route {
        let resolve = |gateways: &[String]| -> Vec<GatewayName> {
            gateways.iter().map(|text| gateway_name(text, namespace)).collect()
        };
        let exported = self.export_to;
        let is_visible = |gateway: &GatewayName| {
            exported.is_empty()
                || exported.iter().any(|to| match to.as_str() {
                    "*" => true,
                    "." => gateway.namespace == namespace,
                    to => to == gateway.namespace,
                })
        };
        let gateways = resolve(&self.gateways).into_iter().filter(is_visible);
        let mut matches = Vec::new();
        for rule in self.http {
            if rule.matches.is_empty() {
                matches.push(RouteMatch::default());
            }
            matches.extend(rule.matches.into_iter().map(|one| {
                let gateways = (!one.gateways.is_empty()).then(|| resolve(&one.gateways));
                let gateways = gateways.map(|gateways| gateways.into_iter().filter(is_visible).collect());
                route_match(one, gateways)
            }));
        }
        Route {
            gateways: gateways.map(|name| ParentGateway { name, port: None }).collect(),
            hosts: self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            matches,
        }
    }
}

fn route_match(one: HttpMatch, gateways: Option<Vec<GatewayName>>) -> RouteMatch {
    let headers = |headers: BTreeMap<String, Pattern>| {
        headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect()
    };
    RouteMatch {
        gateways,
        path: one.uri.map(|text| PathPattern {
            text,
            ignores_case: one.ignore_uri_case,
            by_segments: false,
        }),
        method: one.method,
        scheme: one.scheme,
        authority: one.authority,
        headers: headers(one.headers),
        without_headers: headers(one.without_headers),
        query_params: one.query_params.len(),
        port: one.port,
        has_more: !one.more.is_empty(),
    }
}

/// `./name` and a bare name are a gateway of the same namespace; the old form appends the namespace behind a dot.
fn gateway_name(text: &str, namespace: &str) -> GatewayName {
    let (namespace, name) = match text.split_once('/') {
        Some((".", name)) => (namespace, name),
        Some(parts) => parts,
        None => match text.split_once('.') {
            Some((name, rest)) => (rest.split('.').next().unwrap_or_default(), name),
            None => (namespace, text),
        },
    };
    GatewayName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// In the list of the model's host. Only a match of every path without another condition is a catch-all
/// (`istio/istio` 1.20, `pilot/pkg/networking/core/v1alpha3/route/route.go`, `isCatchAllRoute`).
pub(super) fn precedence(one: &RouteMatch) -> Precedence {
    if one.is_every_path() && !one.is_conditional() {
        Precedence::CatchAll
    } else {
        Precedence::ByAge
    }
}
