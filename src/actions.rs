//! Actions: what an operator asks with `juju run`. They change nothing in the cluster.

pub mod checks;
mod diagnose;
mod endpoints;
pub mod gateway_endpoints;
mod list_models;
mod parameters;
mod plan;
mod predict;
mod protocol;
mod release;
mod request;

use crate::config::Model;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::reconcile::secrets;
use crate::reconcile::snapshot::Snapshot;
use crate::shell::{Commands, command};
use crate::status;
use juju_hooks::tool::LONGEST_RESULT;
use juju_hooks::{HookContext, HookTools, ToolError};
use parameters::Parameters;

/// What an action found, by key.
type Results = Vec<(String, String)>;

/// Why an action did not do what it was asked for.
enum Failure {
    /// A hook tool failed.
    Juju(ToolError),
    /// For the operator, with what was found all the same.
    Because(String, Results),
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::Juju(error)
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Because(why, Results::new())
    }
}

/// Runs the action of that name.
///
/// # Errors
/// When a hook tool fails. What goes wrong with the action itself is told by failing it.
pub async fn run(tools: HookTools, context: &HookContext, identity: &Identity, name: &str) -> Result<(), ToolError> {
    let call = ActionContext {
        tools,
        context,
        identity,
    };
    let outcome = match name {
        "diagnose" => diagnose::run(&call).await,
        "endpoints" => endpoints::run(&call).await,
        "feedback" => predict::feedback(&call).await,
        "list-models" => list_models::run(&call).await,
        "plan" => plan::run(&call).await,
        "predict" => predict::predict(&call).await,
        "promote" => release::promote(&call).await,
        "rollback" => release::rollback(&call).await,
        unknown => Err(Failure::from(format!(
            "this charm has no action {unknown}; {} lists those it has",
            command(&["juju", "actions", &context.application])
        ))),
    };
    match outcome {
        Ok(results) => set_results(tools, &results),
        Err(Failure::Juju(error)) => Err(error),
        Err(Failure::Because(why, results)) => {
            set_results(tools, &results)?;
            tools.action_fail(&why)
        }
    }
}

/// Hands over what Juju takes: a model whose name is none is told of by the status, and one bad key would lose all results.
fn set_results(tools: HookTools, results: &Results) -> Result<(), ToolError> {
    let (valid, _): (Vec<_>, Vec<_>) = results.iter().cloned().partition(|(key, _)| key.split('.').all(is_key));
    if valid.is_empty() {
        return Ok(());
    }
    tools.action_set(&valid)
}

/// An action that was asked for.
struct ActionContext<'a> {
    tools: HookTools,
    context: &'a HookContext,
    identity: &'a Identity,
}

impl ActionContext<'_> {
    fn commands(&self) -> Commands<'_> {
        self.identity.commands(self.context.version.as_ref())
    }

    fn parameters(&self) -> Result<Parameters, Failure> {
        Ok(Parameters::new(self.tools.action_get()?))
    }

    /// What Juju asks for, and a look at the cluster.
    async fn snapshot(&self, inputs: &mut Inputs) -> Result<Snapshot, Failure> {
        match secrets::snapshot_for_action(self.tools, self.context, inputs).await? {
            Ok(snapshot) => Ok(snapshot),
            Err(error) => {
                inputs.read_cause_of(self.tools, self.context, &error)?;
                let report = crate::reconcile::snapshot::unobserved(inputs, &error);
                let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
                Err(Failure::from(problems.join("; ")))
            }
        }
    }
}

/// The model that is meant: the one of that name, or the only one.
fn select_model<'a>(inputs: &'a Inputs, desired: Option<&str>) -> Result<&'a Model, Failure> {
    let models = &inputs.config.models;
    let model = match desired {
        Some(name) => models.iter().find(|model| model.name == name),
        None => models.first().filter(|_| models.len() == 1),
    };
    model.ok_or_else(|| {
        let of_it = |error: &&crate::config::ConfigError| {
            desired.is_none() || error.model.is_none() || error.model.as_deref() == desired
        };
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let error = inputs.config.errors.iter().find(of_it).filter(|_| {
            let frozen = |name: &str| inputs.config.frozen.contains(name);
            names.is_empty() || desired.is_some_and(frozen)
        });
        Failure::from(error.map_or_else(
            || format!("say which model: model=<one of {}>", names.join(", ")),
            ToString::to_string,
        ))
    })
}

/// What Juju takes as a part of a result's key (`worker/uniter/runner/jujuc/action-set.go`).
fn is_key(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A text of lines as a result takes it, cut between lines where it is too long; then the last line says so, and what to do instead.
fn lines_that_fit(text: &str, instead: &str) -> String {
    if text.len() <= LONGEST_RESULT {
        return text.trim_end().to_owned();
    }
    let last = |left: usize| format!("… {left} more lines are left out; {instead}");
    let room = LONGEST_RESULT - last(usize::MAX).len();
    let mut shown = String::new();
    let mut lines = text.lines();
    let mut left = 0;
    for line in lines.by_ref() {
        if shown.len() + line.len() + 1 > room {
            left = 1;
            break;
        }
        shown.push_str(line);
        shown.push('\n');
    }
    shown + &last(left + lines.count())
}

/// A refusal in the words of the status.
fn api_error(call: &ActionContext, error: &crate::api_error::ApiError) -> String {
    status::api_error(&call.commands(), error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_result_is_cut_between_lines() {
        assert_eq!(lines_that_fit("a\nb\n", "less"), "a\nb");
        let line = "0123456789".repeat(10);
        let text = format!("{line}\n").repeat(2000);
        let shown = lines_that_fit(&text, "name a model");
        assert!(shown.len() <= LONGEST_RESULT, "{}", shown.len());
        let last = shown.lines().last().unwrap();
        let left: usize = last.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(left + shown.lines().count() - 1, 2000, "{last}");
        assert!(last.ends_with("name a model"));
        // One line that has no room at all.
        assert!(lines_that_fit(&"x".repeat(LONGEST_RESULT + 1), "").starts_with("… 1 more lines"));
    }
}
