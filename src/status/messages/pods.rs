//! Pods that do not start, or crash.

use crate::plan::PlannedModel;
use crate::shell::command;
use crate::status::fix::{self, Fix};
use crate::status::pod_failures::EXECUTOR;
use crate::status::problem::{ContainerLog, PodFailure};
use crate::status::{Message, StatusInput};

pub fn pod(input: &StatusInput, planned: &PlannedModel, predictor: &str, failure: &PodFailure) -> Message {
    let set = |option: &str| -> Fix { fix::set_of_predictor(input, &planned.model, predictor, option, "…") };
    let describe = |pod: &str| input.commands().kubectl("describe", "pod", pod);
    match failure {
        PodFailure::NoRoom { why } => {
            Message::blocked("no node has room for it").fix(set("resources"), &format!("or engine-resources; {why}"))
        }
        PodFailure::NotScheduled { pod, why } => Message::blocked("cannot be scheduled").run(describe(pod)).cause(why),
        PodFailure::ImageNotPulled {
            image,
            why,
            wants_credentials,
        } => {
            let option = if *wants_credentials {
                "image-pull-secret"
            } else {
                "image"
            };
            Message::blocked("image cannot be pulled").fix(set(option), &format!("{image}: {why}"))
        }
        PodFailure::ContainerNotCreated { pod, container, why } => Message::blocked("pod cannot start")
            .run(describe(pod))
            .cause(format!("container {container}: {why}")),
        PodFailure::FilesNotFetched { files, log, exit } => {
            let cause = format!("{files}: {exit}; {}", logs(input, log));
            Message::blocked("files cannot be fetched").fix(set("model-uri"), &cause)
        }
        PodFailure::OutOfMemory { container, limit } => {
            let option = if container == EXECUTOR {
                "engine-resources"
            } else {
                "resources"
            };
            let limit = limit.as_ref().map(|limit| format!(" at its limit of {limit}"));
            let cause = format!("container {container}: OOMKilled{}", limit.unwrap_or_default());
            Message::blocked("out of memory").fix(set(option), &cause)
        }
        PodFailure::Crash { log, exit } => Message::blocked("container crashes")
            .run(logs(input, log))
            .cause(format!("container {}: {exit}", log.container)),
    }
}

fn logs(input: &StatusInput, log: &ContainerLog) -> String {
    let mut words = vec!["kubectl", "-n", input.namespace, "logs", &log.pod, "-c", &log.container];
    words.extend(log.previous.then_some("--previous"));
    command(&words)
}
