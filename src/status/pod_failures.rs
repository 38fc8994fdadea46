//! Why a model's pods do not serve. The status of a pod comes before that of its Deployment and Seldon's state, which say less.

use kube::ResourceExt as _;

use super::problem::{ContainerLog, PodFailure, Problem, Stalled};
use super::{StatusInput, stalled};
use crate::api::pods::{ContainerStatus, Deployment, Pod, Terminated};
use crate::api::seldon;
use crate::api_error;
use crate::plan::PlannedModel;
use crate::plan::readiness::has_spec_hash;

/// Seldon's container alongside the model's (operator v1.17.1, `controllers/seldondeployment_engine.go`).
pub const EXECUTOR: &str = "seldon-container-engine";

/// The problem of a model that needs action; `None` while it may just take its time.
pub fn find(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<Problem> {
    pod_failure(input, planned)
        .or_else(|| {
            let why = deployments.iter().find_map(|deployment| replica_failure(deployment))?;
            Some(Problem::Stalled(Stalled::PodsNotCreated { why }))
        })
        .or_else(|| seldon_failure(input, planned, deployments).map(Problem::Stalled))
        .or_else(|| stalled::find(input, planned, deployments).map(Problem::Stalled))
}

fn pod_failure(input: &StatusInput, planned: &PlannedModel) -> Option<Problem> {
    planned.predictors.iter().find_map(|predictor| {
        let uri = model_uri(planned, &predictor.name);
        let name = &planned.model.name;
        let mut pods = input.observed.pods_of(name, &predictor.name, &predictor.hash);
        Some(Problem::Pod {
            failure: pods.find_map(|pod| failure(pod, uri))?,
            predictor: predictor.name.clone(),
        })
    })
}

/// The location of the files that a predictor's pods fetch.
fn model_uri<'a>(planned: &'a PlannedModel, predictor: &str) -> Option<&'a str> {
    let model = &planned.model;
    let server = match (predictor, &model.canary, &model.shadow) {
        (seldon::CANARY, Some(canary), _) => &canary.server,
        (seldon::SHADOW, _, Some(shadow)) => &shadow.server,
        _ => &model.server,
    };
    server.source.model_uri.as_deref()
}

fn failure(pod: &Pod, model_uri: Option<&str>) -> Option<PodFailure> {
    let status = pod.status.as_ref()?;
    let unscheduled = status
        .conditions
        .iter()
        .find(|c| c.kind == "PodScheduled" && c.status == "False" && c.reason == "Unschedulable");
    if let Some(condition) = unscheduled {
        let why = first_sentence(&condition.message).to_owned();
        return Some(if condition.message.contains("Insufficient") {
            PodFailure::NoRoom { why }
        } else {
            PodFailure::NotScheduled {
                pod: pod.name_any(),
                why,
            }
        });
    }
    let init = status.init_container_statuses.iter();
    init.map(|container| (true, container))
        .chain(status.container_statuses.iter().map(|c| (false, c)))
        .find_map(|(init, container)| container_failure(pod, container, init, model_uri))
}

fn container_failure(
    pod: &Pod,
    container: &ContainerStatus,
    init: bool,
    model_uri: Option<&str>,
) -> Option<PodFailure> {
    let waiting = container.state.waiting.as_ref();
    let reason = waiting.map(|w| w.reason.as_str()).unwrap_or_default();
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError" => {
            let why = waiting.map(|w| pull_error(&w.message)).unwrap_or_default();
            return Some(PodFailure::ImageNotPulled {
                image: container.image.clone(),
                wants_credentials: wants_credentials(&why),
                why: format!("{reason}{why}"),
            });
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let message = waiting.map(|w| first_sentence(&w.message)).unwrap_or_default();
            return Some(PodFailure::ContainerNotCreated {
                pod: pod.name_any(),
                container: container.name.clone(),
                why: format!("{reason}: {message}"),
            });
        }
        _ => {}
    }
    // Between two crashes the container runs. Its last exit counts until it is ready, unless it was terminated from outside.
    let before = container
        .last_state
        .terminated
        .as_ref()
        .filter(|before| !container.ready && (reason == "CrashLoopBackOff" || exited_on_its_own(before)));
    let now = container.state.terminated.as_ref();
    let ended = now.or(before).filter(|ended| ended.exit_code != 0)?;
    let exit = format!("exit {}{}", ended.exit_code, termination_message(ended));
    let log = ContainerLog {
        pod: pod.name_any(),
        container: container.name.clone(),
        previous: now.is_none(),
    };
    // Seldon cuts the name of the container that fetches files; a model has no other init container.
    let files = match model_uri {
        Some(uri) => Some(uri),
        None if container.name.ends_with("-model-initializer") => Some(container.name.as_str()),
        _ => None,
    };
    Some(match (init, files) {
        (true, Some(files)) => PodFailure::FilesNotFetched {
            files: files.to_owned(),
            log,
            exit,
        },
        _ if ended.reason == "OOMKilled" => PodFailure::OutOfMemory {
            limit: memory_limit(pod, &container.name).cloned(),
            container: log.container,
        },
        _ => PodFailure::Crash { log, exit },
    })
}

fn memory_limit<'a>(pod: &'a Pod, container: &str) -> Option<&'a String> {
    let container = pod.spec.containers.iter().find(|spec| spec.name == container)?;
    container.resources.limits.get("memory")
}

/// Quotas and the like, which keep a Deployment from creating pods at all.
fn replica_failure(deployment: &Deployment) -> Option<String> {
    let conditions = &deployment.status.as_ref()?.conditions;
    let failure = conditions
        .iter()
        .find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    let rejected = api_error::field_errors(&failure.message);
    Some(rejected.unwrap_or_else(|| from_quota(&failure.message).to_owned()))
}

/// Seldon's state names no generation, so it counts only where it can be that of this spec.
fn seldon_failure(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<Stalled> {
    let state = input.observed.state(&planned.model.name);
    let is_of_this_spec = if deployments.is_empty() {
        !input.wrote
    } else {
        let mut hashes = planned.predictors.iter().map(|predictor| &predictor.hash);
        hashes.any(|hash| deployments.iter().any(|d| has_spec_hash(d, hash)))
    };
    let why = api_error::field_errors(&state.description).unwrap_or(state.description);
    (state.state == "Failed" && is_of_this_spec).then_some(Stalled::SeldonReportsFailed { why })
}

/// Whether a container exited by itself, and not with its node or its pod: the kubelet terminates containers by SIGTERM and then
/// SIGKILL, and reports `Unknown` for one that it finds terminated after a restart of the node.
fn exited_on_its_own(ended: &Terminated) -> bool {
    const SIGKILL: i32 = 128 + 9;
    const SIGTERM: i32 = 128 + 15;
    match ended.reason.as_str() {
        "OOMKilled" => true,
        "Unknown" | "ContainerStatusUnknown" => false,
        _ => ![SIGKILL, SIGTERM].contains(&ended.exit_code),
    }
}

/// The last line of a container's termination message, or its reason.
fn termination_message(ended: &Terminated) -> String {
    let last = ended.message.trim().lines().last().unwrap_or_default();
    match (last.is_empty(), ended.reason.as_str()) {
        (false, _) => format!(", {last}"),
        (true, "" | "Error") => String::new(),
        (true, reason) => format!(", {reason}"),
    }
}

/// A container runtime puts the cause at the end of its chain of errors.
fn pull_error(message: &str) -> String {
    let cause = message.rsplit(": ").next().unwrap_or_default().trim();
    if cause.is_empty() || cause.starts_with("Back-off") {
        String::new()
    } else {
        format!(": {cause}")
    }
}

/// Whether a registry denied the node the pull (containerd, `core/remotes/docker`, repeats the registry's answer).
fn wants_credentials(why: &str) -> bool {
    [
        "unauthorized",
        "401",
        "authorization failed",
        "no basic auth credentials",
        "authentication required",
    ]
    .iter()
    .any(|sign| why.to_lowercase().contains(sign))
}

fn first_sentence(message: &str) -> &str {
    let line = message.trim().lines().next().unwrap_or_default();
    line.split(". ").next().unwrap_or(line).trim_end_matches('.')
}

fn from_quota(message: &str) -> &str {
    message
        .find("exceeded quota")
        .and_then(|at| message.get(at..))
        .unwrap_or_else(|| first_sentence(message))
}
