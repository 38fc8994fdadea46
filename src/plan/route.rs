//! Renders the VirtualService of a model.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::metadata::metadata;
use super::traffic::{Share, Traffic};
use super::types::{Environment, PlannedModel, Route};
use crate::api::istio::{
    Destination, HeaderOperations, HeaderValues, HttpMatchRequest, HttpRetry, HttpRewrite, HttpRoute, Percent,
    PortSelector, RouteDestination, StringMatch, VirtualService, VirtualServiceSpec, authority,
};
use crate::api::seldon::grpc;
use crate::config::Model;
use crate::config::value::{HeaderChanges, prefix};
use crate::gateway::GatewayName;
use crate::gateway::prefix::Prefix;
use crate::identity::route_name;
use crate::labels;
use crate::observed::Observed;

/// Below the model's prefix.
const EXPLAINER: &str = "explainer/";

type ExactHeaders = BTreeMap<String, String>;

/// `seldon_prefix` is the prefix that Seldon uses for the model, unless another model is configured with it.
pub fn virtual_service(
    planned: &PlannedModel,
    environment: &Environment,
    gateway: &GatewayName,
    traffic: &Traffic,
    seldon_prefix: Option<&Prefix>,
) -> VirtualService {
    let model = &planned.model;
    let to = |shares: &[Share], port: fn(&Share) -> u16| {
        let service = |share: &Share| Destination {
            host: format!("{}.{}.svc.cluster.local", share.service, environment.namespace),
            port: PortSelector { number: port(share) },
        };
        let alone = shares.len() == 1;
        HttpRoute {
            matches: Vec::new(),
            rewrite: None,
            route: shares
                .iter()
                .map(|share| RouteDestination {
                    destination: service(share),
                    weight: (!alone).then_some(share.weight),
                })
                .collect(),
            headers: operations(model),
            mirror: traffic.mirror.as_ref().map(service),
            mirror_percentage: traffic.mirror.as_ref().map(|share| Percent {
                value: f64::from(share.weight),
            }),
            timeout: model.timeout.map(|timeout| timeout.to_string()),
            retries: Some(
                model
                    .retries
                    .map_or_else(HttpRetry::on_lost_connections, |attempts| HttpRetry {
                        attempts,
                        retry_on: None,
                    }),
            ),
        }
    };
    let routes = |headers: &ExactHeaders, shares: &[Share]| {
        let calls = HttpRoute {
            matches: grpc_matches(model, environment, headers),
            ..to(shares, |share| share.ports.grpc)
        };
        let page = HttpRoute {
            matches: vec![api_page_match(model)],
            ..to(shares, |share| share.ports.http)
        };
        let rest = HttpRoute {
            matches: http_matches(model, seldon_prefix, headers),
            rewrite: Some(HttpRewrite { uri: "/".to_owned() }),
            ..to(shares, |share| share.ports.http)
        };
        // A browser sends the page's requests without custom headers.
        let page = (headers.is_empty() && serves_api_page(&planned.deployment)).then_some(page);
        [Some(calls), page, Some(rest)].into_iter().flatten()
    };
    // The first match wins, so the rule for all requests comes last.
    let mut http: Vec<HttpRoute> = Vec::new();
    if let (Some(canary), Some(share)) = (&model.canary, &traffic.by_header) {
        http.extend(routes(&canary.headers, std::slice::from_ref(share)));
    }
    if let Some(share) = &traffic.explainer {
        http.push(HttpRoute {
            matches: vec![HttpMatchRequest {
                authority: None,
                headers: BTreeMap::new(),
                uri: Some(StringMatch::Prefix(format!("{}{EXPLAINER}", model.prefix))),
            }],
            rewrite: Some(HttpRewrite { uri: "/".to_owned() }),
            mirror: None,
            mirror_percentage: None,
            ..to(std::slice::from_ref(share), |share| share.ports.http)
        });
    }
    http.extend(routes(&ExactHeaders::new(), &traffic.shares));
    VirtualService {
        metadata: metadata(&route_name(&model.name), model, environment),
        spec: VirtualServiceSpec {
            hosts: model.hosts.clone(),
            gateways: vec![gateway.to_string()],
            http,
        },
    }
}

fn operations(model: &Model) -> Option<HeaderOperations> {
    let changes = |changes: &HeaderChanges| {
        (!changes.is_empty()).then(|| HeaderValues {
            set: changes.set.clone(),
            add: changes.add.clone(),
            remove: changes.remove.clone(),
        })
    };
    let operations = HeaderOperations {
        request: changes(&model.headers.request),
        response: changes(&model.headers.response),
    };
    (operations != HeaderOperations::default()).then_some(operations)
}

fn exact_headers(headers: &ExactHeaders) -> BTreeMap<String, StringMatch> {
    let exact_headers = |(name, value): (&String, &String)| (name.clone(), StringMatch::Exact(value.clone()));
    headers.iter().map(exact_headers).collect()
}

/// HTTP requests: the prefix with and without its trailing slash, and Seldon's own prefix.
fn http_matches(model: &Model, seldon_prefix: Option<&Prefix>, headers: &ExactHeaders) -> Vec<HttpMatchRequest> {
    // A single prefix without the slash would match `/model/irisx` too, and leave `//` after the rewrite.
    let own = [
        StringMatch::Prefix(model.prefix.to_string()),
        StringMatch::Exact(model.prefix.bare().to_owned()),
    ];
    let seldon_prefix = seldon_prefix.map(|prefix| StringMatch::Prefix(prefix.to_string()));
    own.into_iter()
        .chain(seldon_prefix)
        .map(|uri| HttpMatchRequest {
            uri: Some(uri),
            headers: exact_headers(headers),
            authority: None,
        })
        .collect()
}

/// gRPC requests. Their path is `/service/method` and cannot have a prefix.
fn grpc_matches(model: &Model, environment: &Environment, headers: &ExactHeaders) -> Vec<HttpMatchRequest> {
    let mut required = exact_headers(headers);
    required.insert(
        grpc::CONTENT_TYPE.to_owned(),
        StringMatch::Prefix(grpc::MEDIA_TYPE.to_owned()),
    );
    let by_host = model.grpc_host.as_ref().map(|host| HttpMatchRequest {
        authority: Some(authority(host)),
        headers: required.clone(),
        uri: None,
    });
    required.insert(grpc::SELDON.to_owned(), StringMatch::Exact(model.name.clone()));
    required.insert(
        grpc::NAMESPACE.to_owned(),
        StringMatch::Exact(environment.namespace.clone()),
    );
    let by_headers = HttpMatchRequest {
        authority: None,
        headers: required,
        uri: None,
    };
    [by_headers].into_iter().chain(by_host).collect()
}

/// The prefix of a model in Seldon's own routes. The API document that the executor serves at `api/v1.0/doc/` sends
/// requests there (`SeldonIO/seldon-core` v1.17.1, `executor/api/rest/utils.go`).
pub fn seldon_prefix(model: &Model, environment: &Environment) -> Option<Prefix> {
    prefix(&format!("/seldon/{}/{}/", environment.namespace, model.name)).ok()
}

/// Whether the executor serves an API page that sends requests to the root of the host, as that of protocol v2 at
/// `v2/docs/` does (`SeldonIO/seldon-core` v1.17.1, `openapi/v2/dataplane.yaml`). The tensorflow protocol has no
/// page.
fn serves_api_page(deployment: &Value) -> bool {
    let protocol = deployment.pointer("/spec/protocol").and_then(Value::as_str);
    matches!(protocol, Some("v2" | "kfserving"))
}

/// Requests from the API page, recognized by the browser's Referer header.
fn api_page_match(model: &Model) -> HttpMatchRequest {
    let page = format!("{}v2/docs/", model.prefix).replace('.', "[.]");
    let from = StringMatch::Regex(format!("https?://[^/]+{page}.*"));
    HttpMatchRequest {
        authority: None,
        headers: [("referer".to_owned(), from)].into(),
        uri: Some(StringMatch::Prefix("/v2/".to_owned())),
    }
}

/// Marks the SeldonDeployment if an HTTPRoute of ours exists for it, so that a hook without the Gateway API need not
/// list any.
pub fn mark(planned: &mut PlannedModel, environment: &Environment, observed: &Observed) {
    let ours = [
        (labels::APPLICATION, &environment.application),
        (labels::MODEL_UUID, &environment.model_uuid),
        (labels::MODEL, &planned.model.name),
    ];
    let is_ours = |route: &DynamicObject| ours.iter().all(|(key, value)| route.labels().get(*key) == Some(*value));
    let there = observed.http_routes.iter().any(is_ours);
    if !there && !matches!(planned.route, Route::HttpRoute(_)) {
        return;
    }
    let Some(metadata) = planned.deployment.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(labels::HTTP_ROUTE.to_owned(), json!("kept"));
    }
}

pub fn is_marked(object: &DynamicObject) -> bool {
    object.annotations().contains_key(labels::HTTP_ROUTE)
}
