//! Translates a model's VirtualService into an HTTPRoute of the Gateway API.
//!
//! The charm writes the HTTPRoute itself instead of asking istio-ingress-k8s for one over `istio-ingress-route`: that
//! charm drops weights, headers and hosts of this interface on the way to its routes
//! (`canonical/istio-ingress-k8s-operator` a9ef964, `src/utils.py`, `normalize_istio_ingress_route_http_routes`), so
//! that a canary of 10 percent would get half of the requests.

use kube::Resource as _;

use super::types::Unsupported;
use crate::api::gateway_api::HOST_HEADER;
use crate::api::gateway_api::{
    Backend, Filter, GROUP, Gateway, HTTPRoute, HeaderEntry, HeaderMatch, HeaderModifier, HttpRouteMatch,
    HttpRouteRule, HttpRouteSpec, Mirror, ParentRef, PathMatch, PathModifier, Timeouts, UrlRewrite,
};
use crate::api::istio::{Destination, HeaderValues, HttpMatchRequest, HttpRoute, StringMatch, VirtualService};
use crate::config::Model;
use crate::gateway::GatewayName;

/// What the standard channel of Gateway API 1.2 cannot express of a model's route.
pub fn unsupported(model: &Model) -> Vec<Unsupported> {
    let retries = model.retries.map(|_| Unsupported::Retries);
    let shadow = model.shadow.as_ref().filter(|shadow| shadow.weight < 100);
    retries
        .into_iter()
        .chain(shadow.map(|_| Unsupported::PartialMirroring))
        .collect()
}

pub fn http_route(route: &VirtualService, model: &Model, gateway: &GatewayName) -> HTTPRoute {
    let hosts = &route.spec.hosts;
    HTTPRoute {
        metadata: route.metadata.clone(),
        spec: HttpRouteSpec {
            parent_refs: vec![ParentRef {
                group: GROUP.to_owned(),
                kind: Gateway::kind(&()).into_owned(),
                namespace: gateway.namespace.clone(),
                name: gateway.name.clone(),
            }],
            // No hostname matches every host.
            hostnames: hosts.iter().filter(|host| *host != "*").cloned().collect(),
            rules: route.spec.http.iter().flat_map(|http| rules(http, model)).collect(),
        },
    }
}

/// One rule for each path that is rewritten: `ReplacePrefixMatch` requires a single match per rule.
fn rules(http: &HttpRoute, model: &Model) -> Vec<HttpRouteRule> {
    let matches = matches(&http.matches);
    let rule = |matches: Vec<HttpRouteMatch>| HttpRouteRule {
        matches,
        filters: filters(http),
        backend_refs: http
            .route
            .iter()
            .map(|share| backend(&share.destination, Some(share.weight.unwrap_or(100))))
            .collect(),
        timeouts: model.timeout.map(|timeout| Timeouts {
            request: timeout.in_whole_numbers(),
        }),
    };
    if http.rewrite.is_none() {
        return vec![rule(matches)];
    }
    // The rule for the model's own prefix comes last, as in the VirtualService.
    matches
        .into_iter()
        .rev()
        .map(|request_match| rule(vec![request_match]))
        .collect()
}

/// `PathPrefix` compares whole path segments, so one match covers the prefix with and without its trailing slash.
fn matches(request_matches: &[HttpMatchRequest]) -> Vec<HttpRouteMatch> {
    let mut matches: Vec<HttpRouteMatch> = Vec::new();
    for request_match in request_matches {
        let authority = request_match
            .authority
            .as_ref()
            .map(|text| condition(HOST_HEADER, text));
        let headers = request_match.headers.iter().map(|(name, text)| condition(name, text));
        let http_match = HttpRouteMatch {
            path: PathMatch {
                kind: "PathPrefix".to_owned(),
                value: path(request_match.uri.as_ref()),
            },
            headers: headers.chain(authority).collect(),
        };
        if !matches.contains(&http_match) {
            matches.push(http_match);
        }
    }
    matches
}

fn path(uri: Option<&StringMatch>) -> String {
    let text = match uri {
        Some(StringMatch::Prefix(text) | StringMatch::Exact(text)) => text.trim_end_matches('/'),
        Some(StringMatch::Regex(_)) | None => "",
    };
    if text.is_empty() { "/" } else { text }.to_owned()
}

fn condition(name: &str, text: &StringMatch) -> HeaderMatch {
    let (kind, value) = match text {
        StringMatch::Exact(value) => ("Exact", value.clone()),
        StringMatch::Regex(value) => ("RegularExpression", value.clone()),
        StringMatch::Prefix(value) => ("RegularExpression", format!("{}.*", escape_re2(value))),
    };
    HeaderMatch {
        kind: kind.to_owned(),
        name: name.to_owned(),
        value,
    }
}

/// Escapes a text for RE2.
fn escape_re2(text: &str) -> String {
    text.chars().fold(String::new(), |mut escape_re2, c| {
        if "\\.+*?()|[]{}^$".contains(c) {
            escape_re2.push('\\');
        }
        escape_re2.push(c);
        escape_re2
    })
}

fn backend(service: &Destination, weight: Option<u8>) -> Backend {
    Backend {
        group: String::new(),
        kind: "Service".to_owned(),
        name: service.host.split('.').next().unwrap_or_default().to_owned(),
        port: service.port.number,
        weight,
    }
}

fn filters(http: &HttpRoute) -> Vec<Filter> {
    let rewrite = http.rewrite.as_ref().map(|rewrite| Filter::Rewrite {
        rewrite: UrlRewrite {
            path: PathModifier {
                kind: "ReplacePrefixMatch".to_owned(),
                replace_prefix_match: rewrite.uri.clone(),
            },
        },
    });
    let headers = http.headers.clone().unwrap_or_default();
    let request = headers.request.as_ref().map(|values| Filter::Request {
        changes: modifier(values),
    });
    let response = headers.response.as_ref().map(|values| Filter::Response {
        changes: modifier(values),
    });
    let mirrors_all = http.mirror_percentage.as_ref().is_none_or(|part| part.value >= 100.0);
    let mirror = http
        .mirror
        .as_ref()
        .filter(|_| mirrors_all)
        .map(|service| Filter::Mirror {
            mirror: Mirror {
                backend_ref: backend(service, None),
            },
        });
    [rewrite, request, response, mirror].into_iter().flatten().collect()
}

fn modifier(values: &HeaderValues) -> HeaderModifier {
    let entries = |map: &std::collections::BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| HeaderEntry {
                name: name.clone(),
                value: value.clone(),
            })
            .collect()
    };
    HeaderModifier {
        set: entries(&values.set),
        add: entries(&values.add),
        remove: values.remove.clone(),
    }
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
