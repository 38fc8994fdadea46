//! Conflicts: object names, owners, finalizers and routes of other clients that prevent a model from being applied.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::json;

use super::claims::{Claims, HttpRouteClaim, RouteClaim};
use crate::gateway::GatewayName;
use crate::identity::{Identity, applied_fields, route_name};
use crate::labels::{self, ObjectKind};
use crate::observed::Observed;
use crate::plan::{PlannedModel, PlannedRoute};
use crate::text::clean;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// An object that is not ours has the name.
    NameTaken {
        kind: ObjectKind,
        name: String,
        /// Set if the object belongs to another application of this charm.
        application: Option<String>,
    },
    /// An object of ours has an additional owner, with which it would be deleted.
    ForeignOwner {
        kind: ObjectKind,
        name: String,
        /// As `Kind/name`.
        owner: String,
    },
    /// A finalizer of another client would block the deletion of our object. The charm, Seldon Core and Istio set
    /// none.
    ForeignFinalizer {
        kind: ObjectKind,
        name: String,
        finalizer: String,
    },
    /// A route that is not ours matches the model's requests.
    PrefixTaken {
        /// The model's.
        prefix: String,
        /// The kind of the route.
        kind: ObjectKind,
        /// As `namespace/name`.
        route: String,
    },
    /// A route that is not ours matches the model's gRPC requests.
    GrpcHostTaken {
        /// The model's.
        host: String,
        /// The kind of the route.
        kind: ObjectKind,
        /// As `namespace/name`.
        route: String,
    },
    /// An older VirtualService matches every path, and this Istio tries it first.
    ShadowedByCatchAll {
        /// As `namespace/name`.
        route: String,
    },
}

/// The first conflict of a model.
pub fn find(planned: &PlannedModel, observed: &Observed, identity: &Identity, claims: &Claims) -> Option<Conflict> {
    let name = &planned.model.name;
    let by_gateway_api = matches!(planned.route, PlannedRoute::HttpRoute(_));
    let (kind, route) = if by_gateway_api {
        let route = observed.http_route_in(&identity.namespace, &route_name(name));
        (ObjectKind::HttpRoute, route)
    } else {
        let route = observed.virtual_service(identity, &route_name(name));
        (ObjectKind::VirtualService, route)
    };
    let objects = || {
        let secrets = planned.secrets.iter();
        let secrets = secrets.map(|secret| {
            let existing = observed
                .secret(&secret.name)
                .or_else(|| observed.foreign_secret(&secret.name));
            (ObjectKind::Secret, existing, secret.owners())
        });
        let owners = owners(planned);
        let model = (
            ObjectKind::SeldonDeployment,
            observed.seldon_deployment(name),
            owners.clone(),
        );
        [model].into_iter().chain(secrets).chain([(kind, route, owners)])
    };
    let taken = objects().find_map(|(kind, object, _)| name_taken(kind, object?, identity));
    taken
        .or_else(|| objects().find_map(|(kind, object, owners)| foreign_attachment(kind, object?, &owners, identity)))
        .or_else(|| {
            let gateway = planned.gateway.as_ref()?;
            if by_gateway_api {
                let ours = route.map(HttpRouteClaim::read);
                http_prefix_taken(planned, gateway, ours.as_ref(), &claims.gateway)
            } else {
                prefix_taken(
                    planned,
                    gateway,
                    route.map(RouteClaim::from_object).as_ref(),
                    observed,
                    &claims.istio,
                )
            }
        })
}

/// An object with our labels is adopted: it may come from a backup, and an apply without force takes no field from
/// another manager.
fn name_taken(kind: ObjectKind, object: &DynamicObject, identity: &Identity) -> Option<Conflict> {
    (!identity.has_our_labels(object)).then(|| Conflict::NameTaken {
        kind,
        name: object.name_any(),
        application: object.labels().get(labels::APPLICATION).cloned(),
    })
}

/// Whether another client has added an owner or a finalizer to a planned object. Those that our own manager applied
/// are replaced by the apply.
fn foreign_attachment(
    kind: ObjectKind,
    object: &DynamicObject,
    owners: &[OwnerReference],
    identity: &Identity,
) -> Option<Conflict> {
    // During deletion Kubernetes adds finalizers of its own, and deletion is reported separately.
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let manager = identity.manager();
    let applied = applied_fields(object, &manager).and_then(|fields| fields.pointer("/f:metadata/f:ownerReferences"));
    let is_ours = |owner: &&OwnerReference| {
        let key = json!({"uid": owner.uid}).to_string();
        owners.iter().any(|planned| planned.uid == owner.uid)
            || applied.is_some_and(|applied| applied.get(format!("k:{key}")).is_some())
    };
    let name = object.name_any();
    let foreign = object.owner_references().iter().find(|owner| !is_ours(owner));
    if let Some(owner) = foreign {
        let owner = clean(&format!("{}/{}", owner.kind, owner.name));
        return Some(Conflict::ForeignOwner { kind, name, owner });
    }
    let finalizer = clean(object.finalizers().first()?);
    Some(Conflict::ForeignFinalizer { kind, name, finalizer })
}

/// The owners of a planned SeldonDeployment and its route.
fn owners(planned: &PlannedModel) -> Vec<OwnerReference> {
    let owners = planned.deployment.pointer("/metadata/ownerReferences");
    owners
        .and_then(|owners| Vec::deserialize(owners).ok())
        .unwrap_or_default()
}

fn http_prefix_taken(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&HttpRouteClaim>,
    claims: &[HttpRouteClaim],
) -> Option<Conflict> {
    let (hosts, prefix) = (&planned.model.hosts, &planned.model.prefix);
    // The age of our route counts only for what it claims already.
    let with_prefix = ours.filter(|ours| ours.claims_prefix(gateway, hosts, prefix));
    let older = |claim: &HttpRouteClaim, ours: Option<&HttpRouteClaim>| {
        ours.is_none_or(|ours| claim.takes_precedence_over(ours))
    };
    let qualified_name = |claim: &HttpRouteClaim| format!("{}/{}", claim.namespace, claim.name);
    let matches = |claim: &&HttpRouteClaim| {
        claim.claims_below(gateway, hosts, prefix)
            || (claim.claims_prefix(gateway, hosts, prefix) && older(claim, with_prefix))
    };
    let competitor = claims.iter().find(matches).map(|claim| Conflict::PrefixTaken {
        prefix: prefix.to_string(),
        kind: ObjectKind::HttpRoute,
        route: qualified_name(claim),
    });
    competitor.or_else(|| {
        let host = planned.model.grpc_host.as_ref()?;
        let with_host = ours.filter(|ours| ours.takes_calls(gateway, hosts, host));
        let matches = |claim: &&HttpRouteClaim| claim.takes_calls(gateway, hosts, host) && older(claim, with_host);
        claims.iter().find(matches).map(|claim| Conflict::GrpcHostTaken {
            host: host.clone(),
            kind: ObjectKind::HttpRoute,
            route: qualified_name(claim),
        })
    })
}

fn prefix_taken(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&RouteClaim>,
    observed: &Observed,
    claims: &[RouteClaim],
) -> Option<Conflict> {
    let model = &planned.model;
    // The age of our route counts only for what it claims already.
    let for_prefix = ours.filter(|ours| ours.overlaps(gateway, &model.hosts, &model.prefix));
    let takes_precedence = |claim: &&RouteClaim| for_prefix.is_none_or(|ours| claim.takes_precedence_over(ours));
    let qualified_name = |claim: &RouteClaim| format!("{}/{}", claim.namespace, claim.name);
    let competitor = claims
        .iter()
        .filter(|claim| claim.overlaps(gateway, &model.hosts, &model.prefix))
        .find(takes_precedence)
        .map(|claim| Conflict::PrefixTaken {
            prefix: model.prefix.to_string(),
            kind: ObjectKind::VirtualService,
            route: qualified_name(claim),
        });
    let catch_all = || {
        claims
            .iter()
            .filter(|claim| claim.is_catch_all(gateway, &model.hosts))
            .find(takes_precedence)
            .filter(|_| !observed.capabilities.catch_all_last)
            .map(|claim| Conflict::ShadowedByCatchAll {
                route: qualified_name(claim),
            })
    };
    competitor
        .or_else(|| grpc_host_taken(planned, gateway, ours, claims))
        .or_else(catch_all)
}

/// gRPC requests that are matched by host.
fn grpc_host_taken(
    planned: &PlannedModel,
    gateway: &GatewayName,
    ours: Option<&RouteClaim>,
    claims: &[RouteClaim],
) -> Option<Conflict> {
    let hosts = &planned.model.hosts;
    let host = planned.model.grpc_host.as_ref()?;
    let matches = |claim: &RouteClaim| claim.takes_calls(gateway, hosts, host);
    let ours = ours.filter(|ours| matches(ours));
    let takes_precedence = |claim: &RouteClaim| ours.is_none_or(|ours| claim.takes_precedence_over(ours));
    claims
        .iter()
        .find(|claim| claim.has_closer_host(gateway, hosts, host) || (matches(claim) && takes_precedence(claim)))
        .map(|claim| Conflict::GrpcHostTaken {
            host: host.clone(),
            kind: ObjectKind::VirtualService,
            route: format!("{}/{}", claim.namespace, claim.name),
        })
}
