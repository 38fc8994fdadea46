//! Why a model's pods do not serve. The status of a pod comes before that of its Deployment and Seldon's state, which say less.

use kube::ResourceExt as _;

use super::fix::{self, Fix};
use super::{Problem, StatusInput, messages, stalled};
use crate::api::pods::{ContainerStatus, Deployment, Pod, Terminated};
use crate::api::seldon;
use crate::plan::PlannedModel;
use crate::plan::readiness::has_spec_hash;
use crate::shell::command;

/// Seldon's container alongside the model's (operator v1.17.1, `controllers/seldondeployment_engine.go`).
const EXECUTOR: &str = "seldon-container-engine";

/// The problem of a model that needs action; `None` while it may just take its time.
pub fn find(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<Problem> {
    let name = &planned.model.name;
    planned
        .predictors
        .iter()
        .find_map(|predictor| {
            let context = PredictorContext::new(input, planned, &predictor.name);
            let mut pods = input.observed.pods_of(name, &predictor.name, &predictor.hash);
            let problem = pods.find_map(|pod| context.pod(pod))?;
            Some(problem.of_model(&messages::predictor_prefix(planned, &predictor.name)))
        })
        .or_else(|| {
            deployments
                .iter()
                .find_map(|deployment| replica_failure(input, planned, deployment))
        })
        .or_else(|| seldon_failure(input, planned, deployments))
        .or_else(|| stalled::find(input, planned, deployments))
}

/// The pods of one predictor.
struct PredictorContext<'a> {
    input: &'a StatusInput<'a>,
    planned: &'a PlannedModel,
    predictor: &'a str,
}

impl<'a> PredictorContext<'a> {
    fn new(input: &'a StatusInput<'a>, planned: &'a PlannedModel, predictor: &'a str) -> Self {
        Self {
            input,
            planned,
            predictor,
        }
    }

    fn set(&self, option: &str) -> Fix {
        fix::set_of_predictor(self.input, &self.planned.model, self.predictor, option, "…")
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

    fn pod(&self, pod: &Pod) -> Option<Problem> {
        let status = pod.status.as_ref()?;
        let unscheduled = status
            .conditions
            .iter()
            .find(|c| c.kind == "PodScheduled" && c.status == "False" && c.reason == "Unschedulable");
        if let Some(condition) = unscheduled {
            let why = first_sentence(&condition.message);
            return Some(if condition.message.contains("Insufficient") {
                Problem::blocked("no node has room for it")
                    .fix(self.set("resources"), &format!("or engine-resources; {why}"))
            } else {
                Problem::blocked("cannot be scheduled")
                    .run(self.describe(pod))
                    .cause(why)
            });
        }
        let init = status.init_container_statuses.iter();
        init.map(|container| (true, container))
            .chain(status.container_statuses.iter().map(|c| (false, c)))
            .find_map(|(init, container)| self.container(pod, container, init))
    }

    fn describe(&self, pod: &Pod) -> String {
        self.input.commands().kubectl("describe", "pod", &pod.name_any())
    }

    fn container(&self, pod: &Pod, container: &ContainerStatus, init: bool) -> Option<Problem> {
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
                let option = if wants_credentials(&why) {
                    "image-pull-secret"
                } else {
                    "image"
                };
                let cause = format!("{}: {reason}{why}", container.image);
                return Some(Problem::blocked("image cannot be pulled").fix(self.set(option), &cause));
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                let message = waiting.map(|w| first_sentence(&w.message)).unwrap_or_default();
                return Some(
                    Problem::blocked("pod cannot start")
                        .run(self.describe(pod))
                        .cause(format!("container {}: {reason}: {message}", container.name)),
                );
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
        let logs = self.logs(pod, container, now.is_none());
        // Seldon cuts the name of the container that fetches files; a model has no other init container.
        let files = match self.model_uri() {
            Some(uri) => Some(uri),
            None if container.name.ends_with("-model-initializer") => Some(container.name.as_str()),
            _ => None,
        };
        if let (true, Some(files)) = (init, files) {
            return Some(
                Problem::blocked("files cannot be fetched")
                    .fix(self.set("model-uri"), &format!("{files}: {exit}; {logs}")),
            );
        }
        if ended.reason == "OOMKilled" {
            let limit = memory_limit(pod, &container.name)
                .map(|limit| format!(" at its limit of {limit}"))
                .unwrap_or_default();
            let option = if container.name == EXECUTOR {
                "engine-resources"
            } else {
                "resources"
            };
            let cause = format!("container {}: OOMKilled{limit}", container.name);
            return Some(Problem::blocked("out of memory").fix(self.set(option), &cause));
        }
        Some(
            Problem::blocked("container crashes")
                .run(logs)
                .cause(format!("container {}: {exit}", container.name)),
        )
    }

    fn logs(&self, pod: &Pod, container: &ContainerStatus, previous: bool) -> String {
        let pod = pod.name_any();
        let mut logs = vec![
            "kubectl",
            "-n",
            self.input.namespace,
            "logs",
            &pod,
            "-c",
            &container.name,
        ];
        logs.extend(previous.then_some("--previous"));
        command(&logs)
    }
}

fn memory_limit<'a>(pod: &'a Pod, container: &str) -> Option<&'a String> {
    let container = pod.spec.containers.iter().find(|spec| spec.name == container)?;
    container.resources.limits.get("memory")
}

/// Quotas and the like, which keep a Deployment from creating pods at all.
fn replica_failure(input: &StatusInput, planned: &PlannedModel, deployment: &Deployment) -> Option<Problem> {
    let model = &planned.model;
    let conditions = &deployment.status.as_ref()?.conditions;
    let failure = conditions
        .iter()
        .find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    let cause = format!("{}; or fewer replicas, or a larger quota", from_quota(&failure.message));
    let problem = Problem::blocked("pods cannot be created").fix(fix::set(input, model, "resources", "…"), &cause);
    Some(problem.of_model(&model.name))
}

/// Seldon's state names no generation, so it counts only where it can be that of this spec.
fn seldon_failure(input: &StatusInput, planned: &PlannedModel, deployments: &[&Deployment]) -> Option<Problem> {
    let state = input.observed.state(&planned.model.name);
    let is_of_this_spec = if deployments.is_empty() {
        !input.wrote
    } else {
        let mut hashes = planned.predictors.iter().map(|predictor| &predictor.hash);
        hashes.any(|hash| deployments.iter().any(|d| has_spec_hash(d, hash)))
    };
    (state.state == "Failed" && is_of_this_spec).then(|| {
        let why = if state.description.is_empty() {
            "no reason given".to_owned()
        } else {
            state.description
        };
        Problem::blocked("Seldon Core reports Failed")
            .run(input.commands().diagnose())
            .cause(why)
            .of_model(&planned.model.name)
    })
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
