//! `list-models`: the state of each model with the full message, where `juju status` has one line for all.

use super::{ActionContext, Failure, Results};
use crate::reconcile::model_statuses;
use juju_hooks::State;

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let (models, status) = model_statuses(call.tools, call.context, call.identity).await?;
    if models.is_empty() && status.state != State::Active {
        return Err(Failure::from(status.message));
    }
    let results = models.into_iter().flat_map(|model_status| {
        let model = model_status.model;
        [
            ("state", Some(model_status.state.as_str().to_owned())),
            ("message", Some(model_status.message)),
            ("url", model_status.path),
            ("serves", model_status.source),
        ]
        .map(|(key, value)| Some((format!("{model}.{key}"), value?)))
    });
    Ok(results.flatten().collect())
}
