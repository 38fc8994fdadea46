//! The writes of a hook, in their order, and what is said of them in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::DynamicObject;
use tracing::{debug, info, warn};

use crate::api_error::ApiError;
use crate::changes::{Apply, Delete};
use crate::cluster;
use crate::labels::ObjectKind;
use crate::permissions::{Permission, required};
use crate::reconcile::snapshot::Snapshot;
use juju_hooks::HookContext;

/// Takes the steps in their order. A model that is refused keeps no other from being served, and nothing is removed
/// unless all went well. Gives the refusals by model.
pub async fn apply(snapshot: &Snapshot, context: &HookContext) -> BTreeMap<String, ApiError> {
    let mut changes = AppliedChanges::default();
    let rejected = apply_changes(snapshot, &mut changes).await;
    changes.record(snapshot, context).await;
    rejected
}

async fn apply_changes(snapshot: &Snapshot, changes: &mut AppliedChanges) -> BTreeMap<String, ApiError> {
    let mut rejected = BTreeMap::new();
    // Asked before the first write, so that nothing is left half done.
    if let Err(error) = still_leads(snapshot).await {
        return for_all(snapshot, &error);
    }
    for apply in &snapshot.changes.applies {
        if rejected.contains_key(&apply.model) {
            continue;
        }
        match snapshot.cluster.apply(apply).await {
            Ok(object) => {
                info!("applied {} {}: {}", apply.kind.as_str(), apply.name, apply.because);
                changes.applied(apply, &object);
            }
            Err(error) if error.concerns_all() => {
                return for_all(snapshot, &snapshot.cluster.explain(error, snapshot.needs()).await);
            }
            Err(error) => {
                rejected.insert(apply.model.clone(), error);
            }
        }
    }
    if rejected.is_empty() {
        delete(snapshot, changes).await;
    }
    rejected
}

async fn still_leads(snapshot: &Snapshot) -> Result<(), ApiError> {
    let writes = required(snapshot.needs()).filter(Permission::writes);
    let missing = snapshot.cluster.missing(writes).await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(ApiError::Forbidden {
        why: String::new(),
        missing,
    })
}

fn for_all(snapshot: &Snapshot, error: &ApiError) -> BTreeMap<String, ApiError> {
    let models = snapshot.plan.models.iter();
    models
        .map(|planned| (planned.model.name.clone(), error.clone()))
        .collect()
}

async fn delete(snapshot: &Snapshot, changes: &mut AppliedChanges) {
    let mut kept = BTreeSet::new();
    for delete in &snapshot.changes.deletes {
        let (kind, name) = (delete.kind.as_str(), &delete.name);
        // A Secret does not go before the model that reads it, and a model not before its HTTPRoute, which is looked for only by it.
        if !delete.kind.is_route() && kept.contains(&delete.model) {
            continue;
        }
        match snapshot.cluster.delete(delete).await {
            Ok(()) => {
                info!("deleted {kind} {name}: it is no longer asked for");
                changes.deleted(delete);
            }
            // It is looked for again at every hook.
            Err(error) => {
                warn!("{kind} {name} cannot be deleted: {error}");
                kept.insert(&delete.model);
            }
        }
    }
}

/// What was done, by model.
#[derive(Default)]
struct AppliedChanges(BTreeMap<String, Deed>);

#[derive(Default)]
struct Deed {
    /// The SeldonDeployment, if it was applied.
    of: Option<ObjectReference>,
    notes: Vec<String>,
}

impl AppliedChanges {
    fn applied(&mut self, apply: &Apply, object: &DynamicObject) {
        // What only writes down what serves is no change.
        if apply.is_record {
            return;
        }
        let change = self.0.entry(apply.model.clone()).or_default();
        if apply.kind == ObjectKind::SeldonDeployment {
            change.of = Some(cluster::reference(object));
        }
        change.notes.push(format!(
            "applied {} {}: {}",
            apply.kind.as_str(),
            apply.name,
            apply.because
        ));
    }

    fn deleted(&mut self, delete: &Delete) {
        let change = self.0.entry(delete.model.clone()).or_default();
        change.notes.push(format!(
            "deleted {} {}: it is no longer asked for",
            delete.kind.as_str(),
            delete.name
        ));
    }

    /// Says it in Kubernetes, if that may be.
    async fn record(self, snapshot: &Snapshot, context: &HookContext) {
        for (model, change) in self.0 {
            let found = || snapshot.observed.seldon_deployment(&model).map(cluster::reference);
            let Some(of) = change.of.or_else(found) else {
                continue;
            };
            let event = cluster::AppliedChange {
                of,
                note: change.notes.join("; "),
            };
            if let Err(error) = snapshot
                .cluster
                .record(&event, &context.unit, context.event.as_str())
                .await
            {
                // It was said in Juju's log, and one refusal is as good as all of them.
                return debug!("no event of {model} could be made: {error}");
            }
        }
    }
}
