//! What an operator reads: what is the case, what to run, why.

mod api_error;
mod conflict;
mod gateway;

use std::collections::BTreeSet;

use super::{Problem, StatusInput};
use crate::api::seldon;
use crate::changes::Delete;
use crate::config::Model;
use crate::plan::PlannedModel;
use crate::shell::juju_status;
use juju_hooks::{State, Status, ToolError};

pub use api_error::{api_error, rejected, rights};
pub use conflict::{conflict, unmanaged, unmanaged_summary};
pub use gateway::{gateway_down, no_gateway, not_accepted, other_hosts, unknown_gateway, unsupported};

/// The beginning of the status of a hook in which a hook tool failed.
const TOOL_FAILED: &str = "hook tool failed";
/// The same in earlier revisions of the charm: after a refresh the unit's status is one of theirs.
const TOOL_FAILED_EARLIER: &str = "Juju's ";

/// A predictor as a message calls it: by its model, and by its own name if the model has others.
pub fn predictor_prefix(planned: &PlannedModel, predictor: &str) -> String {
    let name = &planned.model.name;
    if planned.predictors.len() > 1 && predictor != seldon::PREDICTOR {
        format!("{name} ({predictor})")
    } else {
        name.clone()
    }
}

/// Models that are no longer configured and still exist.
pub fn retired(input: &StatusInput) -> Vec<Problem> {
    let named = |deletes: &[Delete], why: &str| {
        let models: BTreeSet<String> = deletes
            .iter()
            // A planned model whose route is deleted has a problem of its own.
            .filter(|delete| input.plan.model(&delete.model).is_none())
            .map(|delete| format!("{}: removed from the configuration; {why}", delete.model))
            .collect();
        models.into_iter().map(Problem::waiting).collect::<Vec<_>>()
    };
    let mut all = named(&input.changes.deletes, "not deleted yet, will retry");
    all.extend(named(&input.changes.deferred, "kept until its replacement is ready"));
    all
}

/// KEDA is to scale a model, and Seldon Core does not use KEDA.
pub fn no_keda(input: &StatusInput, model: &Model) -> Problem {
    Problem::blocked("serving, not autoscaled")
        .run(input.commands().integrate("seldon-core:keda", "keda"))
        .cause("Seldon Core has no KEDA; or autoscale by cpu or memory")
        .of_model(&model.name)
}

/// What this Seldon Core ignores of a model that serves.
pub fn omitted(serving: &str, option: &str) -> Problem {
    Problem::active(format!("{serving}, not autoscaled by metrics"))
        .run("juju refresh seldon-core")
        .cause(format!("{option} needs Seldon Core 1.15; or set cpu or memory"))
}

/// A hook tool failed, so what is configured is not known.
pub fn tool_failure(error: &ToolError) -> Problem {
    Problem::waiting(format!("{TOOL_FAILED}; will retry")).cause(error.to_string())
}

/// Whether a status is that of a hook in which a hook tool failed.
pub fn is_tool_failure(status: &Status) -> bool {
    let beginnings = [TOOL_FAILED, TOOL_FAILED_EARLIER];
    status.state == State::Waiting && beginnings.iter().any(|begin| status.message.starts_with(begin))
}

/// Seldon Core is deployed by Juju and not ready yet.
pub fn seldon_is_deploying() -> Problem {
    let status = juju_status("seldon-core");
    Problem::waiting("waiting for seldon-core to be installed")
        .cause(format!("CRD SeldonDeployment not found yet; see {status}"))
}

/// For the log, when the time of the `remove` hook is over.
pub fn removal_incomplete(left: &[String]) -> String {
    format!(
        "Kubernetes is still deleting {}; it continues on its own",
        left.join(", ")
    )
}
