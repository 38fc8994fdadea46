//! What stands in the way of a model: names that are somebody else's, and requests that go to somebody else.

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::Kind;
use super::routes::Claims;
use crate::config::value::GatewayName;
use crate::gateway_api;
use crate::istio::rival::Claim;
use crate::observed::{Identity, Observed, claim};
use crate::render::{PlannedModel, Route, label, route_name};

/// Why nothing of a model is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The name is taken by an object that is not ours.
    Foreign {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// The application that made it, if it is one of this charm.
        application: Option<String>,
    },
    /// Its requests are claimed by a route that is not ours.
    Rival {
        /// The prefix that was asked for.
        prefix: String,
        /// The kind of the route.
        kind: Kind,
        /// The route, as `namespace/name`.
        route: String,
    },
    /// Its calls over gRPC are claimed by a route that is not ours.
    GrpcRival {
        /// The host that was asked for.
        host: String,
        /// The kind of the route.
        kind: Kind,
        /// The route, as `namespace/name`.
        route: String,
    },
    /// An older route takes every path, and this Istio asks it first.
    Hidden {
        /// The VirtualService, as `namespace/name`.
        route: String,
    },
}

/// The first thing that stands in the way of a model; `claims` are those of routes that stay beside it.
pub fn find(planned: &PlannedModel, observed: &Observed, identity: &Identity, claims: &Claims) -> Option<Obstacle> {
    let name = &planned.model.name;
    let by_gateway_api = matches!(planned.route, Route::SetHttp(_));
    let (kind, route) = if by_gateway_api {
        let route = observed.http_route_in(&identity.namespace, &route_name(name));
        (Kind::HttpRoute, route)
    } else {
        let route = observed.virtual_service(identity, &route_name(name));
        (Kind::VirtualService, route)
    };
    let foreign = |kind, object: Option<&DynamicObject>| {
        object
            .filter(|object| !identity.owns(object))
            .map(|object| Obstacle::Foreign {
                kind,
                name: object.name_any(),
                application: object.labels().get(label::APPLICATION).cloned(),
            })
    };
    let mut secrets = planned.secrets.iter();
    foreign(Kind::SeldonDeployment, observed.seldon_deployment(name))
        .or_else(|| secrets.find_map(|secret| foreign(Kind::Secret, observed.secret(&secret.name))))
        .or_else(|| foreign(kind, route))
        .or_else(|| {
            let gateway = planned.gateway.as_ref()?;
            if by_gateway_api {
                let ours = route.map(gateway_api::rival::Claim::read);
                http_rival(planned, gateway, ours.as_ref(), &claims.gateway)
            } else {
                rival(planned, gateway, route.map(claim).as_ref(), observed, &claims.istio)
            }
        })
}

/// Whoever gets requests of ours at a gateway of the Gateway API.
fn http_rival(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&gateway_api::rival::Claim>,
    claims: &[gateway_api::rival::Claim],
) -> Option<Obstacle> {
    let (hosts, prefix) = (&planned.model.hosts, &planned.model.prefix);
    // Ours counts as the older one only for what it has already.
    let with_prefix = ours.filter(|ours| ours.has(gateway, hosts, prefix));
    let older = |claim: &gateway_api::rival::Claim, ours: Option<&gateway_api::rival::Claim>| {
        ours.is_none_or(|ours| claim.goes_before(ours))
    };
    let place = |claim: &gateway_api::rival::Claim| format!("{}/{}", claim.namespace, claim.name);
    let takes = |claim: &&gateway_api::rival::Claim| {
        claim.is_below(gateway, hosts, prefix) || (claim.has(gateway, hosts, prefix) && older(claim, with_prefix))
    };
    let rival = claims.iter().find(takes).map(|claim| Obstacle::Rival {
        prefix: prefix.to_string(),
        kind: Kind::HttpRoute,
        route: place(claim),
    });
    rival.or_else(|| {
        let host = planned.model.grpc_host.as_ref()?;
        let with_host = ours.filter(|ours| ours.takes_calls(gateway, hosts, host));
        let takes =
            |claim: &&gateway_api::rival::Claim| claim.takes_calls(gateway, hosts, host) && older(claim, with_host);
        claims.iter().find(takes).map(|claim| Obstacle::GrpcRival {
            host: host.clone(),
            kind: Kind::HttpRoute,
            route: place(claim),
        })
    })
}

fn rival(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&Claim>,
    observed: &Observed,
    claims: &[Claim],
) -> Option<Obstacle> {
    let model = &planned.model;
    // Ours counts as the older one only for what it has already.
    let for_prefix = ours.filter(|ours| ours.overlaps(gateway, &model.hosts, &model.prefix));
    let goes_before_us = |claim: &&Claim| for_prefix.is_none_or(|ours| claim.goes_before(ours));
    let place = |claim: &Claim| format!("{}/{}", claim.namespace, claim.name);
    let rival = claims
        .iter()
        .filter(|claim| claim.overlaps(gateway, &model.hosts, &model.prefix))
        .find(goes_before_us)
        .map(|claim| Obstacle::Rival {
            prefix: model.prefix.to_string(),
            kind: Kind::VirtualService,
            route: place(claim),
        });
    let hidden = || {
        claims
            .iter()
            .filter(|claim| claim.takes_everything(gateway, &model.hosts))
            .find(goes_before_us)
            .filter(|_| !observed.catch_all_goes_last)
            .map(|claim| Obstacle::Hidden { route: place(claim) })
    };
    rival
        .or_else(|| rival_for_calls(planned, gateway, ours, claims))
        .or_else(hidden)
}

/// Whoever gets the calls over gRPC that are known by their host.
fn rival_for_calls(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&Claim>,
    claims: &[Claim],
) -> Option<Obstacle> {
    let hosts = &planned.model.hosts;
    let host = planned.model.grpc_host.as_ref()?;
    let takes = |claim: &Claim| claim.takes_calls(gateway, hosts, host);
    let ours = ours.filter(|ours| takes(ours));
    let goes_before_us = |claim: &Claim| ours.is_none_or(|ours| claim.goes_before(ours));
    claims
        .iter()
        .find(|claim| claim.is_nearer(gateway, hosts, host) || (takes(claim) && goes_before_us(claim)))
        .map(|claim| Obstacle::GrpcRival {
            host: host.clone(),
            kind: Kind::VirtualService,
            route: format!("{}/{}", claim.namespace, claim.name),
        })
}
