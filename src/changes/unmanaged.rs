//! Objects that carry our labels without being ours. Any client with write access can set labels.

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use crate::identity::{Identity, route_name};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::Plan;

/// An object with our labels that our manager did not apply: a copy, or one restored from a backup. It is left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmanaged {
    pub kind: ObjectKind,
    pub name: String,
}

pub fn unmanaged(plan: &Plan, observed: &Observed, identity: &Identity) -> Vec<Unmanaged> {
    let is_named = |kind, name: &str| {
        let planned = plan.models.iter().any(|planned| match kind {
            ObjectKind::Secret => planned.secrets.iter().any(|secret| secret.name == name),
            ObjectKind::SeldonDeployment => planned.model.name == name,
            ObjectKind::VirtualService | ObjectKind::HttpRoute => route_name(&planned.model.name) == name,
            ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => false,
        });
        planned
            || plan.frozen.iter().any(|model| match kind {
                ObjectKind::Secret | ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => false,
                ObjectKind::SeldonDeployment => model == name,
                ObjectKind::VirtualService | ObjectKind::HttpRoute => route_name(model) == name,
            })
    };
    let as_unmanaged = |kind, object: &DynamicObject| {
        let name = object.name_any();
        let is_unmanaged = identity.has_our_labels(object) && !identity.owns(object) && !is_named(kind, &name);
        is_unmanaged.then_some(Unmanaged { kind, name })
    };
    let routes = observed.virtual_services.iter();
    let http_routes = observed.http_routes.iter();
    let models = observed.seldon_deployments.iter();
    let secrets = observed.secrets.iter().map(|secret| &secret.0);
    models
        .filter_map(|object| as_unmanaged(ObjectKind::SeldonDeployment, object))
        .chain(routes.filter_map(|object| as_unmanaged(ObjectKind::VirtualService, object)))
        .chain(http_routes.filter_map(|object| as_unmanaged(ObjectKind::HttpRoute, object)))
        .chain(secrets.filter_map(|object| as_unmanaged(ObjectKind::Secret, object)))
        .collect()
}
