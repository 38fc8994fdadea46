//! `promote` and `rollback`: the exact line to type, as an action cannot change the configuration.

use super::{Call, Failure, Results, chosen};
use crate::asked::Asked;
use crate::config::Model;
use crate::config::command::{Changes, command, promotion, return_to};
use crate::judge::Standing;
use crate::reconcile::standings_of;

/// What it takes to let the canary be the model.
pub async fn promote(call: &Call<'_>) -> Result<Results, Failure> {
    let name = &call.invocation.application;
    run(call, |model, _| {
        promotion(model).ok_or_else(|| {
            format!(
                "{0} has no canary; {1}",
                model.name,
                model.set(name, "canary", "{image: …, weight: 10}")
            )
        })
    })
    .await
}

/// What it takes to go back to what served last.
pub async fn rollback(call: &Call<'_>) -> Result<Results, Failure> {
    run(call, |model, standing| {
        let words = standing.and_then(|standing| standing.last.as_ref());
        words
            .map(|words| return_to(model, words))
            .ok_or_else(|| format!("nothing else is known that {} has served", model.name))
    })
    .await
}

async fn run(
    call: &Call<'_>,
    changes: impl FnOnce(&Model, Option<&Standing>) -> Result<Changes, String>,
) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut asked = Asked::read(call.tools, call.invocation, call.identity)?;
    let (standings, status) = standings_of(call.tools, call.invocation, &mut asked).await?;
    let model = chosen(&asked, parameters.text("model")?)?;
    let standing = standings.iter().find(|standing| standing.model == model.name);
    let changes = changes(model, standing)?;
    let line = command(&call.invocation.application, &asked.told.options, &model.name, &changes);
    Ok(vec![
        (
            "command".to_owned(),
            line.ok_or_else(|| "the option models cannot be read".to_owned())?,
        ),
        (
            "status".to_owned(),
            standing.map_or(status.message, |standing| standing.message.clone()),
        ),
    ])
}
