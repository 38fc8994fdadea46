//! The writes of a hook, in their order, and the Kubernetes events about them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::DynamicObject;
use tracing::{debug, info, warn};

use crate::api_error::ApiError;
use crate::changes::{Apply, ApplyMode, Delete};
use crate::cluster;
use crate::labels::ObjectKind;
use crate::permissions::{Permission, required};
use crate::reconcile::snapshot::Snapshot;
use juju_hooks::HookContext;

/// Applies the changes in their order and returns the errors by model. A rejected model does not keep the others from being
/// served, and nothing is deleted unless everything was applied.
pub async fn apply(snapshot: &Snapshot, context: &HookContext) -> BTreeMap<String, ApiError> {
    let mut changes = AppliedChanges::default();
    let rejected = apply_changes(snapshot, &mut changes).await;
    changes.record(snapshot, context).await;
    rejected
}

async fn apply_changes(snapshot: &Snapshot, changes: &mut AppliedChanges) -> BTreeMap<String, ApiError> {
    let mut rejected = BTreeMap::new();
    // Checked before the first write, so that no model is applied by half.
    if let Err(error) = check_permissions(snapshot).await {
        return for_all(snapshot, &error);
    }
    for apply in &snapshot.changes.applies {
        if rejected.contains_key(&apply.model) {
            continue;
        }
        match snapshot.cluster.apply(apply).await {
            Ok(object) => {
                info!("applied {} {}: {}", apply.kind.as_str(), apply.name, apply.reason);
                changes.applied(apply, &object);
            }
            Err(error) if error.concerns_all() => {
                return for_all(snapshot, &snapshot.cluster.explain(error, &snapshot.needs()).await);
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

async fn check_permissions(snapshot: &Snapshot) -> Result<(), ApiError> {
    let needs = snapshot.needs();
    let writes = required(&needs).filter(Permission::writes);
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
        // A Secret is deleted after the model that reads it, and a model after its HTTPRoute, which is found only by the model.
        if !delete.kind.is_route() && kept.contains(&delete.model) {
            continue;
        }
        match snapshot.cluster.delete(delete).await {
            Ok(()) => {
                info!("deleted {kind} {name}: removed from the configuration");
                changes.deleted(delete);
            }
            // Found again by the next hook.
            Err(error) => {
                warn!("failed to delete {kind} {name}: {error}");
                kept.insert(&delete.model);
            }
        }
    }
}

/// The changes of this hook, by model.
#[derive(Default)]
struct AppliedChanges(BTreeMap<String, ModelChanges>);

#[derive(Default)]
struct ModelChanges {
    /// The SeldonDeployment, if it was applied.
    reference: Option<ObjectReference>,
    notes: Vec<String>,
}

impl AppliedChanges {
    fn applied(&mut self, apply: &Apply, object: &DynamicObject) {
        // A record of what serves is not a change to operators.
        if apply.mode == ApplyMode::Record {
            return;
        }
        let change = self.0.entry(apply.model.clone()).or_default();
        if apply.kind == ObjectKind::SeldonDeployment {
            change.reference = Some(cluster::reference(object));
        }
        change.notes.push(format!(
            "applied {} {}: {}",
            apply.kind.as_str(),
            apply.name,
            apply.reason
        ));
    }

    fn deleted(&mut self, delete: &Delete) {
        let change = self.0.entry(delete.model.clone()).or_default();
        change.notes.push(format!(
            "deleted {} {}: removed from the configuration",
            delete.kind.as_str(),
            delete.name
        ));
    }

    /// Creates one event for each model, if the charm has the permission.
    async fn record(self, snapshot: &Snapshot, context: &HookContext) {
        for (model, change) in self.0 {
            let observed = || snapshot.observed.seldon_deployment(&model).map(cluster::reference);
            let Some(reference) = change.reference.or_else(observed) else {
                continue;
            };
            let event = cluster::AppliedChange {
                regarding: reference,
                note: change.notes.join("; "),
            };
            if let Err(error) = snapshot
                .cluster
                .record(&event, &context.unit, context.event.as_str())
                .await
            {
                // Juju's log has it already, and the other events would be rejected too.
                return debug!("failed to create an event of {model}: {error}");
            }
        }
    }
}
