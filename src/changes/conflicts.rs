//! Conflicts: object names, owners, finalizers and routes of other clients that prevent a model from being applied.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::json;

use super::claims::Claims;
use crate::gateway::claims::{Precedence, RequestKind};
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
    let (kind, route) = match planned.route {
        PlannedRoute::HttpRoute(_) => (ObjectKind::HttpRoute, observed.http_route(&route_name(name))),
        _ => (ObjectKind::VirtualService, observed.virtual_service(&route_name(name))),
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
        .or_else(|| requests_taken(planned, observed, claims))
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

/// A route that surely gets requests of the model first.
fn requests_taken(planned: &PlannedModel, observed: &Observed, claims: &Claims) -> Option<Conflict> {
    let model = &planned.model;
    let taken = |requests: RequestKind| {
        claims.taken(planned, move |claim| {
            claim.requests == requests && claim.precedence != Precedence::CatchAll
        })
    };
    let prefix = taken(RequestKind::Http).map(|route| Conflict::PrefixTaken {
        prefix: model.prefix.to_string(),
        kind: route.kind,
        route: route.qualified_name(),
    });
    let grpc_host = || {
        let host = model.grpc_host.clone()?;
        taken(RequestKind::GrpcByHost).map(|route| Conflict::GrpcHostTaken {
            host,
            kind: route.kind,
            route: route.qualified_name(),
        })
    };
    let catch_all = || {
        let keeps_place = !observed.capabilities.catch_all_last;
        let route = claims.taken(planned, |claim| keeps_place && claim.precedence == Precedence::CatchAll)?;
        Some(Conflict::ShadowedByCatchAll {
            route: route.qualified_name(),
        })
    };
    prefix.or_else(grpc_host).or_else(catch_all)
}
