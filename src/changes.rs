//! From what should be and what is to what has to be done: the writes of this hook, and what stands in their way.

mod claims;
mod conflicts;
mod drift;
mod routes;
mod secrets;
mod told;
mod unmanaged;

use std::collections::BTreeMap;
use std::fmt;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;

use crate::config::value::SecretUri;
use crate::identity::{Identity, route_name};
use crate::labels::{self, ObjectKind};
use crate::observed::Observed;
use crate::plan::history;
use crate::plan::{Plan, PlannedModel, Route};
pub use claims::{RouteClaim, is_planned};
pub use conflicts::Conflict;
pub use routes::{awaits_propagation, has_catch_all};
pub use secrets::unobserved;
pub use unmanaged::{Unmanaged, unmanaged};

/// Server-side apply of an object.
#[derive(Clone, PartialEq)]
pub struct Apply {
    /// The model it is of.
    pub model: String,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// All that we say of it.
    pub object: Value,
    /// What differs from what is there, for the log.
    pub because: String,
    /// Whether fields are taken back from a person who changed them by hand. From a program they never are: the two would
    /// take them from each other for ever.
    pub force: bool,
    /// Whether predictors are taken away that are in the cluster.
    pub takes_away: bool,
    /// Whether it only writes down what serves.
    pub is_record: bool,
    /// A merge patch to begin with, where a person has added something that an apply would leave.
    pub take_out: Option<Value>,
}

impl fmt::Debug for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Apply");
        shown
            .field("model", &self.model)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("because", &self.because)
            .field("force", &self.force);
        if self.kind != ObjectKind::Secret {
            shown.field("object", &self.object).field("take_out", &self.take_out);
        }
        shown.finish_non_exhaustive()
    }
}

/// Removal of an object of ours that is no longer asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The model it was of.
    pub model: String,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Its UID: another object that took the name meanwhile is not meant.
    pub uid: Option<String>,
}

/// The writes in their order, and the models that none is for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// Objects to apply: Secrets before the model that refers to them, and that before its route.
    pub applies: Vec<Apply>,
    /// Objects to remove, to be done only once everything was applied: routes first, Secrets last.
    pub deletes: Vec<Delete>,
    /// Objects to remove later, once the model that takes over their prefix is ready.
    pub inherited: Vec<Delete>,
    /// Whether a route is among those to remove whose model is reached in another way now.
    pub supersede: bool,
    /// What stands in the way, by model.
    pub conflicts: BTreeMap<String, Conflict>,
    /// Objects with our labels that are not ours to delete.
    pub unmanaged: Vec<Unmanaged>,
    /// Secrets of Juju's that have to be read before anything of their models is written.
    pub unread: Vec<Unread>,
}

/// A secret of Juju's that has to be read, as what is made of it is missing, or somebody has changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The model that needs it.
    pub model: String,
    /// The Secret to be made of it.
    pub name: String,
    /// The secret.
    pub uri: SecretUri,
}

impl ChangeSet {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.applies.is_empty() && self.deletes.is_empty()
    }

    /// Whether all that is left is to take away predictors that requests went to before, or a route that they came by.
    pub fn has_deletes(&self) -> bool {
        self.supersede || self.applies.iter().any(|apply| apply.takes_away)
    }

    /// Whether a write is due that changes what is served, or how it is reached.
    pub fn has_writes(&self) -> bool {
        self.applies.iter().any(|apply| !apply.is_record) || !self.deletes.is_empty()
    }

    /// Whether a write is due without which that model is not as asked.
    pub fn has_pending(&self, model: &str) -> bool {
        let mut due = self.applies.iter().filter(|apply| !apply.is_record);
        due.any(|apply| apply.model == model) || self.unread.iter().any(|unread| unread.model == model)
    }
}

/// What has to be done.
pub fn change_set(plan: &Plan, observed: &Observed, identity: &Identity) -> ChangeSet {
    let mut changes = ChangeSet {
        unmanaged: unmanaged(plan, observed, identity),
        ..ChangeSet::default()
    };
    let claims = claims::Claims::of_foreign_routes(plan, observed, identity);
    for planned in &plan.models {
        let name = planned.model.name.clone();
        match conflicts::find(planned, observed, identity, &claims) {
            Some(conflict) => {
                changes.conflicts.insert(name, conflict);
            }
            None => match secrets::unread(planned) {
                unread if unread.is_empty() => changes.applies.extend(applies(planned, observed, identity)),
                unread => changes.unread.extend(unread),
            },
        }
    }
    if plan.prune && changes.conflicts.is_empty() && changes.unread.is_empty() {
        let inherited = routes::inherited(plan, observed, identity);
        // A route goes only when the one in its place is as asked: once changed, that may not be taken any more.
        let is_replaced = |delete: &Delete| {
            let mut applies = changes.applies.iter();
            !delete.kind.is_route() || !applies.any(|apply| apply.kind.is_route() && apply.model == delete.model)
        };
        (changes.inherited, changes.deletes) = deletes(plan, observed, identity)
            .into_iter()
            .filter(is_replaced)
            .partition(|delete| inherited.contains(&delete.model));
        changes.supersede = changes.deletes.iter().any(|delete| {
            let planned = plan.model(&delete.model);
            delete.kind.is_route() && planned.is_some_and(|planned| planned.route != Route::Delete)
        });
    }
    changes
}

/// The model that an object of ours is of.
fn model_of(object: &DynamicObject) -> String {
    object.labels().get(labels::MODEL).cloned().unwrap_or_default()
}

fn applies(planned: &PlannedModel, observed: &Observed, identity: &Identity) -> Vec<Apply> {
    let name = &planned.model.name;
    let mut changes: Vec<Apply> = planned
        .secrets
        .iter()
        .filter_map(|secret| {
            let live = observed.secret(&secret.name);
            apply(name, ObjectKind::Secret, &secret.object()?, live, identity)
        })
        .collect();
    changes.extend(apply(
        name,
        ObjectKind::SeldonDeployment,
        &planned.deployment,
        observed.seldon_deployment(name),
        identity,
    ));
    let route = route_name(name);
    changes.extend(match &planned.route {
        Route::VirtualService(desired) => {
            let live = observed.virtual_service(identity, &route);
            apply(name, ObjectKind::VirtualService, desired.as_ref(), live, identity)
        }
        Route::HttpRoute(desired) => {
            let live = observed.http_route_in(&identity.namespace, &route);
            apply(name, ObjectKind::HttpRoute, desired.as_ref(), live, identity)
        }
        Route::Delete | Route::Keep => None,
    });
    changes
}

fn apply(
    model: &str,
    kind: ObjectKind,
    desired: &impl Serialize,
    live: Option<&DynamicObject>,
    identity: &Identity,
) -> Option<Apply> {
    let object = serde_json::to_value(desired).ok()?;
    let name = object.pointer("/metadata/name")?.as_str()?.to_owned();
    let mut step = Apply {
        model: model.to_owned(),
        kind,
        name,
        because: "it is not there".to_owned(),
        force: false,
        takes_away: false,
        is_record: false,
        take_out: None,
        object,
    };
    if let Some(live) = live {
        let predictors = |spec: Option<&Value>| {
            spec.and_then(|spec| spec.pointer("/predictors")?.as_array())
                .map_or(0, Vec::len)
        };
        step.takes_away = predictors(live.data.get("spec")) > predictors(step.object.get("spec"));
        let manager = identity.manager();
        let added = drift::additions(&step.object, live, is_kubectl);
        let ownerless = drift::ownerless(&step.object, live).filter(|_| kind == ObjectKind::HttpRoute);
        let is_more = added.is_some() || ownerless.is_some();
        let added_only = || is_more.then(|| "more is set than was asked for".to_owned());
        step.because = drift::drift(&step.object, live, &manager).or_else(added_only)?;
        if kind != ObjectKind::Secret {
            let changes = told::summarize(&step.object, &serde_json::to_value(live).unwrap_or_default());
            if !changes.is_empty() {
                step.because = changes.join(", ");
            }
        }
        let as_recorded = match kind {
            ObjectKind::Secret => secrets::as_owned(&step.object, live),
            _ => history::as_recorded(&step.object, live),
        };
        step.is_record = !is_more && drift::drift(&as_recorded, live, &manager).is_none();
        if step.is_record && kind == ObjectKind::SeldonDeployment {
            step.because = String::from("it serves, which is written down");
        }
        let mut by = drift::competing_managers(&step.object, live, &manager);
        step.force = !by.is_empty() && by.iter().all(|competitor| is_kubectl(competitor));
        if let Some(added) = added {
            by.extend(added.by);
            step.take_out = Some(added.patch);
        }
        // What a person has added and what nobody has are not there at once, or one is taken out after the other.
        let by_person = step.force || step.take_out.is_some();
        step.take_out = step.take_out.or(ownerless);
        if by_person {
            let by: Vec<String> = by.into_iter().filter(|by| is_kubectl(by)).collect();
            step.because = format!("{}: it was changed by {}, and is put back", step.because, by.join(", "));
        }
    }
    Some(step)
}

/// Whether a field manager is what a person types with: kubectl calls itself by its commands, as in kubectl-edit
/// (kubernetes/kubectl, pkg/cmd/*, fieldManager).
fn is_kubectl(manager: &str) -> bool {
    manager == "kubectl" || manager.starts_with("kubectl-")
}

fn deletes(plan: &Plan, observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let stays = |kind, name: &str| {
        let of_plan = plan.models.iter().any(|planned| {
            let model = &planned.model.name;
            match kind {
                ObjectKind::SeldonDeployment => name == model,
                ObjectKind::VirtualService | ObjectKind::HttpRoute => {
                    name == route_name(model) && routes::stays(kind, planned, observed, identity)
                }
                ObjectKind::Secret => false,
            }
        });
        let frozen = plan.frozen.iter().any(|model| match kind {
            ObjectKind::SeldonDeployment => name == model,
            ObjectKind::VirtualService | ObjectKind::HttpRoute => name == route_name(model),
            ObjectKind::Secret => false,
        });
        of_plan || frozen
    };
    let of = |kind, objects: &[DynamicObject]| {
        objects
            .iter()
            .filter(|object| identity.owns(object))
            .filter(|object| object.metadata.deletion_timestamp.is_none())
            .filter(|object| !stays(kind, &object.name_any()))
            .map(|object| Delete {
                model: model_of(object),
                kind,
                name: object.name_any(),
                uid: object.uid(),
            })
            .collect::<Vec<_>>()
    };
    let mut deletes = of(ObjectKind::VirtualService, &observed.virtual_services);
    deletes.extend(of(ObjectKind::HttpRoute, &observed.http_routes));
    deletes.extend(of(ObjectKind::SeldonDeployment, &observed.seldon_deployments));
    deletes.extend(secrets::unused(plan, observed, identity));
    deletes
}

/// Everything of ours, for removal: routes first, so that no request finds a route to nothing.
pub fn removal(observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let nothing = Plan {
        prune: true,
        ..Plan::default()
    };
    deletes(&nothing, observed, identity)
}
