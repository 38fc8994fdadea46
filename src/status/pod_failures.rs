//! Why a model's pods do not serve, looked for where Kubernetes says it: pods first, for they know best.

use kube::ResourceExt as _;

use super::{StatusInput, messages, stalled};
use crate::api::pods::{ContainerStatus, Deployment, Pod, Terminated};
use crate::api::seldon;
use crate::plan::PlannedModel;
use crate::plan::readiness::has_spec_hash;
use crate::shell::command;

/// Seldon's container beside the model's (operator v1.17.1, `controllers/seldondeployment_engine.go`).
const EXECUTOR: &str = "seldon-container-engine";

/// The cause and what to type, for a model that a person must help; `None` while it may just take its time.
pub fn find(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<String> {
    let name = &planned.model.name;
    planned
        .predictors
        .iter()
        .find_map(|predictor| {
            let of = PredictorContext::new(input, planned, &predictor.name);
            let mut pods = input.observed.pods_of(name, &predictor.name, &predictor.hash);
            pods.find_map(|pod| of.pod(pod))
        })
        .or_else(|| {
            deployments
                .iter()
                .find_map(|deployment| of_deployment(input, planned, deployment))
        })
        .or_else(|| of_seldon(input, planned, deployments))
        .or_else(|| stalled::find(input, planned, deployments))
}

/// The pods of one predictor.
struct PredictorContext<'a> {
    input: &'a StatusInput<'a>,
    planned: &'a PlannedModel,
    predictor: &'a str,
    /// As a message calls them.
    name: String,
}

impl<'a> PredictorContext<'a> {
    fn new(input: &'a StatusInput<'a>, planned: &'a PlannedModel, predictor: &'a str) -> Self {
        Self {
            input,
            planned,
            predictor,
            name: messages::predictor_prefix(planned, predictor),
        }
    }

    fn set(&self, option: &str, value: &str) -> String {
        self.planned
            .model
            .predictor_config_command(self.input.application, self.predictor, option, value)
    }

    fn model_uri(&self) -> Option<&str> {
        let model = &self.planned.model;
        let server = match (self.predictor, &model.canary, &model.shadow) {
            (seldon::CANARY, Some(canary), _) => &canary.server,
            (seldon::SHADOW, _, Some(shadow)) => &shadow.server,
            _ => &model.server,
        };
        server.source.model_uri.as_deref()
    }

    fn pod(&self, pod: &Pod) -> Option<String> {
        let (input, name) = (self.input, &self.name);
        let status = pod.status.as_ref()?;
        let unscheduled = status
            .conditions
            .iter()
            .find(|c| c.kind == "PodScheduled" && c.status == "False" && c.reason == "Unschedulable");
        if let Some(condition) = unscheduled {
            let fix = if condition.message.contains("Insufficient") {
                format!("{} for less, or engine-resources", self.set("resources", "…"))
            } else {
                command(&["kubectl", "-n", input.namespace, "describe", "pod", &pod.name_any()])
            };
            return Some(format!(
                "{name} fits on no node ({}): {fix}",
                first_sentence(&condition.message)
            ));
        }
        let init = status.init_container_statuses.iter();
        init.map(|container| (true, container))
            .chain(status.container_statuses.iter().map(|c| (false, c)))
            .find_map(|(init, container)| self.container(pod, container, init))
    }

    fn container(&self, pod: &Pod, container: &ContainerStatus, init: bool) -> Option<String> {
        let (input, name) = (self.input, &self.name);
        let set = |option: &str, value: &str| self.set(option, value);
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
                let fix = if wants_credentials(&why) {
                    set("image-pull-secret", "secret:…")
                } else {
                    set("image", "…")
                };
                return Some(format!(
                    "{name}: image {} cannot be pulled ({reason}{why}): {fix}",
                    container.image
                ));
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                let message = waiting.map(|w| w.message.as_str()).unwrap_or_default();
                return Some(format!(
                    "{name}: container {} cannot be started ({reason}: {})",
                    container.name,
                    first_sentence(message)
                ));
            }
            _ => {}
        }
        // Between two crashes it runs. How it ended before still counts until it is ready, but not where somebody else ended it.
        let before = container
            .last_state
            .terminated
            .as_ref()
            .filter(|before| !container.ready && (reason == "CrashLoopBackOff" || exited_on_its_own(before)));
        let now = container.state.terminated.as_ref();
        let ended = now.or(before).filter(|ended| ended.exit_code != 0)?;
        let pod_name = pod.name_any();
        let mut logs = vec![
            "kubectl",
            "-n",
            input.namespace,
            "logs",
            &pod_name,
            "-c",
            &container.name,
        ];
        logs.extend(now.is_none().then_some("--previous"));
        let logs = command(&logs);
        // Seldon cuts the name of the container that fetches files; a model has no other that runs first.
        let files = match self.model_uri() {
            Some(uri) => Some(format!("the files at {uri}")),
            None if container.name.ends_with("-model-initializer") => Some("the model's files".to_owned()),
            _ => None,
        };
        if let (true, Some(files)) = (init, files) {
            return Some(format!(
                "{name}: {files} cannot be fetched (exit {}{}): {}; {logs}",
                ended.exit_code,
                termination_message(ended),
                set("model-uri", "…")
            ));
        }
        if ended.reason == "OOMKilled" {
            let limit = pod
                .spec
                .containers
                .iter()
                .find(|of| of.name == container.name)
                .and_then(|of| of.resources.limits.get("memory"))
                .map(|limit| format!(" of {limit}"))
                .unwrap_or_default();
            let option = if container.name == EXECUTOR {
                "engine-resources"
            } else {
                "resources"
            };
            return Some(format!(
                "{name}: container {} needs more memory than its limit{limit} (OOMKilled): {}",
                container.name,
                set(option, "{limits: {memory: …}}")
            ));
        }
        Some(format!(
            "{name}: container {} crashes (exit {}{}): {logs}",
            container.name,
            ended.exit_code,
            termination_message(ended)
        ))
    }
}

/// Quotas and the like: what keeps a Deployment from making pods at all.
fn of_deployment(input: &StatusInput, planned: &PlannedModel, deployment: &Deployment) -> Option<String> {
    let name = &planned.model.name;
    let conditions = &deployment.status.as_ref()?.conditions;
    let failure = conditions
        .iter()
        .find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    Some(format!(
        "{name}: Kubernetes makes no pod for it ({}): {} or replicas, or raise the quota",
        from_quota(&failure.message),
        planned.model.config_command(input.application, "resources", "…")
    ))
}

/// Seldon names no spec with its state, so it is believed only where it can be of this one.
fn of_seldon(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<String> {
    let state = input.observed.state(&planned.model.name);
    let of_this_spec = if deployments.is_empty() {
        !input.wrote
    } else {
        let mut hashes = planned.predictors.iter().map(|predictor| &predictor.hash);
        hashes.any(|hash| deployments.iter().any(|d| has_spec_hash(d, hash)))
    };
    (state.state == "Failed" && of_this_spec).then(|| {
        let why = if state.description.is_empty() {
            "without a reason".to_owned()
        } else {
            state.description
        };
        format!("{}: Seldon Core gives up on it: {why}", planned.model.name)
    })
}

/// Whether it was the container's own end, and not that of its node or its pod: the kubelet ends containers with SIGTERM and
/// then SIGKILL, and of one that it finds ended after a restart of the node it says `Unknown`.
fn exited_on_its_own(ended: &Terminated) -> bool {
    const SIGKILL: i32 = 128 + 9;
    const SIGTERM: i32 = 128 + 15;
    match ended.reason.as_str() {
        "OOMKilled" => true,
        "Unknown" | "ContainerStatusUnknown" => false,
        _ => ![SIGKILL, SIGTERM].contains(&ended.exit_code),
    }
}

/// What a container said last, if it said it to Kubernetes.
fn termination_message(ended: &Terminated) -> String {
    let last = ended.message.trim().lines().last().unwrap_or_default();
    match (last.is_empty(), ended.reason.as_str()) {
        (false, _) => format!(", {last}"),
        (true, "" | "Error") => String::new(),
        (true, reason) => format!(", {reason}"),
    }
}

/// The end of a runtime's chain of errors is its cause.
fn pull_error(message: &str) -> String {
    let cause = message.rsplit(": ").next().unwrap_or_default().trim();
    if cause.is_empty() || cause.starts_with("Back-off") {
        String::new()
    } else {
        format!(": {cause}")
    }
}

/// Whether a registry did not let the node pull (containerd, `core/remotes/docker`, repeats what the registry says).
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
