//! Compares the plan with the observed state: the writes of this hook, and the conflicts that prevent some of them.

mod access;
mod claims;
mod conflicts;
mod drift;
mod routes;
mod secrets;
mod summary;
mod unmanaged;

use std::collections::BTreeMap;
use std::fmt;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::config::value::SecretUri;
use crate::identity::{Identity, route_name};
use crate::labels::{self, ObjectKind};
use crate::observed::Observed;
use crate::plan::history;
use crate::plan::{Plan, PlannedModel, PlannedRoute};
use claims::Claims;
pub use claims::{CompetingRoute, CompetingRoutes, Competition};
pub use conflicts::Conflict;
use drift::Live;
pub use routes::{awaits_propagation, has_catch_all};
pub use unmanaged::{Unmanaged, unmanaged};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMode {
    /// Creates or changes an object. Fields of other managers are a conflict.
    Change,
    /// The same, and takes fields back from kubectl. Never from another controller: the two would overwrite each other
    /// forever.
    Force,
    /// Changes only bookkeeping annotations or owner references.
    Record,
}

#[derive(Clone, PartialEq)]
pub struct Apply {
    pub model: String,
    pub kind: ObjectKind,
    pub name: String,
    pub object: Value,
    /// What differs from the live object, for the log.
    pub reason: String,
    pub mode: ApplyMode,
    /// A merge patch to send before the apply. It removes fields that were added manually, which an apply leaves
    /// alone.
    pub removals: Option<Value>,
}

impl Apply {
    pub fn namespace(&self) -> &str {
        let namespace = self.object.pointer("/metadata/namespace");
        namespace.and_then(Value::as_str).unwrap_or_default()
    }
}

impl fmt::Debug for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Apply");
        shown
            .field("model", &self.model)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("reason", &self.reason)
            .field("mode", &self.mode);
        if self.kind != ObjectKind::Secret {
            shown.field("object", &self.object).field("removals", &self.removals);
        }
        shown.finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    pub model: String,
    pub kind: ObjectKind,
    pub namespace: String,
    pub name: String,
    /// Guards against an object that has taken the name meanwhile.
    pub uid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// In order: the Secrets of a model, its SeldonDeployment, its access policies, its route.
    pub applies: Vec<Apply>,
    /// In order: routes, access policies, SeldonDeployments, Secrets. To be done after all applies.
    pub deletes: Vec<Delete>,
    /// Deletes that have to wait until the model that takes over the prefix is ready.
    pub deferred: Vec<Delete>,
    /// Deletes that have to wait until no gateway pod leads requests there any more.
    pub withheld: Vec<Delete>,
    /// Whether predictors or routes are removed that may still get requests.
    pub removes_served: bool,
    /// By model.
    pub conflicts: BTreeMap<String, Conflict>,
    /// By model, where there are some.
    pub competing: BTreeMap<String, CompetingRoutes>,
    pub unmanaged: Vec<Unmanaged>,
    /// Juju secrets to read before anything of their models is applied.
    pub unread: Vec<Unread>,
}

/// A Juju secret to read, because the Secret made from it is missing or was changed by another client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub model: String,
    /// The Secret to make from it.
    pub name: String,
    pub uri: SecretUri,
}

impl ChangeSet {
    pub fn is_empty(&self) -> bool {
        self.applies.is_empty() && self.deletes.is_empty()
    }

    /// Whether a write is due that changes more than bookkeeping.
    pub fn has_writes(&self) -> bool {
        self.applies.iter().any(|apply| apply.mode != ApplyMode::Record) || !self.deletes.is_empty()
    }

    /// Whether a route is created or changed.
    pub fn writes_route(&self) -> bool {
        let mut applies = self.applies.iter().filter(|apply| apply.mode != ApplyMode::Record);
        applies.any(|apply| apply.kind.is_route())
    }

    /// Whether the model needs a write to be up to date.
    pub fn has_pending(&self, model: &str) -> bool {
        let mut applies = self.applies.iter().filter(|apply| apply.mode != ApplyMode::Record);
        applies.any(|apply| apply.model == model) || self.unread.iter().any(|unread| unread.model == model)
    }
}

/// # Errors
/// If a live object cannot be written as JSON.
pub fn change_set(plan: &Plan, observed: &Observed, identity: &Identity) -> Result<ChangeSet, serde_json::Error> {
    let mut changes = ChangeSet {
        unmanaged: unmanaged(plan, observed, identity),
        ..ChangeSet::default()
    };
    let claims = Claims::read(plan, observed, identity);
    for planned in &plan.models {
        let name = planned.model.name.clone();
        let competing = claims.competing(planned);
        if !competing.named.is_empty() {
            changes.competing.insert(name.clone(), competing);
        }
        match conflicts::find(planned, observed, identity, &claims) {
            Some(conflict) => {
                changes.conflicts.insert(name, conflict);
            }
            None => match secrets::unread(planned) {
                unread if unread.is_empty() => changes.applies.extend(applies(planned, observed, identity)?),
                unread => changes.unread.extend(unread),
            },
        }
    }
    if plan.prune && changes.conflicts.is_empty() && changes.unread.is_empty() {
        let deferred = routes::deferred(plan, observed, identity);
        // A route is deleted only when its replacement is up to date: a replacement that is about to change may be
        // rejected.
        let is_replaced = |delete: &Delete| {
            let mut applies = changes.applies.iter();
            !delete.kind.is_route() || !applies.any(|apply| apply.kind.is_route() && apply.model == delete.model)
        };
        let deletes: Vec<Delete> = deletes(plan, observed, identity)
            .into_iter()
            .filter(is_replaced)
            .collect();
        let (kept, deletes): (Vec<_>, Vec<_>) =
            deletes.into_iter().partition(|delete| deferred.contains(&delete.model));
        changes.deferred = kept;
        (changes.withheld, changes.deletes) = deletes
            .into_iter()
            .partition(|delete| access::is_withheld(delete, plan, observed, identity));
    }
    // A route is superseded if the model is now exposed by one of the other kind.
    let is_superseded = |delete: &Delete| {
        let planned = plan.model(&delete.model);
        delete.kind.is_route() && planned.is_some_and(|planned| planned.route != PlannedRoute::Delete)
    };
    changes.removes_served = changes.deletes.iter().any(is_superseded)
        || changes.applies.iter().any(|apply| removes_predictors(apply, observed));
    Ok(changes)
}

/// Whether an apply leaves the live SeldonDeployment with fewer predictors.
fn removes_predictors(apply: &Apply, observed: &Observed) -> bool {
    let count = |spec: Option<&Value>| {
        let predictors = spec.and_then(|spec| spec.get("predictors")?.as_array());
        predictors.map_or(0, Vec::len)
    };
    let live = observed.seldon_deployment(&apply.name);
    apply.kind == ObjectKind::SeldonDeployment
        && live.is_some_and(|live| count(live.data.get("spec")) > count(apply.object.get("spec")))
}

/// The model that an object belongs to, by its label.
fn model_of(object: &DynamicObject) -> String {
    object.labels().get(labels::MODEL).cloned().unwrap_or_default()
}

fn applies(planned: &PlannedModel, observed: &Observed, identity: &Identity) -> Result<Vec<Apply>, serde_json::Error> {
    let name = &planned.model.name;
    let mut applies = Vec::new();
    for secret in &planned.secrets {
        if let Some(object) = secret.object()? {
            let live = observed.secret(&secret.name);
            applies.extend(apply(name, ObjectKind::Secret, object, live, identity)?);
        }
    }
    let live = observed.seldon_deployment(name);
    let deployment = planned.deployment.clone();
    applies.extend(apply(name, ObjectKind::SeldonDeployment, deployment, live, identity)?);
    for policy in planned.access.iter().flat_map(|access| &access.policies) {
        let live = observed.access_policy(policy.kind, &policy.namespace, &policy.name);
        applies.extend(apply(name, policy.kind, policy.object.clone(), live, identity)?);
    }
    if planned.withholds_route() {
        return Ok(applies);
    }
    let route = route_name(name);
    applies.extend(match &planned.route {
        PlannedRoute::VirtualService(desired) => {
            let live = observed.virtual_service(&route);
            apply(name, ObjectKind::VirtualService, desired.clone(), live, identity)?
        }
        PlannedRoute::HttpRoute(desired) => {
            let live = observed.http_route(&route);
            apply(name, ObjectKind::HttpRoute, desired.clone(), live, identity)?
        }
        PlannedRoute::Delete | PlannedRoute::Keep => None,
    });
    Ok(applies)
}

/// `None` if the live object is as desired.
fn apply(
    model: &str,
    kind: ObjectKind,
    object: Value,
    live: Option<&DynamicObject>,
    identity: &Identity,
) -> Result<Option<Apply>, serde_json::Error> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let apply = Apply {
        model: model.to_owned(),
        kind,
        name: name.unwrap_or_default().to_owned(),
        reason: "new object".to_owned(),
        mode: ApplyMode::Change,
        removals: None,
        object,
    };
    match live {
        None => Ok(Some(apply)),
        Some(live) => Ok(change(apply, &Live::new(live)?, &identity.manager())),
    }
}

/// The apply of an object that exists; `None` if that is as desired.
fn change(mut apply: Apply, live: &Live, manager: &str) -> Option<Apply> {
    let added = drift::manual_additions(&apply.object, live.object, is_kubectl);
    let unowned = drift::unowned(&apply.object, live.object).filter(|_| apply.kind == ObjectKind::HttpRoute);
    let has_additions = added.is_some() || unowned.is_some();
    let has_more = || has_additions.then(|| "has additional fields".to_owned());
    apply.reason = drift::drift(&apply.object, live, manager).or_else(has_more)?;
    if apply.kind != ObjectKind::Secret {
        let changes = summary::summarize(&apply.object, &live.json);
        if !changes.is_empty() {
            apply.reason = changes.join(", ");
        }
    }
    let as_recorded = match apply.kind {
        ObjectKind::Secret => secrets::as_owned(&apply.object, &live.json),
        _ => history::as_recorded(&apply.object, live.object),
    };
    let mut managers = drift::competing_managers(&apply.object, live, manager);
    if !managers.is_empty() && managers.iter().all(|competitor| is_kubectl(competitor)) {
        apply.mode = ApplyMode::Force;
    } else if !has_additions && drift::drift(&as_recorded, live, manager).is_none() {
        apply.mode = ApplyMode::Record;
        match apply.kind {
            ObjectKind::SeldonDeployment => "records the served options".clone_into(&mut apply.reason),
            kind if kind.is_route() || kind.is_access_policy() => {
                "records whether its gateway serves it".clone_into(&mut apply.reason);
            }
            _ => {}
        }
    }
    if let Some(added) = added {
        managers.extend(added.managers);
        apply.removals = Some(added.patch);
    }
    // Manual additions and fields without an owner do not occur together; if they do, one is removed after the other.
    let is_manual = apply.mode == ApplyMode::Force || apply.removals.is_some();
    apply.removals = apply.removals.or(unowned);
    if is_manual {
        let managers: Vec<String> = managers.into_iter().filter(|manager| is_kubectl(manager)).collect();
        apply.reason = format!("{}; reverts changes by {}", apply.reason, managers.join(", "));
    }
    Some(apply)
}

/// kubectl names its managers after its commands, such as kubectl-edit (kubernetes/kubectl, pkg/cmd/*, fieldManager).
fn is_kubectl(manager: &str) -> bool {
    manager == "kubectl" || manager.starts_with("kubectl-")
}

fn deletes(plan: &Plan, observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let is_kept = |kind, object: &DynamicObject| {
        let name = object.name_any();
        let planned = plan.models.iter().any(|planned| {
            let model = &planned.model.name;
            match kind {
                ObjectKind::SeldonDeployment => name == *model,
                ObjectKind::VirtualService | ObjectKind::HttpRoute => {
                    name == route_name(model) && routes::is_kept(kind, planned, observed)
                }
                ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => {
                    model_of(object) == *model && access::is_kept(kind, object, planned)
                }
                ObjectKind::Secret => false,
            }
        });
        let frozen = plan.frozen.iter().any(|model| match kind {
            ObjectKind::SeldonDeployment => name == *model,
            ObjectKind::VirtualService | ObjectKind::HttpRoute => name == route_name(model),
            ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => model_of(object) == *model,
            ObjectKind::Secret => false,
        });
        planned || frozen
    };
    let unplanned = |kind: ObjectKind, objects: &[DynamicObject]| {
        let is_ours = |object: &&DynamicObject| {
            if kind.is_access_policy() {
                identity.has_applied(object)
            } else {
                identity.owns(object)
            }
        };
        objects
            .iter()
            .filter(is_ours)
            .filter(|object| object.metadata.deletion_timestamp.is_none())
            .filter(|object| !is_kept(kind, object))
            .map(|object| Delete::of(kind, object))
            .collect::<Vec<_>>()
    };
    let mut deletes = unplanned(ObjectKind::VirtualService, &observed.virtual_services);
    deletes.extend(unplanned(ObjectKind::HttpRoute, &observed.http_routes));
    // What denies goes before what tells whom to let in.
    deletes.extend(unplanned(
        ObjectKind::AuthorizationPolicy,
        &observed.authorization_policies,
    ));
    deletes.extend(unplanned(
        ObjectKind::RequestAuthentication,
        &observed.request_authentications,
    ));
    deletes.extend(unplanned(ObjectKind::SeldonDeployment, &observed.seldon_deployments));
    deletes.extend(secrets::unused(plan, observed, identity));
    deletes
}

impl Delete {
    fn of(kind: ObjectKind, object: &DynamicObject) -> Self {
        Self {
            model: model_of(object),
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid(),
        }
    }
}

/// All our objects, for removal. Routes come first, so that no route has a missing backend.
pub fn removal(observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let empty = Plan {
        prune: true,
        ..Plan::default()
    };
    deletes(&empty, observed, identity)
}
