//! What an operator reads of each problem: what is the case, what to run, why.

mod api_error;
mod conflict;
mod gateway;
mod pods;
mod rollout;

use super::{ApplicationProblem, Message, Problem, StatusInput};
use crate::api::seldon;
use crate::config::ConfigError;
use crate::plan::PlannedModel;
use crate::shell::{Commands, juju_status};
use juju_hooks::{State, Status};

pub use api_error::{api_error, rights};
pub use conflict::{competing, competing_route, competing_summary, unmanaged, unmanaged_summary};

/// The beginning of the status of a hook in which a hook tool failed.
const TOOL_FAILED: &str = "hook tool failed";
/// The same in earlier revisions of the charm: after a refresh the unit's status is one of theirs.
const TOOL_FAILED_EARLIER: &str = "Juju's ";

/// The message of a problem of the application.
pub fn of_application(commands: &Commands, problem: &ApplicationProblem) -> Message {
    match problem {
        ApplicationProblem::Config(error) => config_error(error),
        ApplicationProblem::Api(error) => api_error(commands, error),
        ApplicationProblem::SeldonIsDeploying => {
            let status = juju_status("seldon-core");
            Message::waiting("waiting for seldon-core to be installed")
                .cause(format!("CRD SeldonDeployment not found yet; see {status}"))
        }
        ApplicationProblem::HookTool(why) => Message::waiting(format!("{TOOL_FAILED}; will retry")).cause(why),
        ApplicationProblem::NotDeleted { model } => {
            Message::waiting("removed from the configuration; not deleted yet, will retry").of_model(model)
        }
        ApplicationProblem::KeptUntilReplaced { model } => {
            Message::waiting("removed from the configuration; kept until its replacement is ready").of_model(model)
        }
    }
}

/// The message of a problem of a model.
pub fn of_model(input: &StatusInput, planned: &PlannedModel, problem: &Problem) -> Message {
    let model = &planned.model;
    match problem {
        Problem::Conflict(conflict) => conflict::conflict(input, model, conflict).of_model(&model.name),
        Problem::Rejected(error) => api_error::rejected(input, model, error),
        Problem::Rollout(rollout) => rollout::rollout(input, planned, rollout),
        Problem::Gateway(problem) => gateway::gateway(input, model, problem),
        Problem::Pod { predictor, failure } => pods::pod(input, planned, predictor, failure)
            .of_model(&predictor_prefix(planned, predictor))
            .previous_serves(input.previous_serves(planned)),
        Problem::Stalled(stalled) => {
            rollout::stalled(input, planned, stalled).previous_serves(input.previous_serves(planned))
        }
        Problem::NotAutoscaled => Message::blocked("serving, not autoscaled")
            .run(input.commands().integrate("seldon-core:keda", "keda"))
            .cause("Seldon Core has no KEDA; or autoscale by cpu or memory")
            .of_model(&model.name),
        Problem::Unsupported(unsupported) => gateway::unsupported(input, model, *unsupported).of_model(&model.name),
    }
}

fn config_error(error: &ConfigError) -> Message {
    let message = Message {
        run: error.run().map(ToOwned::to_owned),
        ..Message::blocked(error.what())
    };
    message.cause(error.cause().unwrap_or_default())
}

/// A predictor as a message calls it: by its model, and by its own name if the model has others.
pub fn predictor_prefix(planned: &PlannedModel, predictor: &str) -> String {
    let name = &planned.model.name;
    if planned.predictors.len() > 1 && predictor != seldon::PREDICTOR {
        format!("{name} ({predictor})")
    } else {
        name.clone()
    }
}

/// What this Seldon Core ignores of a model that serves.
pub fn omitted(serving: &str, option: &str) -> Message {
    Message::active(format!("{serving}, not autoscaled by metrics"))
        .run("juju refresh seldon-core")
        .cause(format!("{option} needs Seldon Core 1.15; or set cpu or memory"))
}

/// The objects of a manifest that are not applied.
pub fn left_out(planned: &PlannedModel) -> Option<String> {
    let left_out = planned.model.manifest.as_ref().map(|manifest| &manifest.left_out)?;
    (!left_out.is_empty()).then(|| {
        let model = &planned.model.name;
        format!("{model}: not applied from its manifest: {}", left_out.join(", "))
    })
}

/// Whether a status is that of a hook in which a hook tool failed.
pub fn is_tool_failure(status: &Status) -> bool {
    let beginnings = [TOOL_FAILED, TOOL_FAILED_EARLIER];
    status.state == State::Waiting && beginnings.iter().any(|begin| status.message.starts_with(begin))
}

/// For the log, when the time of the `remove` hook is over.
pub fn removal_incomplete(left: &[String]) -> String {
    format!(
        "Kubernetes is still deleting {}; it continues on its own",
        left.join(", ")
    )
}
