//! `list-models`: how every model stands, uncut, where `juju status` has one line for all.

use crate::juju::{HookTools, Invocation, State, ToolError};
use crate::reconcile::standings;

pub async fn run(tools: HookTools, invocation: &Invocation) -> Result<(), ToolError> {
    let (models, status) = standings(tools, invocation).await?;
    if models.is_empty() && status.state != State::Active {
        return tools.fail_action(&status.message);
    }
    let results: Vec<(String, String)> = models
        .into_iter()
        // A name that is none is told by the status; action-set would refuse all for it.
        .filter(|standing| is_key(&standing.model))
        .flat_map(|standing| {
            let model = standing.model;
            [
                ("state", Some(standing.state.word().to_owned())),
                ("message", Some(standing.message)),
                ("url", standing.path),
                ("serves", standing.source),
            ]
            .map(|(key, value)| Some((format!("{model}.{key}"), value?)))
        })
        .flatten()
        .collect();
    tools.set_results(&results)
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
