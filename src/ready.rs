//! Whether a model serves what was asked for. Pure; the one place where that is decided.

use kube::ResourceExt as _;

use crate::observed::{Deployment, Observed};
use crate::render::{PlannedModel, label};

/// A model is ready when Seldon says so and every Deployment that it made carries the digest of what was asked, at its
/// own newest generation, with all pods new and available.
#[must_use]
pub fn is_ready(planned: &PlannedModel, observed: &Observed) -> bool {
    let name = &planned.model.name;
    let mut deployments = observed.deployments_of(name).peekable();
    let wanted = i64::from(planned.model.replicas);
    deployments.peek().is_some()
        && deployments.all(|deployment| is_rolled_out(deployment, &planned.hash, wanted))
        // Seldon never calls a model available that has no pods (operator v1.17.1: it counts ready ones).
        && (observed.state(name).state == "Available" || planned.model.replicas == 0)
}

fn is_rolled_out(deployment: &Deployment, hash: &str, wanted: i64) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    carries(deployment, hash)
        && deployment.metadata.generation == Some(status.observed_generation)
        && [
            deployment.spec.replicas,
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
        ]
        .iter()
        .all(|count| *count == wanted)
}

/// Whether a Deployment is of the spec with this digest.
#[must_use]
pub fn carries(deployment: &Deployment, hash: &str) -> bool {
    deployment
        .annotations()
        .get(label::SPEC_HASH)
        .is_some_and(|carried| carried == hash)
}
