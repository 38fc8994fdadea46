//! Compares the plan with the observed state: the writes of this hook, and the conflicts that prevent some of them.

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

#[derive(Clone, PartialEq)]
pub struct Apply {
    pub model: String,
    pub kind: ObjectKind,
    pub name: String,
    pub object: Value,
    /// What differs from the live object, for the log.
    pub because: String,
    /// Whether to take fields back from kubectl. Never from another controller: the two would overwrite each other
    /// forever.
    pub force: bool,
    /// Whether the apply removes predictors from the live SeldonDeployment.
    pub takes_away: bool,
    /// Whether only bookkeeping annotations or owner references change.
    pub is_record: bool,
    /// A merge patch to send before the apply. It removes fields that were added manually, which an apply leaves
    /// alone.
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    pub model: String,
    pub kind: ObjectKind,
    pub name: String,
    /// Guards against an object that has taken the name meanwhile.
    pub uid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// In order: the Secrets of a model, its SeldonDeployment, its route.
    pub applies: Vec<Apply>,
    /// In order: routes, SeldonDeployments, Secrets. To be done after all applies.
    pub deletes: Vec<Delete>,
    /// Deletes that have to wait until the model that takes over the prefix is ready.
    pub inherited: Vec<Delete>,
    /// Whether a route is deleted because the model is now exposed by one of the other kind.
    pub supersede: bool,
    /// By model.
    pub conflicts: BTreeMap<String, Conflict>,
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

    /// Whether predictors or routes are removed that may still get requests.
    pub fn has_deletes(&self) -> bool {
        self.supersede || self.applies.iter().any(|apply| apply.takes_away)
    }

    /// Whether a write is due that changes more than bookkeeping.
    pub fn has_writes(&self) -> bool {
        self.applies.iter().any(|apply| !apply.is_record) || !self.deletes.is_empty()
    }

    /// Whether the model needs a write to be up to date.
    pub fn has_pending(&self, model: &str) -> bool {
        let mut due = self.applies.iter().filter(|apply| !apply.is_record);
        due.any(|apply| apply.model == model) || self.unread.iter().any(|unread| unread.model == model)
    }
}

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
        // A route is deleted only when its replacement is up to date: a replacement that is about to change may be
        // rejected.
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

/// The model that an object belongs to, by its label.
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
        // Manual additions and fields without an owner do not occur together; if they do, one is removed after the
        // other.
        let by_person = step.force || step.take_out.is_some();
        step.take_out = step.take_out.or(ownerless);
        if by_person {
            let by: Vec<String> = by.into_iter().filter(|by| is_kubectl(by)).collect();
            step.because = format!("{}: it was changed by {}, and is put back", step.because, by.join(", "));
        }
    }
    Some(step)
}

/// kubectl names its managers after its commands, such as kubectl-edit (kubernetes/kubectl, pkg/cmd/*, fieldManager).
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

/// All our objects, for removal. Routes come first, so that no route has a missing backend.
pub fn removal(observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let nothing = Plan {
        prune: true,
        ..Plan::default()
    };
    deletes(&nothing, observed, identity)
}
