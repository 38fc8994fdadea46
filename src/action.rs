//! Actions: what an operator asks with `juju run`. They change nothing.

mod list_models;
mod release;

use crate::juju::{HookTools, Invocation, ToolError};

/// Runs the action of that name.
///
/// # Errors
/// When a hook tool fails. What goes wrong with the action itself is told by failing it.
pub async fn run(tools: HookTools, invocation: &Invocation, name: &str) -> Result<(), ToolError> {
    match name {
        "list-models" => list_models::run(tools, invocation).await,
        "promote" => release::promote(tools, invocation).await,
        "rollback" => release::rollback(tools, invocation).await,
        unknown => tools.fail_action(&format!(
            "this charm has no action {unknown}; juju actions {} lists those it has",
            invocation.application
        )),
    }
}
