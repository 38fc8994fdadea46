//! `list-models`: how every model stands, uncut, where `juju status` has one line for all.

use super::{Call, Failure, Results};
use crate::juju::State;
use crate::reconcile::standings;

pub async fn run(call: &Call<'_>) -> Result<Results, Failure> {
    let (models, status) = standings(call.tools, call.invocation, call.identity).await?;
    if models.is_empty() && status.state != State::Active {
        return Err(Failure::from(status.message));
    }
    let results = models.into_iter().flat_map(|standing| {
        let model = standing.model;
        [
            ("state", Some(standing.state.word().to_owned())),
            ("message", Some(standing.message)),
            ("url", standing.path),
            ("serves", standing.source),
        ]
        .map(|(key, value)| Some((format!("{model}.{key}"), value?)))
    });
    Ok(results.flatten().collect())
}
