//! Actions, run with `juju run`. They change nothing in the cluster.

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
mod report;
mod request;
pub mod served;

use crate::config::Model;
use crate::config::value::either;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::reconcile::secrets;
use crate::reconcile::snapshot::Snapshot;
use crate::shell::{Commands, command};
use crate::status;
use juju_hooks::tool::LONGEST_RESULT;
use juju_hooks::{HookContext, HookTools, ToolError};
use parameters::Parameters;

/// Results by key.
type Results = Vec<(String, String)>;

enum Failure {
    /// A hook tool failed.
    Juju(ToolError),
    /// The action fails with this message, and with the results so far.
    Failed(String, Results),
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        Self::Juju(error)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message, Results::new())
    }
}

/// Runs the action of that name. What goes wrong with the action itself fails the action.
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
        "report" => report::run(&call).await,
        "rollback" => release::rollback(&call).await,
        unknown => Err(Failure::from(format!(
            "unknown action `{unknown}`. Run: {}",
            command(&["juju", "actions", &context.application])
        ))),
    };
    match outcome {
        Ok(results) => set_results(tools, &results),
        Err(Failure::Juju(error)) => Err(error),
        Err(Failure::Failed(message, results)) => {
            set_results(tools, &results)?;
            tools.action_fail(&message)
        }
    }
}

/// Sets the results with valid keys: one invalid key would lose all of them, and an invalid model name is in the status.
fn set_results(tools: HookTools, results: &Results) -> Result<(), ToolError> {
    let (valid, _): (Vec<_>, Vec<_>) = results.iter().cloned().partition(|(key, _)| key.split('.').all(is_key));
    if valid.is_empty() {
        return Ok(());
    }
    tools.action_set(&valid)
}

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

    /// A snapshot of the cluster. Reads the secrets that it needs.
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

/// The other way to grant the charm its permissions.
const GRANT_ALTERNATIVE: &str = "or apply rbac.yaml";

fn no_models(commands: &Commands) -> String {
    format!("no models configured. Run: {}", commands.config("image", "…"))
}

/// The model of that name, or the only one.
fn select_model<'a>(inputs: &'a Inputs, desired: Option<&str>) -> Result<&'a Model, Failure> {
    let models = &inputs.config.models;
    let model = match desired {
        Some(name) => models.iter().find(|model| model.name == name),
        None => models.first().filter(|_| models.len() == 1),
    };
    model.ok_or_else(|| {
        let is_relevant = |error: &&crate::config::ConfigError| {
            desired.is_none() || error.model.is_none() || error.model.as_deref() == desired
        };
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let error = inputs.config.errors.iter().find(is_relevant).filter(|_| {
            let is_frozen = |name: &str| inputs.config.frozen.contains(name);
            names.is_empty() || desired.is_some_and(is_frozen)
        });
        Failure::from(match (error, desired) {
            (Some(error), _) => error.to_string(),
            (None, _) if names.is_empty() => no_models(&inputs.commands()),
            (None, Some(name)) => format!("parameter model: unknown model `{name}`, expected {}", either(&names)),
            (None, None) => format!("parameter model: must be {}", either(&names)),
        })
    })
}

/// Whether Juju accepts a text as a part of a result's key (`worker/uniter/runner/jujuc/action-set.go`).
fn is_key(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Cuts a text that is too long for a result between two lines. The last line then says so, with a hint.
fn lines_that_fit(text: &str, hint: &str) -> String {
    if text.len() <= LONGEST_RESULT {
        return text.trim_end().to_owned();
    }
    let last = |left: usize| format!("… {left} more lines omitted; {hint}");
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

/// The message of the status about an error of the API server.
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
        // A single line that is too long.
        assert!(lines_that_fit(&"x".repeat(LONGEST_RESULT + 1), "").starts_with("… 1 more lines"));
    }
}
