//! The writes of a hook, in their order, and what is said of them in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::DynamicObject;
use tracing::{debug, info, warn};

use crate::api_error::ApiError;
use crate::changes::{Apply, Delete};
use crate::cluster;
use crate::juju::Invocation;
use crate::labels::ObjectKind;
use crate::look::Look;
use crate::permissions::{Permission, rights};

/// Takes the steps in their order. A model that is refused keeps no other from being served, and nothing is removed
/// unless all went well. Gives the refusals by model.
pub async fn write(look: &Look, invocation: &Invocation) -> BTreeMap<String, ApiError> {
    let mut deeds = Deeds::default();
    let refused = take_steps(look, &mut deeds).await;
    deeds.record(look, invocation).await;
    refused
}

async fn take_steps(look: &Look, deeds: &mut Deeds) -> BTreeMap<String, ApiError> {
    let mut refused = BTreeMap::new();
    // Asked before the first write, so that nothing is left half done.
    if let Err(refusal) = may_write(look).await {
        return for_all(look, &refusal);
    }
    for apply in &look.changes.applies {
        if refused.contains_key(&apply.model) {
            continue;
        }
        match look.cluster.apply(apply).await {
            Ok(object) => {
                info!("applied {} {}: {}", apply.kind.as_str(), apply.name, apply.because);
                deeds.applied(apply, &object);
            }
            Err(refusal) if refusal.concerns_all() => {
                return for_all(look, &look.cluster.explain(refusal, look.needs()).await);
            }
            Err(refusal) => {
                refused.insert(apply.model.clone(), refusal);
            }
        }
    }
    if refused.is_empty() {
        delete(look, deeds).await;
    }
    refused
}

async fn may_write(look: &Look) -> Result<(), ApiError> {
    let writes = rights(look.needs()).filter(Permission::writes);
    let missing = look.cluster.missing(writes).await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(ApiError::Forbidden {
        why: String::new(),
        missing,
    })
}

fn for_all(look: &Look, refusal: &ApiError) -> BTreeMap<String, ApiError> {
    let models = look.plan.models.iter();
    models
        .map(|planned| (planned.model.name.clone(), refusal.clone()))
        .collect()
}

async fn delete(look: &Look, deeds: &mut Deeds) {
    let mut kept = BTreeSet::new();
    for delete in &look.changes.deletes {
        let (kind, name) = (delete.kind.as_str(), &delete.name);
        // A Secret does not go before the model that reads it, and a model not before its HTTPRoute, which is looked for only by it.
        if !delete.kind.is_route() && kept.contains(&delete.model) {
            continue;
        }
        match look.cluster.delete(delete).await {
            Ok(()) => {
                info!("deleted {kind} {name}: it is no longer asked for");
                deeds.deleted(delete);
            }
            // It is looked for again at every hook.
            Err(refusal) => {
                warn!("{kind} {name} cannot be deleted: {refusal}");
                kept.insert(&delete.model);
            }
        }
    }
}

/// What was done, by model.
#[derive(Default)]
struct Deeds(BTreeMap<String, Deed>);

#[derive(Default)]
struct Deed {
    /// The SeldonDeployment, if it was applied.
    of: Option<ObjectReference>,
    notes: Vec<String>,
}

impl Deeds {
    fn applied(&mut self, apply: &Apply, object: &DynamicObject) {
        // What only writes down what serves is no change.
        if apply.is_record {
            return;
        }
        let deed = self.0.entry(apply.model.clone()).or_default();
        if apply.kind == ObjectKind::SeldonDeployment {
            deed.of = Some(cluster::reference(object));
        }
        deed.notes.push(format!(
            "applied {} {}: {}",
            apply.kind.as_str(),
            apply.name,
            apply.because
        ));
    }

    fn deleted(&mut self, delete: &Delete) {
        let deed = self.0.entry(delete.model.clone()).or_default();
        deed.notes.push(format!(
            "deleted {} {}: it is no longer asked for",
            delete.kind.as_str(),
            delete.name
        ));
    }

    /// Says it in Kubernetes, if that may be.
    async fn record(self, look: &Look, invocation: &Invocation) {
        for (model, deed) in self.0 {
            let found = || look.observed.seldon_deployment(&model).map(cluster::reference);
            let Some(of) = deed.of.or_else(found) else {
                continue;
            };
            let event = cluster::Deed {
                of,
                note: deed.notes.join("; "),
            };
            if let Err(refusal) = look
                .cluster
                .record(&event, &invocation.unit, invocation.occasion.word())
                .await
            {
                // It was said in Juju's log, and one refusal is as good as all of them.
                return debug!("no event of {model} could be made: {refusal}");
            }
        }
    }
}
