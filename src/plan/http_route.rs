//! Prints a route as an HTTPRoute of the Gateway API.
//!
//! The charm writes the HTTPRoute itself instead of asking istio-ingress-k8s for one over `istio-ingress-route`: that
//! charm drops weights, headers and hosts of this interface on the way to its routes
//! (`canonical/istio-ingress-k8s-operator` a9ef964, `src/utils.py`, `normalize_istio_ingress_route_http_routes`), so
//! that a canary of 10 percent would get half of the requests.

use std::collections::BTreeMap;

use kube::Resource as _;

use super::metadata::metadata;
use super::route::{self, Match, Route, Rule, TextMatch};
use super::types::{Environment, Unsupported};
use crate::api::gateway_api::{
    Backend, Filter, FullPath, GROUP, Gateway, HOST_HEADER, HTTPRoute, HeaderEntry, HeaderMatch, HeaderModifier,
    HttpRouteMatch, HttpRouteRule, HttpRouteSpec, Mirror, ParentRef, PathMatch, PathModifier, Redirect, Timeouts,
    UrlRewrite,
};
use crate::api::istio::host_pattern;
use crate::config::Model;
use crate::config::value::HeaderChanges;
use crate::gateway::GatewayName;
use crate::gateway::revision::{REDIRECT, RouteRevision};
use crate::identity::route_name;

/// What the standard channel of Gateway API 1.2 cannot express of a model's route.
pub fn unsupported(model: &Model) -> Vec<Unsupported> {
    let retries = model.retries.map(|_| Unsupported::Retries);
    let shadow = model.shadow.as_ref().filter(|shadow| shadow.weight < 100);
    retries
        .into_iter()
        .chain(shadow.map(|_| Unsupported::PartialMirroring))
        .collect()
}

pub fn http_route(route: &Route, model: &Model, environment: &Environment, gateway: &GatewayName) -> HTTPRoute {
    HTTPRoute {
        metadata: metadata(&route_name(&model.name), model, environment),
        spec: HttpRouteSpec {
            parent_refs: vec![ParentRef {
                group: GROUP.to_owned(),
                kind: Gateway::kind(&()).into_owned(),
                namespace: gateway.namespace.clone(),
                name: gateway.name.clone(),
            }],
            // No hostname matches every host.
            hostnames: route.hosts.iter().filter(|host| *host != "*").cloned().collect(),
            rules: route.rules.iter().flat_map(|rule| rules(rule, route)).collect(),
        },
    }
}

/// The rule that shows the revision of a route. An exact path comes before all prefixes, also before longer ones and those with more
/// headers, which come first among each other whatever their order in the route (Gateway API 1.2, `HTTPRouteRule.matches`).
pub fn revision_rule(model: &Model, revision: &RouteRevision) -> HttpRouteRule {
    HttpRouteRule {
        matches: vec![HttpRouteMatch {
            path: PathMatch {
                kind: "Exact".to_owned(),
                value: model.prefix.to_string(),
            },
            ..route_match(&route::revision_match(model))
        }],
        filters: vec![Filter::Redirect {
            redirect: Redirect {
                path: FullPath {
                    kind: "ReplaceFullPath".to_owned(),
                    replace_full_path: revision.path(&model.prefix),
                },
                status_code: REDIRECT,
            },
        }],
        backend_refs: Vec::new(),
        timeouts: None,
    }
}

/// One rule for each path that is rewritten: `ReplacePrefixMatch` requires a single match per rule.
fn rules(rule: &Rule, route: &Route) -> Vec<HttpRouteRule> {
    let matches: Vec<HttpRouteMatch> = rule.matches.iter().map(route_match).collect();
    let printed = |matches: Vec<HttpRouteMatch>| HttpRouteRule {
        matches,
        filters: filters(rule, route),
        backend_refs: rule.backends.iter().map(|to| backend(to, Some(to.weight))).collect(),
        timeouts: route.timeout.map(|timeout| Timeouts {
            request: timeout.in_whole_numbers(),
        }),
    };
    if !rule.strips_prefix {
        return vec![printed(matches)];
    }
    // The rule for the model's own prefix comes last.
    matches.into_iter().rev().map(|path| printed(vec![path])).collect()
}

fn route_match(conditions: &Match) -> HttpRouteMatch {
    let headers = conditions.headers.iter().map(|(name, text)| header_match(name, text));
    let host = conditions.host.as_ref().map(|host| {
        let pattern = TextMatch::Regex(host_pattern(host));
        header_match(HOST_HEADER, &pattern)
    });
    HttpRouteMatch {
        path: PathMatch {
            kind: "PathPrefix".to_owned(),
            value: path_prefix(conditions.path.as_ref()),
        },
        headers: headers.chain(host).collect(),
    }
}

/// `PathPrefix` compares whole segments, so it covers a prefix with and without its trailing slash.
fn path_prefix(path: Option<&route::PathMatch>) -> String {
    match path {
        None => "/".to_owned(),
        Some(route::PathMatch::Prefix(prefix)) => prefix.bare().to_owned(),
        Some(route::PathMatch::Below(path)) => path.trim_end_matches('/').to_owned(),
    }
}

fn header_match(name: &str, text: &TextMatch) -> HeaderMatch {
    let (kind, value) = match text {
        TextMatch::Exact(value) => ("Exact", value.clone()),
        TextMatch::Regex(value) => ("RegularExpression", value.clone()),
        TextMatch::StartsWith(value) => ("RegularExpression", format!("{}.*", escape_re2(value))),
    };
    HeaderMatch {
        kind: kind.to_owned(),
        name: name.to_owned(),
        value,
    }
}

/// Escapes a text for RE2.
fn escape_re2(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

fn backend(to: &route::Backend, weight: Option<u8>) -> Backend {
    Backend {
        group: String::new(),
        kind: "Service".to_owned(),
        name: to.service.clone(),
        port: to.port,
        weight,
    }
}

fn filters(rule: &Rule, route: &Route) -> Vec<Filter> {
    let rewrite = rule.strips_prefix.then(|| Filter::Rewrite {
        rewrite: UrlRewrite {
            path: PathModifier {
                kind: "ReplacePrefixMatch".to_owned(),
                replace_prefix_match: "/".to_owned(),
            },
        },
    });
    let request = modifier(&route.headers.request).map(|changes| Filter::Request { changes });
    let response = modifier(&route.headers.response).map(|changes| Filter::Response { changes });
    let mirror = rule
        .mirror
        .as_ref()
        .filter(|mirror| mirror.weight >= 100)
        .map(|mirror| Filter::Mirror {
            mirror: Mirror {
                backend_ref: backend(mirror, None),
            },
        });
    [rewrite, request, response, mirror].into_iter().flatten().collect()
}

fn modifier(changes: &HeaderChanges) -> Option<HeaderModifier> {
    let entries = |map: &BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| HeaderEntry {
                name: name.clone(),
                value: value.clone(),
            })
            .collect()
    };
    (!changes.is_empty()).then(|| HeaderModifier {
        set: entries(&changes.set),
        add: entries(&changes.add),
        remove: changes.remove.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_matches_only_itself() {
        assert_eq!(escape_re2("application/grpc"), "application/grpc");
        assert_eq!(escape_re2("a.b+c"), r"a\.b\+c");
    }
}
