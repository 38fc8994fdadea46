//! A rollout that makes no progress: Kubernetes has a deadline for its own part of one, and none for Seldon Core's.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::StatusInput;
use super::problem::Stalled;
use crate::api::pods::Deployment;
use crate::identity::applied_at;
use crate::plan::readiness;
use crate::plan::{PlannedModel, PlannedPredictor};

/// Kubernetes' default of `progressDeadlineSeconds` (`kubernetes/kubernetes`, `pkg/apis/apps/v1/defaults.go`), which Seldon Core leaves as
/// it is.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

/// The problem of a model that is not ready although nothing is left to apply; `None` before its progress deadline.
pub fn find(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<Stalled> {
    let name = &planned.model.name;
    if input.changes.has_pending(name) || readiness::is_ready(planned, input.observed) {
        return None;
    }
    let applied = applied_at(input.observed.seldon_deployment(name)?, input.manager)?;
    let deadline = deadline(deployments);
    if let Some(late) = planned.predictors.iter().find(|late| !is_created(input, planned, late)) {
        // Where Seldon retries for ever, its Deployments keep changing, so only our own write counts.
        let waited = waited(input, applied)?;
        return (waited > deadline).then(|| Stalled::NoRollout {
            predictor: late.name.clone(),
            deadline,
            // Seldon Core up to 1.16 applies no change to a Deployment whose `replicas` it leaves to an autoscaler: its patch sets
            // them to null, which the API server takes for 1, and so it patches again, for ever. Of such a model nothing else is
            // known to keep it from being changed.
            is_autoscaled: late.replicas.is_none(),
        });
    }
    let conditions = deployments.iter().filter_map(|deployment| deployment.status.as_ref());
    let conditions: Vec<_> = conditions.flat_map(|status| &status.conditions).collect();
    let progress = conditions
        .iter()
        .filter_map(|condition| Some(condition.updated.as_ref()?.0));
    let waited = waited(input, progress.chain([applied]).max()?)?;
    let exceeded = conditions
        .iter()
        .find(|condition| condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded");
    if waited <= deadline && exceeded.is_none() {
        return None;
    }
    let state = input.observed.state(name);
    let why = match exceeded {
        Some(condition) => condition.message.clone(),
        None if !readiness::is_rolled_out(planned, input.observed) => counts(deployments),
        None => format!("Seldon Core reports {} {}", state.state, state.description),
    };
    let why = why.trim_end().to_owned();
    Some(Stalled::NoProgress { deadline, why })
}

/// Whether Seldon has created all Deployments of a predictor from the spec that was applied.
fn is_created(input: &StatusInput, planned: &PlannedModel, predictor: &PlannedPredictor) -> bool {
    let all = input
        .observed
        .deployments_of_predictor(&planned.model.name, &predictor.name);
    all.filter(|deployment| readiness::has_spec_hash(deployment, &predictor.hash))
        .count()
        >= predictor.deployments
}

fn deadline(deployments: &[&Deployment]) -> Duration {
    let deadlines = deployments
        .iter()
        .filter_map(|deployment| deployment.spec.progress_deadline_seconds);
    deadlines.max().map_or(PROGRESS_DEADLINE, Duration::from_secs)
}

/// How long ago something was; `None` where this machine's clock is behind. No message has it, as the status would change every minute.
fn waited(input: &StatusInput, since: Timestamp) -> Option<Duration> {
    Duration::try_from(input.observed.now?.duration_since(since)).ok()
}

fn counts(deployments: &[&Deployment]) -> String {
    let count = |deployment: &&Deployment| {
        let available = deployment.status.as_ref().map_or(0, |status| status.available_replicas);
        format!(
            "{}: {available} of {} pods available",
            deployment.name_any(),
            deployment.spec.replicas
        )
    };
    deployments.iter().map(count).collect::<Vec<_>>().join(", ")
}
