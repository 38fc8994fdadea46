//! Prints a route as Istio's VirtualService.

use super::metadata::metadata;
use super::route::{Backend, Match, PathMatch, Route, Rule, TextMatch, revision_match};
use super::types::Environment;
use crate::api::istio::{
    Destination, HeaderOperations, HeaderValues, HttpMatchRequest, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute,
    Percent, PortSelector, RouteDestination, StringMatch, VirtualService, VirtualServiceSpec, authority,
};
use crate::config::Model;
use crate::config::value::HeaderChanges;
use crate::gateway::GatewayName;
use crate::gateway::revision::{REDIRECT, RouteRevision};
use crate::identity::route_name;

pub fn virtual_service(
    route: &Route,
    model: &Model,
    environment: &Environment,
    gateway: &GatewayName,
) -> VirtualService {
    VirtualService {
        metadata: metadata(&route_name(&model.name), model, environment),
        spec: VirtualServiceSpec {
            hosts: route.hosts.clone(),
            gateways: vec![gateway.to_string()],
            http: route
                .rules
                .iter()
                .map(|rule| http_route(rule, route, &environment.identity.namespace))
                .collect(),
        },
    }
}

/// The rule that shows the revision of a route. It has no conditions but its own and changes no headers, so that it answers
/// whatever the model's options are.
pub fn revision_rule(model: &Model, revision: &RouteRevision) -> HttpRoute {
    HttpRoute {
        matches: match_requests(&revision_match(model)),
        rewrite: None,
        redirect: Some(HttpRedirect {
            uri: revision.path(&model.prefix),
            redirect_code: REDIRECT,
        }),
        route: Vec::new(),
        headers: None,
        mirror: None,
        mirror_percentage: None,
        timeout: None,
        retries: None,
    }
}

fn http_route(rule: &Rule, route: &Route, namespace: &str) -> HttpRoute {
    let alone = rule.backends.len() == 1;
    HttpRoute {
        matches: rule.matches.iter().flat_map(match_requests).collect(),
        rewrite: rule.strips_prefix.then(|| HttpRewrite { uri: "/".to_owned() }),
        redirect: None,
        route: rule
            .backends
            .iter()
            .map(|backend| RouteDestination {
                destination: destination(backend, namespace),
                weight: (!alone).then_some(backend.weight),
            })
            .collect(),
        headers: header_operations(route),
        mirror: rule.mirror.as_ref().map(|backend| destination(backend, namespace)),
        mirror_percentage: rule.mirror.as_ref().map(|backend| Percent {
            value: backend.weight.into(),
        }),
        timeout: route.timeout.map(|timeout| timeout.to_string()),
        retries: Some(match route.retries {
            None => HttpRetry::on_lost_connections(),
            Some(attempts) => HttpRetry {
                attempts,
                retry_on: None,
            },
        }),
    }
}

fn destination(backend: &Backend, namespace: &str) -> Destination {
    Destination {
        host: format!("{}.{namespace}.svc.cluster.local", backend.service),
        port: PortSelector { number: backend.port },
    }
}

fn match_requests(conditions: &Match) -> Vec<HttpMatchRequest> {
    let request = |uri: Option<StringMatch>| HttpMatchRequest {
        authority: conditions.host.as_deref().map(authority),
        headers: conditions
            .headers
            .iter()
            .map(|(name, text)| (name.clone(), string_match(text)))
            .collect(),
        uri,
    };
    match &conditions.path {
        None => vec![request(None)],
        Some(PathMatch::Below(path)) => vec![request(Some(StringMatch::Prefix(path.clone())))],
        // A single prefix without the slash would match `/model/irisx` too, and leave `//` after the rewrite.
        Some(PathMatch::Prefix(prefix)) => vec![
            request(Some(StringMatch::Prefix(prefix.to_string()))),
            request(Some(StringMatch::Exact(prefix.bare().to_owned()))),
        ],
    }
}

fn string_match(text: &TextMatch) -> StringMatch {
    match text {
        TextMatch::Exact(text) => StringMatch::Exact(text.clone()),
        TextMatch::StartsWith(text) => StringMatch::Prefix(text.clone()),
        TextMatch::Regex(text) => StringMatch::Regex(text.clone()),
    }
}

fn header_operations(route: &Route) -> Option<HeaderOperations> {
    let values = |changes: &HeaderChanges| {
        (!changes.is_empty()).then(|| HeaderValues {
            set: changes.set.clone(),
            add: changes.add.clone(),
            remove: changes.remove.clone(),
        })
    };
    let operations = HeaderOperations {
        request: values(&route.headers.request),
        response: values(&route.headers.response),
    };
    (operations != HeaderOperations::default()).then_some(operations)
}
