//! Decides whether a model is ready. Pure; this is the only place that decides it.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::types::{PlannedModel, PlannedPredictor};
use crate::api::pods::Deployment;
use crate::labels;
use crate::observed::Observed;

/// How long a change takes at most to reach the gateway. Up to 0.4 s was measured on two busy cores.
pub const GATEWAY_PROPAGATION: Duration = Duration::from_secs(2);

/// A model is ready when Seldon reports it Available and each of its Deployments carries the planned spec hash, has
/// observed its newest generation, and has all replicas updated and available.
pub fn is_ready(planned: &PlannedModel, observed: &Observed) -> bool {
    predictors_are_ready(&planned.model.name, &planned.predictors, observed)
}

pub(super) fn predictors_are_ready(model: &str, predictors: &[PlannedPredictor], observed: &Observed) -> bool {
    predictors_are_rolled_out(model, predictors, observed)
        // Seldon never reports a model with a predictor of zero pods as Available (operator v1.17.1 counts ready
        // predictors).
        && (observed.state(model).state == "Available" || predictors.iter().any(PlannedPredictor::is_stopped))
}

/// Whether every Deployment is up to date, whatever state Seldon reports.
pub fn is_rolled_out(planned: &PlannedModel, observed: &Observed) -> bool {
    predictors_are_rolled_out(&planned.model.name, &planned.predictors, observed)
}

pub(super) fn predictors_are_rolled_out(model: &str, predictors: &[PlannedPredictor], observed: &Observed) -> bool {
    predictors
        .iter()
        .all(|predictor| predictor_is_rolled_out(model, predictor, observed))
}

pub fn predictor_is_rolled_out(model: &str, predictor: &PlannedPredictor, observed: &Observed) -> bool {
    let deployments: Vec<&Deployment> = observed.deployments_of_predictor(model, &predictor.name).collect();
    deployments.len() == predictor.deployments
        && deployments
            .iter()
            .all(|deployment| deployment_is_rolled_out(deployment, predictor))
}

/// Whether a predictor answers requests, of the current spec or a previous one: each of its Deployments has an
/// available pod. Its explainer does not count, as that only sends requests to it.
pub fn predictor_is_available(model: &str, predictor: &PlannedPredictor, observed: &Observed) -> bool {
    let mut deployments = observed
        .deployments_of_predictor(model, &predictor.name)
        .filter(|deployment| !is_explainer(deployment, predictor))
        .peekable();
    deployments.peek().is_some() && deployments.all(deployment_is_available)
}

pub fn explainer_is_available(model: &str, predictor: &PlannedPredictor, observed: &Observed) -> bool {
    let mut deployments = observed.deployments_of_predictor(model, &predictor.name);
    deployments.any(|deployment| is_explainer(deployment, predictor) && deployment_is_available(deployment))
}

/// The Deployment of an explainer has the name of its Service.
fn is_explainer(deployment: &Deployment, predictor: &PlannedPredictor) -> bool {
    let service = predictor.explainer.as_ref();
    service.is_some_and(|(service, _)| deployment.name_any() == *service)
}

/// Whether at least one pod is available.
pub fn deployment_is_available(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status.is_some_and(|status| status.available_replicas > 0)
}

fn deployment_is_rolled_out(deployment: &Deployment, predictor: &PlannedPredictor) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let desired = deployment.spec.replicas;
    let replicas_match = match &predictor.replicas {
        Some(counts) => counts.contains(&desired),
        None => true,
    };
    replicas_match
        && has_spec_hash(deployment, &predictor.hash)
        && deployment.metadata.generation == Some(status.observed_generation)
        && [status.replicas, status.updated_replicas, status.available_replicas]
            .iter()
            .all(|count| *count == desired)
}

/// The newest condition update of any Deployment, by the cluster's clock. The serving pods are at least that old.
pub fn last_change(observed: &Observed) -> Option<Timestamp> {
    newest_condition(observed.deployments.iter())
}

/// The same of the Deployments of one model. Kubernetes updates a condition when its status or its reason changes: at the end of a
/// rollout (`NewReplicaSetAvailable`), and when enough pods are available again. Scaling updates none
/// (kubernetes/kubernetes, `pkg/controller/deployment/util/deployment_util.go`: `SetDeploymentCondition`).
pub fn last_change_of(model: &str, observed: &Observed) -> Option<Timestamp> {
    newest_condition(observed.deployments_of(model))
}

fn newest_condition<'a>(deployments: impl Iterator<Item = &'a Deployment>) -> Option<Timestamp> {
    let conditions = deployments
        .filter_map(|deployment| deployment.status.as_ref())
        .flat_map(|status| &status.conditions);
    conditions
        .filter_map(|condition| Some(condition.updated.as_ref()?.0))
        .max()
}

/// How long to wait until the gateway has received a change. istiod debounces changes for a tenth of a second, and
/// longer while they continue (`PILOT_DEBOUNCE_AFTER`). A time slightly in the future comes from clock skew and means
/// the full wait; one far in the future is ignored.
pub fn propagation_remaining(wrote: bool, changed: Option<Timestamp>, now: Timestamp) -> Duration {
    if wrote {
        return GATEWAY_PROPAGATION;
    }
    let Some(age) = changed.map(|changed| now.duration_since(changed)) else {
        return Duration::ZERO;
    };
    match Duration::try_from(age) {
        Ok(age) => GATEWAY_PROPAGATION.saturating_sub(age),
        Err(_) if age.unsigned_abs() < GATEWAY_PROPAGATION => GATEWAY_PROPAGATION,
        Err(_) => Duration::ZERO,
    }
}

pub fn has_spec_hash(deployment: &Deployment, hash: &str) -> bool {
    deployment
        .annotations()
        .get(labels::SPEC_HASH)
        .is_some_and(|annotation| annotation == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recent_changes_wait_for_propagation() {
        let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let remaining = |text: &str| propagation_remaining(false, Some(text.parse().unwrap()), now);
        assert_eq!(remaining("2026-01-01T00:00:10Z"), GATEWAY_PROPAGATION);
        assert_eq!(remaining("2026-01-01T00:00:09Z"), Duration::from_secs(1));
        assert_eq!(remaining("2026-01-01T00:00:08Z"), Duration::ZERO);
        assert_eq!(remaining("2025-01-01T00:00:00Z"), Duration::ZERO);
        // Clocks that are slightly and far ahead.
        assert_eq!(remaining("2026-01-01T00:00:11Z"), GATEWAY_PROPAGATION);
        assert_eq!(remaining("2027-01-01T00:00:00Z"), Duration::ZERO);
        assert_eq!(propagation_remaining(false, None, now), Duration::ZERO);
        assert_eq!(propagation_remaining(true, None, now), GATEWAY_PROPAGATION);
    }
}
