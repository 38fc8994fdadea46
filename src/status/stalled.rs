//! A rollout that makes no progress: Kubernetes gives one a deadline, and nobody gives Seldon Core one.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::{StatusInput, messages};
use crate::api::pods::Deployment;
use crate::config::Model;
use crate::identity::applied_at;
use crate::plan::readiness;
use crate::plan::{PlannedModel, PlannedPredictor};
use crate::shell::{command, juju_config};

/// Kubernetes' default of `progressDeadlineSeconds` (`kubernetes/kubernetes`, `pkg/apis/apps/v1/defaults.go`), which Seldon Core leaves as
/// it is.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

/// The fault of a model that is not ready although nothing is left to apply, once its progress deadline is over; `None` before that.
pub fn find(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<String> {
    let name = &planned.model.name;
    if input.changes.has_pending(name) || readiness::is_ready(planned, input.observed) {
        return None;
    }
    let applied = applied_at(input.observed.seldon_deployment(name)?, input.manager)?;
    let deadline = deadline(deployments);
    if let Some(late) = planned.predictors.iter().find(|late| !is_created(input, planned, late)) {
        // Its Deployments change all the while where Seldon tries again and again, so only our own write counts.
        let waited = waited(input, applied)?;
        return (waited > deadline).then(|| not_created(input, planned, late, deadline));
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
        None => format!("Seldon Core's state is {:?} {}", state.state, state.description),
    };
    Some(format!(
        "{name}: no progress for over {}. Run: {} ({})",
        minutes(deadline),
        command(&["juju", "run", &format!("{}/leader", input.application), "diagnose"]),
        why.trim_end()
    ))
}

/// Whether Seldon has made all Deployments of a predictor from the spec that was applied.
fn is_created(input: &StatusInput, planned: &PlannedModel, predictor: &PlannedPredictor) -> bool {
    let all = input
        .observed
        .deployments_of_predictor(&planned.model.name, &predictor.name);
    all.filter(|deployment| readiness::has_spec_hash(deployment, &predictor.hash))
        .count()
        >= predictor.deployments
}

fn deadline(deployments: &[&Deployment]) -> Duration {
    let said = deployments
        .iter()
        .filter_map(|deployment| deployment.spec.progress_deadline_seconds);
    said.max().map_or(PROGRESS_DEADLINE, Duration::from_secs)
}

/// How long ago something was, which is in no message: a status that changes every minute is none; `None` for what is still to come by this machine's clock.
fn waited(input: &StatusInput, since: Timestamp) -> Option<Duration> {
    Duration::try_from(input.observed.now?.duration_since(since)).ok()
}

/// Seldon Core up to 1.16 applies no change to a Deployment whose `replicas` it leaves to an autoscaler: its patch sets them to null, which the
/// API server takes for 1, and so it patches again, for ever. Of such a model nothing else is known to keep it from being changed.
fn not_created(input: &StatusInput, planned: &PlannedModel, late: &PlannedPredictor, deadline: Duration) -> String {
    let who = messages::predictor_prefix(planned, &late.name);
    let minutes = minutes(deadline);
    if late.replicas.is_none() {
        let (fix, without) = without_autoscaler(&planned.model, input.application);
        return format!(
            "{who}: Seldon Core has not rolled it out for over {minutes}. Run: {fix} ({without}its versions up to 1.16 change no model that is autoscaled)"
        );
    }
    let status = command(&["juju", "status", "seldon-core"]);
    format!("{who}: Seldon Core has not rolled it out for over {minutes}. Run: {status} (is it active?)")
}

/// What an operator types so that a model is not autoscaled, and what is to be taken out of the file for that.
fn without_autoscaler(model: &Model, application: &str) -> (String, &'static str) {
    if model.is_entry {
        (
            juju_config(application, "models", "@models.yaml"),
            "without autoscale: ",
        )
    } else if model.manifest.is_some() {
        (
            juju_config(application, "manifest", "@manifest.yaml"),
            "without hpaSpec and kedaSpec: ",
        )
    } else {
        (juju_config(application, "autoscale", ""), "")
    }
}

/// How many pods there are of how many.
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

fn minutes(time: Duration) -> String {
    format!("{} minutes", time.as_secs() / 60)
}
