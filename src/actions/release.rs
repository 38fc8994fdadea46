//! `promote` and `rollback`: the command to run, as an action cannot change the configuration.

use super::{ActionContext, Failure, Results, select_model};
use crate::config::Model;
use crate::config::command::{OptionChanges, command, promotion, restore};
use crate::inputs::Inputs;
use crate::reconcile::model_statuses_of;
use crate::status::ModelStatus;

/// The command that makes the canary the model.
pub async fn promote(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let name = &call.context.application;
    run(call, |model, _| {
        promotion(model).ok_or_else(|| {
            format!(
                "{}: no canary. Run: {}",
                model.name,
                model.config_command(name, "canary", "…")
            )
        })
    })
    .await
}

/// The command that restores the version that served last.
pub async fn rollback(call: &ActionContext<'_>) -> Result<Results, Failure> {
    run(call, |model, model_status| {
        let options = model_status.and_then(|model_status| model_status.last.as_ref());
        options
            .map(|options| restore(model, options))
            .ok_or_else(|| format!("{}: no earlier version is recorded", model.name))
    })
    .await
}

async fn run(
    call: &ActionContext<'_>,
    changes: impl FnOnce(&Model, Option<&ModelStatus>) -> Result<OptionChanges, String>,
) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    let (model_statuses, status) = model_statuses_of(call.tools, call.context, &mut inputs).await?;
    let model = select_model(&inputs, parameters.text("model")?)?;
    let model_status = model_statuses
        .iter()
        .find(|model_status| model_status.model == model.name);
    let changes = changes(model, model_status)?;
    let line = command(&call.context.application, &inputs.juju.options, &model.name, &changes);
    Ok(vec![
        (
            "command".to_owned(),
            line.ok_or_else(|| "option models: cannot be read".to_owned())?,
        ),
        (
            "status".to_owned(),
            model_status.map_or(status.message, |model_status| model_status.message.clone()),
        ),
    ])
}
