//! Parses the output of the hook tools. All of them are called with `--format json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{SecretContent, State, Status};

/// The output of a hook tool has not the expected form. The error does not contain the output, which may hold
/// secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected output at line {line}, column {column}")]
pub struct ParseError {
    line: usize,
    column: usize,
}

/// Parses `config-get`: the options that have a value.
///
/// # Errors
/// When the output is not JSON of the expected type. This applies to all functions here.
pub fn config_get(answer: &[u8]) -> Result<Map<String, Value>, ParseError> {
    read(answer)
}

/// Parses `is-leader`.
///
/// # Errors
/// See [`config_get`].
pub fn is_leader(answer: &[u8]) -> Result<bool, ParseError> {
    read(answer)
}

/// Parses `relation-ids`.
///
/// # Errors
/// See [`config_get`].
pub fn relation_ids(answer: &[u8]) -> Result<Vec<String>, ParseError> {
    read(answer)
}

/// Parses `relation-list --app`.
///
/// # Errors
/// See [`config_get`].
pub fn relation_list_app(answer: &[u8]) -> Result<String, ParseError> {
    read(answer)
}

/// Parses `action-get` without a key: all parameters. Juju may print null for none.
///
/// # Errors
/// See [`config_get`].
pub fn action_get(answer: &[u8]) -> Result<Map<String, Value>, ParseError> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Parses `relation-get`: a data bag. Juju may print null for an empty one.
///
/// # Errors
/// See [`config_get`].
pub fn relation_get(answer: &[u8]) -> Result<BTreeMap<String, String>, ParseError> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Parses `network-get` with the one flag `--bind-address`.
///
/// # Errors
/// See [`config_get`].
pub fn network_get_bind_address(answer: &[u8]) -> Result<String, ParseError> {
    read(answer)
}

/// Parses `secret-get`.
///
/// # Errors
/// See [`config_get`].
pub fn secret_get(answer: &[u8]) -> Result<SecretContent, ParseError> {
    read(answer)
}

/// The planned state of the application. It has no relations, because `goal-state` leaves some out: on the offering
/// side of a cross-model relation it reports none (juju/juju, `apiserver/facades/agent/uniter/uniter.go`,
/// `goalStateRelations`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoalState {
    /// The number of units that are not dying.
    pub units: usize,
}

/// Parses `goal-state`.
///
/// # Errors
/// See [`config_get`].
pub fn goal_state(answer: &[u8]) -> Result<GoalState, ParseError> {
    #[derive(Deserialize)]
    struct GoalStateAnswer {
        #[serde(default)]
        units: BTreeMap<String, Unit>,
    }
    #[derive(Deserialize)]
    struct Unit {
        #[serde(default)]
        status: String,
    }
    let answer: GoalStateAnswer = read(answer)?;
    Ok(GoalState {
        units: answer.units.values().filter(|unit| unit.status != "dying").count(),
    })
}

/// Parses `status-get --include-data`. `None` for a status that charms do not set, such as `unknown`.
///
/// # Errors
/// See [`config_get`].
pub fn status_get(answer: &[u8]) -> Result<Option<Status>, ParseError> {
    #[derive(Deserialize)]
    struct StatusAnswer {
        status: String,
        #[serde(default)]
        message: String,
    }
    let answer: StatusAnswer = read(answer)?;
    let state = [State::Active, State::Waiting, State::Blocked]
        .into_iter()
        .find(|state| state.as_str() == answer.status);
    Ok(state.map(|state| Status::new(state, answer.message)))
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ParseError> {
    serde_json::from_slice(answer).map_err(|error| ParseError {
        line: error.line(),
        column: error.column(),
    })
}
