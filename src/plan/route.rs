//! Renders the VirtualService of a model.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::metadata::metadata;
use super::traffic::{Share, Traffic};
use super::types::{PlannedModel, Route, Site};
use crate::api::istio::{
    Destination, HeaderOperations, HeaderValues, HttpMatch, HttpRoute, Percent, Port, Retries, Rewrite, Service, Text,
    VirtualService, VirtualServiceSpec, authority,
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

type Headers = BTreeMap<String, String>;

/// `seldon_prefix` is the prefix that Seldon uses for the model, unless another model is configured with it.
pub fn virtual_service(
    planned: &PlannedModel,
    site: &Site,
    gateway: &GatewayName,
    traffic: &Traffic,
    seldons: Option<&Prefix>,
) -> VirtualService {
    let model = &planned.model;
    let to = |shares: &[Share], port: fn(&Share) -> u16| {
        let service = |share: &Share| Service {
            host: format!("{}.{}.svc.cluster.local", share.service, site.namespace),
            port: Port { number: port(share) },
        };
        let alone = shares.len() == 1;
        HttpRoute {
            matches: Vec::new(),
            rewrite: None,
            route: shares
                .iter()
                .map(|share| Destination {
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
                    .map_or_else(Retries::of_lost_connections, |attempts| Retries {
                        attempts,
                        retry_on: None,
                    }),
            ),
        }
    };
    let routes = |headers: &Headers, shares: &[Share]| {
        let calls = HttpRoute {
            matches: grpc_matches(model, site, headers),
            ..to(shares, |share| share.ports.grpc)
        };
        let page = HttpRoute {
            matches: vec![of_the_page(model)],
            ..to(shares, |share| share.ports.http)
        };
        let rest = HttpRoute {
            matches: http_matches(model, seldons, headers),
            rewrite: Some(Rewrite { uri: "/".to_owned() }),
            ..to(shares, |share| share.ports.http)
        };
        // A browser sends the page's requests without custom headers.
        let page = (headers.is_empty() && asks_at_the_root(&planned.deployment)).then_some(page);
        [Some(calls), page, Some(rest)].into_iter().flatten()
    };
    // The first match wins, so the rule for all requests comes last.
    let mut http: Vec<HttpRoute> = Vec::new();
    if let (Some(canary), Some(share)) = (&model.canary, &traffic.by_header) {
        http.extend(routes(&canary.headers, std::slice::from_ref(share)));
    }
    if let Some(share) = &traffic.explainer {
        http.push(HttpRoute {
            matches: vec![HttpMatch {
                authority: None,
                headers: BTreeMap::new(),
                uri: Some(Text::Prefix(format!("{}{EXPLAINER}", model.prefix))),
            }],
            rewrite: Some(Rewrite { uri: "/".to_owned() }),
            mirror: None,
            mirror_percentage: None,
            ..to(std::slice::from_ref(share), |share| share.ports.http)
        });
    }
    http.extend(routes(&Headers::new(), &traffic.shares));
    VirtualService {
        metadata: metadata(&route_name(&model.name), model, site),
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

fn exactly(headers: &Headers) -> BTreeMap<String, Text> {
    let exactly = |(name, value): (&String, &String)| (name.clone(), Text::Exact(value.clone()));
    headers.iter().map(exactly).collect()
}

/// HTTP requests: the prefix with and without its trailing slash, and Seldon's own prefix.
fn http_matches(model: &Model, seldons: Option<&Prefix>, headers: &Headers) -> Vec<HttpMatch> {
    // A single prefix without the slash would match `/model/irisx` too, and leave `//` after the rewrite.
    let own = [
        Text::Prefix(model.prefix.to_string()),
        Text::Exact(model.prefix.bare().to_owned()),
    ];
    let seldons = seldons.map(|prefix| Text::Prefix(prefix.to_string()));
    own.into_iter()
        .chain(seldons)
        .map(|uri| HttpMatch {
            uri: Some(uri),
            headers: exactly(headers),
            authority: None,
        })
        .collect()
}

/// gRPC requests. Their path is `/service/method` and cannot have a prefix.
fn grpc_matches(model: &Model, site: &Site, headers: &Headers) -> Vec<HttpMatch> {
    let mut with = exactly(headers);
    with.insert(grpc::CONTENT_TYPE.to_owned(), Text::Prefix(grpc::MEDIA_TYPE.to_owned()));
    let by_host = model.grpc_host.as_ref().map(|host| HttpMatch {
        authority: Some(authority(host)),
        headers: with.clone(),
        uri: None,
    });
    with.insert(grpc::SELDON.to_owned(), Text::Exact(model.name.clone()));
    with.insert(grpc::NAMESPACE.to_owned(), Text::Exact(site.namespace.clone()));
    let by_headers = HttpMatch {
        authority: None,
        headers: with,
        uri: None,
    };
    [by_headers].into_iter().chain(by_host).collect()
}

/// The prefix of a model in Seldon's own routes. The API document that the executor serves at `api/v1.0/doc/` sends
/// requests there (`SeldonIO/seldon-core` v1.17.1, `executor/api/rest/utils.go`).
pub fn seldons_prefix(model: &Model, site: &Site) -> Option<Prefix> {
    prefix(&format!("/seldon/{}/{}/", site.namespace, model.name)).ok()
}

/// Whether the executor serves an API page that sends requests to the root of the host, as that of protocol v2 at
/// `v2/docs/` does (`SeldonIO/seldon-core` v1.17.1, `openapi/v2/dataplane.yaml`). The tensorflow protocol has no
/// page.
fn asks_at_the_root(deployment: &Value) -> bool {
    let protocol = deployment.pointer("/spec/protocol").and_then(Value::as_str);
    matches!(protocol, Some("v2" | "kfserving"))
}

/// Requests from the API page, recognized by the browser's Referer header.
fn of_the_page(model: &Model) -> HttpMatch {
    let page = format!("{}v2/docs/", model.prefix).replace('.', "[.]");
    let from = Text::Regex(format!("https?://[^/]+{page}.*"));
    HttpMatch {
        authority: None,
        headers: [("referer".to_owned(), from)].into(),
        uri: Some(Text::Prefix("/v2/".to_owned())),
    }
}

/// Marks the SeldonDeployment if an HTTPRoute of ours exists for it, so that a hook without the Gateway API need not
/// list any.
pub fn mark(planned: &mut PlannedModel, site: &Site, observed: &Observed) {
    let ours = [
        (labels::APPLICATION, &site.application),
        (labels::MODEL_UUID, &site.model_uuid),
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
