//! When access policies of ours may be deleted: not before every gateway pod has lost the routes that they are for.

use kube::api::DynamicObject;

use super::{Delete, model_of};
use crate::identity::{Identity, route_name};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::types::Enforcement;
use crate::plan::{Plan, PlannedModel, PlannedRoute, served};

/// Whether a policy is kept while its model is.
pub fn is_kept(kind: ObjectKind, object: &DynamicObject, planned: &PlannedModel) -> bool {
    match (&planned.model.access, &planned.access) {
        (None, _) => false,
        (Some(_), Some(access)) => {
            // Where they belong may be known again at the next look.
            let is_unknown = matches!(access.enforcement, Enforcement::NoPlace(_) | Enforcement::Unsupported);
            is_unknown || access.is_planned(kind, object)
        }
        // Without a gateway, the route may stay.
        (Some(_), None) => planned.route != PlannedRoute::Delete,
    }
}

/// Whether a delete has to wait for the gateway: that of a policy while a route leads where it denies, and until then that of
/// the model by which the policy is found.
pub fn is_withheld(delete: &Delete, plan: &Plan, observed: &Observed, identity: &Identity) -> bool {
    let is_waited_for = match delete.kind {
        ObjectKind::VirtualService | ObjectKind::HttpRoute => false,
        ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => true,
        ObjectKind::SeldonDeployment | ObjectKind::Secret => {
            let mut policies = observed
                .access_policies(ObjectKind::AuthorizationPolicy)
                .chain(observed.access_policies(ObjectKind::RequestAuthentication));
            plan.model(&delete.model).is_none()
                && policies.any(|object| model_of(object) == delete.model && identity.has_applied(object))
        }
    };
    is_waited_for && leads_there(&delete.model, plan, observed, identity)
}

/// Whether a gateway may still have a route of the model that its planned policies are not for.
fn leads_there(model: &str, plan: &Plan, observed: &Observed, identity: &Identity) -> bool {
    let name = route_name(model);
    let routes = [observed.virtual_service(&name), observed.http_route(&name)];
    let mut routes = routes.into_iter().flatten().filter(|route| identity.owns(route));
    match plan.model(model) {
        // With this option unset, everyone may.
        Some(planned) if planned.model.access.is_none() => false,
        Some(planned) if planned.gateway.is_some() => {
            let manager = identity.manager();
            planned.withholds_route()
                || !served::is_current(planned, observed)
                || routes.any(|route| !served::is_propagated(route, observed, &manager))
        }
        _ => routes.next().is_some(),
    }
}
