//! `promote` and `rollback`: the exact line to type, as an action cannot change the configuration.

use crate::config::command::{Changes, command, promotion, return_to};
use crate::config::{self, Model};
use crate::judge::Standing;
use crate::juju::{HookTools, Invocation, ToolError};
use crate::reconcile::standings;

/// What it takes to let the canary be the model.
pub async fn promote(tools: HookTools, invocation: &Invocation) -> Result<(), ToolError> {
    let name = &invocation.application;
    run(tools, invocation, |model, _| {
        promotion(model).ok_or_else(|| {
            format!(
                "{0} has no canary; {1}",
                model.name,
                model.set(name, "canary", "'{image: …, weight: 10}'")
            )
        })
    })
    .await
}

/// What it takes to go back to what served last.
pub async fn rollback(tools: HookTools, invocation: &Invocation) -> Result<(), ToolError> {
    run(tools, invocation, |model, standing| {
        let words = standing.and_then(|standing| standing.last.as_ref());
        words
            .map(|words| return_to(model, words))
            .ok_or_else(|| format!("nothing else is known that {} has served", model.name))
    })
    .await
}

async fn run(
    tools: HookTools,
    invocation: &Invocation,
    changes: impl FnOnce(&Model, Option<&Standing>) -> Result<Changes, String>,
) -> Result<(), ToolError> {
    let options = tools.config()?;
    let config = config::parse(&invocation.application, &options);
    let wanted = tools.action_parameter("model")?;
    let models = &config.models;
    let model = match &wanted {
        Some(name) => models.iter().find(|model| model.name == *name),
        None => models.first().filter(|_| models.len() == 1),
    };
    let Some(model) = model else {
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let why = format!("say which model: model=<one of {}>", names.join(", "));
        return tools.fail_action(config.faults.first().map_or(why, ToString::to_string).as_str());
    };
    let (standings, status) = standings(tools, invocation).await?;
    let standing = standings.iter().find(|standing| standing.model == model.name);
    let line = changes(model, standing).and_then(|changes| {
        command(&invocation.application, &options, &model.name, &changes)
            .ok_or_else(|| "the option models cannot be read".to_owned())
    });
    match line {
        Ok(line) => tools.set_results(&[
            ("command".to_owned(), line),
            (
                "status".to_owned(),
                standing.map_or(status.message, |standing| standing.message.clone()),
            ),
        ]),
        Err(why) => tools.fail_action(&why),
    }
}
