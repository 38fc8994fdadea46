//! The route of a model: which requests are its own, and the Services that get them. [`super::virtual_service`] and
//! [`super::http_route`] print it for the two kinds of gateway.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::traffic::{Share, Traffic};
use super::types::Environment;
use crate::api::seldon::grpc;
use crate::config::Model;
use crate::config::value::{Headers, Milliseconds, prefix};
use crate::gateway::prefix::Prefix;
use crate::gateway::revision;
use crate::labels;
use crate::observed::Observed;

#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// `*` is every host.
    pub hosts: Vec<String>,
    /// The first rule with a match gets a request.
    pub rules: Vec<Rule>,
    pub headers: Headers,
    pub timeout: Option<Milliseconds>,
    /// `None` leaves it to the gateway.
    pub retries: Option<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// A request has to satisfy one of them.
    pub matches: Vec<Match>,
    /// Whether `/` replaces the matched part of the path.
    pub strips_prefix: bool,
    /// The weights sum up to 100.
    pub backends: Vec<Backend>,
    /// Gets copies of this part of the requests, in percent.
    pub mirror: Option<Backend>,
}

/// All of its conditions have to be satisfied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    pub path: Option<PathMatch>,
    pub headers: BTreeMap<String, TextMatch>,
    /// The host, whatever the port.
    pub host: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// A prefix, with and without its trailing slash, and all below it.
    Prefix(Prefix),
    /// All below a path that ends with a slash.
    Below(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatch {
    Exact(String),
    StartsWith(String),
    /// RE2, for the whole text.
    Regex(String),
}

/// A Service in the namespace of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub service: String,
    pub port: u16,
    /// In percent.
    pub weight: u8,
}

/// Headers with the values that a request must have.
type ExactHeaders = BTreeMap<String, String>;

/// `spec` is that of the SeldonDeployment. `seldon_prefix` is the prefix that Seldon uses for the model, unless another
/// model is configured with it.
pub fn route(
    model: &Model,
    spec: &Value,
    environment: &Environment,
    traffic: &Traffic,
    seldon_prefix: Option<&Prefix>,
) -> Route {
    let rules_for = |headers: &ExactHeaders, shares: &[Share]| {
        let calls = rule(grpc_matches(model, environment, headers), shares, traffic, grpc_backend);
        // A browser sends the page's requests without custom headers. It has no token, and no policy could tell these from others.
        let page = (headers.is_empty() && serves_api_page(spec) && model.access.is_none())
            .then(|| rule(vec![api_page_match(model)], shares, traffic, http_backend));
        let rest = Rule {
            strips_prefix: true,
            ..rule(
                http_matches(model, seldon_prefix, headers),
                shares,
                traffic,
                http_backend,
            )
        };
        [Some(calls), page, Some(rest)].into_iter().flatten()
    };
    // The rule for all requests comes last.
    let mut rules: Vec<Rule> = Vec::new();
    if let (Some(canary), Some(share)) = (&model.canary, &traffic.by_header) {
        rules.extend(rules_for(&canary.headers, std::slice::from_ref(share)));
    }
    if let Some(share) = &traffic.explainer {
        let below = Match {
            path: Some(PathMatch::Below(format!("{}explainer/", model.prefix))),
            ..Match::default()
        };
        rules.push(Rule {
            strips_prefix: true,
            mirror: None,
            ..rule(vec![below], std::slice::from_ref(share), traffic, http_backend)
        });
    }
    rules.extend(rules_for(&ExactHeaders::new(), &traffic.shares));
    Route {
        hosts: model.hosts.clone(),
        rules,
        headers: headers(model),
        timeout: model.timeout,
        retries: model.retries,
    }
}

/// The model need not see the token by which a request gets to it.
fn headers(model: &Model) -> Headers {
    let mut headers = model.headers.clone();
    if let Some(access) = &model.access {
        let name = access.header.as_deref().unwrap_or("authorization");
        let removed = &mut headers.request.remove;
        if !removed.iter().any(|removed| removed.eq_ignore_ascii_case(name)) {
            removed.push(name.to_owned());
        }
    }
    headers
}

fn rule(matches: Vec<Match>, shares: &[Share], traffic: &Traffic, backend: fn(&Share) -> Backend) -> Rule {
    Rule {
        matches,
        strips_prefix: false,
        backends: shares.iter().map(backend).collect(),
        mirror: traffic.mirror.as_ref().map(backend),
    }
}

fn http_backend(share: &Share) -> Backend {
    Backend {
        service: share.service.clone(),
        port: share.ports.http,
        weight: share.weight,
    }
}

fn grpc_backend(share: &Share) -> Backend {
    Backend {
        port: share.ports.grpc,
        ..http_backend(share)
    }
}

fn exact(headers: &ExactHeaders) -> BTreeMap<String, TextMatch> {
    let exact = |(name, value): (&String, &String)| (name.clone(), TextMatch::Exact(value.clone()));
    headers.iter().map(exact).collect()
}

/// HTTP requests: those of the model's own prefix, and of Seldon's.
fn http_matches(model: &Model, seldon_prefix: Option<&Prefix>, headers: &ExactHeaders) -> Vec<Match> {
    let own = PathMatch::Prefix(model.prefix.clone());
    let seldon = seldon_prefix.map(|prefix| PathMatch::Below(prefix.to_string()));
    [own]
        .into_iter()
        .chain(seldon)
        .map(|path| Match {
            path: Some(path),
            headers: exact(headers),
            host: None,
        })
        .collect()
}

/// gRPC requests. Their path is `/service/method` and cannot have a prefix.
fn grpc_matches(model: &Model, environment: &Environment, headers: &ExactHeaders) -> Vec<Match> {
    let mut required = exact(headers);
    required.insert(
        grpc::CONTENT_TYPE.to_owned(),
        TextMatch::StartsWith(grpc::MEDIA_TYPE.to_owned()),
    );
    let by_host = model.grpc_host.as_ref().map(|host| Match {
        host: Some(host.clone()),
        headers: required.clone(),
        path: None,
    });
    required.insert(grpc::SELDON.to_owned(), TextMatch::Exact(model.name.clone()));
    required.insert(
        grpc::NAMESPACE.to_owned(),
        TextMatch::Exact(environment.identity.namespace.clone()),
    );
    let by_headers = Match {
        headers: required,
        ..Match::default()
    };
    [by_headers].into_iter().chain(by_host).collect()
}

/// The prefix of a model in Seldon's own routes. The API document that the executor serves at `api/v1.0/doc/` sends
/// requests there (`SeldonIO/seldon-core` v1.17.1, `executor/api/rest/utils.go`).
pub fn seldon_prefix(model: &Model, environment: &Environment) -> Option<Prefix> {
    prefix(&format!("/seldon/{}/{}/", environment.identity.namespace, model.name)).ok()
}

/// Whether the executor serves an API page that sends requests to the root of the host, as that of protocol v2 at
/// `v2/docs/` does (`SeldonIO/seldon-core` v1.17.1, `openapi/v2/dataplane.yaml`). The tensorflow protocol has no
/// page.
fn serves_api_page(spec: &Value) -> bool {
    let protocol = spec.get("protocol").and_then(Value::as_str);
    matches!(protocol, Some("v2" | "kfserving"))
}

/// Requests from the API page, recognized by the browser's Referer header.
fn api_page_match(model: &Model) -> Match {
    let page = format!("{}v2/docs/", model.prefix).replace('.', "[.]");
    let from = TextMatch::Regex(format!("https?://[^/]+{page}.*"));
    Match {
        path: Some(PathMatch::Below("/v2/".to_owned())),
        headers: [("referer".to_owned(), from)].into(),
        host: None,
    }
}

/// Requests for the route's revision.
pub fn revision_match(model: &Model) -> Match {
    Match {
        path: Some(PathMatch::Prefix(model.prefix.clone())),
        headers: [(revision::HEADER.to_owned(), TextMatch::Exact(revision::SHOW.to_owned()))].into(),
        host: None,
    }
}

/// Whether an HTTPRoute of ours exists for the model.
pub fn has_http_route(model: &Model, environment: &Environment, observed: &Observed) -> bool {
    let of_model = |route: &DynamicObject| route.labels().get(labels::MODEL) == Some(&model.name);
    let mut routes = observed.http_routes.iter();
    routes.any(|route| environment.identity.has_our_labels(route) && of_model(route))
}

/// Whether a SeldonDeployment is marked as having an HTTPRoute, so that a hook without the Gateway API need not list
/// any.
pub fn is_marked(object: &DynamicObject) -> bool {
    object.annotations().contains_key(labels::HTTP_ROUTE)
}
