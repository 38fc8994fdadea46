//! Which requests of our models other clients' routes take, by the rules of Istio and of the Gateway API.
//!
//! A gateway has a list of routes for each host, and of those that match a request's host it uses only the list of the most
//! specific one (Envoy, `config.route.v3.VirtualHost`, `domains`). [`virtual_service`] and [`http_route`] say who comes first
//! in such a list.
//!
//! Anyone may write routes, as many and as large as the API server stores. So only the answer is kept of each.

mod http_route;
mod pattern;
mod requests;
mod route;
mod virtual_service;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use super::GatewayName;
use super::hosts::HostRelation;
use super::listeners::Listeners;
use crate::labels::ObjectKind;
use pattern::{Fit, Regexes};
pub use requests::{ModelRequests, RequestKind};
pub use route::Precedence;
use route::{ParentGateway, Route, RouteMatch};

/// What a route takes of our models' requests, if they get as far as its place in the gateway's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteClaim {
    pub kind: ObjectKind,
    pub namespace: String,
    pub name: String,
    pub created: Option<Timestamp>,
    models: BTreeMap<String, BTreeSet<Claim>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub requests: RequestKind,
    pub precedence: Precedence,
    /// Whether it surely matches requests that clients send. Else it matches only some, such as those with a header, or a
    /// regular expression decides.
    pub certain: bool,
}

impl RouteClaim {
    pub fn qualified_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub fn of_model(&self, model: &str) -> impl Iterator<Item = Claim> {
        self.models.get(model).into_iter().flatten().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Whether some model is one of its catch-all's.
    pub fn has_catch_all(&self) -> bool {
        let mut claims = self.models.values().flatten();
        claims.any(|claim| claim.precedence == Precedence::CatchAll)
    }

    /// Whether it surely matches some of these requests of a model; every path does not count.
    pub fn overlaps(&self, model: &str, requests: RequestKind) -> bool {
        self.of_model(model)
            .any(|claim| claim.certain && claim.requests == requests && claim.precedence != Precedence::CatchAll)
    }

    /// Whether a gateway puts it first where age decides (`istio/istio`, `pilot/pkg/model/push_context.go`,
    /// `sortConfigByCreationTime`, and the Gateway API's `HTTPRouteRule.matches`).
    pub fn is_older_than(&self, other: &Self) -> bool {
        let key = |claim: &Self| {
            let (name, namespace) = (claim.name.clone(), claim.namespace.clone());
            match claim.kind {
                ObjectKind::HttpRoute => (claim.created, namespace, name),
                _ => (claim.created, name, namespace),
            }
        };
        key(self) < key(other)
    }
}

/// Reads the claims of routes on the requests of some models.
#[derive(Debug)]
pub struct ClaimReader<'a> {
    requests: &'a [ModelRequests],
    gateways: &'a BTreeMap<GatewayName, Listeners>,
    regexes: Regexes,
}

impl<'a> ClaimReader<'a> {
    pub fn new(requests: &'a [ModelRequests], gateways: &'a BTreeMap<GatewayName, Listeners>) -> Self {
        Self {
            requests,
            gateways,
            regexes: Regexes::new(),
        }
    }

    /// A spec of another shape claims nothing.
    pub fn read_object(&mut self, kind: ObjectKind, object: &DynamicObject) -> RouteClaim {
        let mut claim = RouteClaim {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            created: object.creation_timestamp().map(|time| time.0),
            models: BTreeMap::new(),
        };
        self.read(&mut claim, object.data.get("spec").unwrap_or(&Value::Null));
        claim
    }

    /// Reads the spec of a route whose metadata is known. A spec of another shape claims nothing.
    pub fn read_spec<'de>(
        &mut self,
        kind: ObjectKind,
        namespace: &str,
        name: &str,
        created: Option<Timestamp>,
        spec: impl serde::Deserializer<'de>,
    ) -> RouteClaim {
        let mut claim = RouteClaim {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            created,
            models: BTreeMap::new(),
        };
        self.read(&mut claim, spec);
        claim
    }

    fn read<'de>(&mut self, claim: &mut RouteClaim, spec: impl serde::Deserializer<'de>) {
        let namespace = &claim.namespace;
        let route = match claim.kind {
            ObjectKind::HttpRoute => http_route::Spec::deserialize(spec).map(|spec| spec.into_route(namespace)),
            _ => virtual_service::Spec::deserialize(spec).map(|spec| spec.into_route(namespace)),
        };
        let Ok(route) = route else {
            return;
        };
        for model in self.requests {
            let claims = self.claims(claim.kind, &route, model);
            if !claims.is_empty() {
                claim.models.insert(model.model.clone(), claims);
            }
        }
    }

    fn claims(&mut self, kind: ObjectKind, route: &Route, model: &ModelRequests) -> BTreeSet<Claim> {
        let mut claims = BTreeSet::new();
        let listeners = self.gateways.get(&model.gateway);
        let parents: Vec<&ParentGateway> = route
            .gateways
            .iter()
            .filter(|parent| parent.name == model.gateway && has_port(listeners, parent.port))
            .collect();
        let is_bound = |one: &RouteMatch| match &one.gateways {
            None => !parents.is_empty(),
            Some(gateways) => gateways.contains(&model.gateway),
        };
        let kinds = [
            Some(RequestKind::Http),
            model.grpc_host.as_ref().map(|_| RequestKind::GrpcByHost),
            Some(RequestKind::GrpcByHeaders),
        ];
        for requests in kinds.into_iter().flatten() {
            let relation = host_relation(requests, route, model, listeners);
            if relation == HostRelation::default() {
                continue;
            }
            for one in route.matches.iter().filter(|one| is_bound(one)) {
                if requests == RequestKind::GrpcByHost && relation.nearer {
                    // What it does with them does not matter: ours is not in this host's list.
                    claims.insert(Claim {
                        requests,
                        precedence: Precedence::First,
                        certain: true,
                    });
                }
                let fit = self.fit(requests, one, model, listeners);
                if fit == Fit::Never {
                    continue;
                }
                let is_every_path = one.is_every_path();
                let in_same_list = relation.same.then(|| match kind {
                    ObjectKind::HttpRoute => http_route::precedence(one, requests, model),
                    _ => Some(virtual_service::precedence(one)),
                });
                let certain = fit == Fit::Certain && requests != RequestKind::GrpcByHeaders;
                claims.extend(in_same_list.flatten().map(|precedence| Claim {
                    requests,
                    precedence,
                    certain,
                }));
                let is_nearer = relation.nearer && requests != RequestKind::GrpcByHeaders;
                claims.extend(is_nearer.then_some(Claim {
                    requests,
                    precedence: Precedence::First,
                    // A route for a whole host is rarely meant to take a model's requests.
                    certain: certain && !is_every_path,
                }));
            }
        }
        claims
    }

    /// How far a match holds for requests of a model that have come to its list.
    fn fit(
        &mut self,
        kind: RequestKind,
        one: &RouteMatch,
        model: &ModelRequests,
        listeners: Option<&Listeners>,
    ) -> Fit {
        let regexes = &mut self.regexes;
        let mut fit = if one.has_more || one.query_params > 0 {
            Fit::Possible
        } else {
            Fit::Certain
        };
        fit = fit.min(Fit::when(has_port(listeners, one.port)));
        // The cheapest first; what is decided needs no more.
        let mut and = |condition: &mut dyn FnMut(&mut Regexes) -> Fit| {
            if fit != Fit::Never {
                fit = fit.min(condition(&mut *regexes));
            }
        };
        if let Some(scheme) = &one.scheme {
            and(&mut |regexes| scheme.fits(&schemes(listeners), regexes));
        }
        if let Some(method) = &one.method {
            and(&mut |regexes| method.fits(ModelRequests::methods(kind), regexes));
        }
        for (name, value) in &one.headers {
            and(&mut |regexes| match name.as_str() {
                "host" | ":authority" => model.authority(kind, value, listeners, regexes),
                _ => model.header(kind, name, value, regexes),
            });
        }
        for (name, value) in &one.without_headers {
            // A header that clients do not send is missing.
            and(&mut |regexes| match model.header(kind, name, value, regexes) {
                Fit::Certain => Fit::Never,
                Fit::Never | Fit::Possible => Fit::Certain,
            });
        }
        if let Some(authority) = &one.authority {
            and(&mut |regexes| model.authority(kind, authority, listeners, regexes));
        }
        if let Some(path) = &one.path {
            and(&mut |regexes| path.fit(kind, model, regexes));
        }
        fit
    }
}

/// Whether the gateway has a listener at this port, as far as that is known.
fn has_port(listeners: Option<&Listeners>, port: Option<u16>) -> bool {
    let (Some(listeners), Some(port)) = (listeners, port) else {
        return true;
    };
    listeners.servers.is_empty() || listeners.ports().any(|own| own == port)
}

fn schemes(listeners: Option<&Listeners>) -> Vec<&'static str> {
    match listeners {
        Some(listeners) if listeners.http || listeners.https => {
            let http = listeners.http.then_some("http");
            http.into_iter().chain(listeners.https.then_some("https")).collect()
        }
        _ => vec!["http", "https"],
    }
}

fn host_relation(
    requests: RequestKind,
    route: &Route,
    model: &ModelRequests,
    listeners: Option<&Listeners>,
) -> HostRelation {
    let every = ["*".to_owned()];
    let served = match listeners {
        Some(listeners) if !listeners.hosts.is_empty() => listeners.hosts.as_slice(),
        _ => &every,
    };
    match (&model.grpc_host, requests) {
        (Some(host), RequestKind::GrpcByHost) => HostRelation::for_name(host, &model.hosts, &route.hosts, served),
        _ => HostRelation::new(&model.hosts, &route.hosts, served),
    }
}

#[cfg(test)]
mod tests;
