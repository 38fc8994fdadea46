//! What the hook tools answer, read. All answers are asked for as JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{SecretContent, State, Status};

/// An answer is not what it should be. What it is instead is not repeated: an answer may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the JSON that was asked for, from line {line}, column {column} on")]
pub struct ParseError {
    line: usize,
    column: usize,
}

/// Of `config-get`: the options that have a value.
///
/// # Errors
/// When it is no JSON of that kind; so have all others here.
pub fn config_get(answer: &[u8]) -> Result<Map<String, Value>, ParseError> {
    read(answer)
}

/// Of `is-leader`.
///
/// # Errors
/// As [`config`].
pub fn is_leader(answer: &[u8]) -> Result<bool, ParseError> {
    read(answer)
}

/// Of `relation-ids`.
///
/// # Errors
/// As [`config`].
pub fn relation_ids(answer: &[u8]) -> Result<Vec<String>, ParseError> {
    read(answer)
}

/// Of `relation-list --app`.
///
/// # Errors
/// As [`config`].
pub fn relation_list_app(answer: &[u8]) -> Result<String, ParseError> {
    read(answer)
}

/// Of `action-get` without a key: the parameters; none may be said as null.
///
/// # Errors
/// As [`config`].
pub fn action_get(answer: &[u8]) -> Result<Map<String, Value>, ParseError> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Of `relation-get`: the data bag; an empty one may be said as null.
///
/// # Errors
/// As [`config`].
pub fn relation_get(answer: &[u8]) -> Result<BTreeMap<String, String>, ParseError> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Of `secret-get`.
///
/// # Errors
/// As [`config`].
pub fn secret_get(answer: &[u8]) -> Result<SecretContent, ParseError> {
    read(answer)
}

/// Of `goal-state`: how many units of this application are meant to stay. Its relations are not all there are: on the offering side of
/// a cross-model relation it has none (juju/juju, `apiserver/facades/agent/uniter/uniter.go`, `goalStateRelations`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoalState {
    /// The units that are not on their way out.
    pub units: usize,
}

/// Of `goal-state`.
///
/// # Errors
/// As [`config`].
pub fn goal_state(answer: &[u8]) -> Result<GoalState, ParseError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        units: BTreeMap<String, Unit>,
    }
    #[derive(Deserialize)]
    struct Unit {
        #[serde(default)]
        status: String,
    }
    let answer: Answer = read(answer)?;
    Ok(GoalState {
        units: answer.units.values().filter(|unit| unit.status != "dying").count(),
    })
}

/// Of `status-get --include-data`; `None` for a status that no charm sets, such as `unknown`.
///
/// # Errors
/// As [`config`].
pub fn status_get(answer: &[u8]) -> Result<Option<Status>, ParseError> {
    #[derive(Deserialize)]
    struct Answer {
        status: String,
        #[serde(default)]
        message: String,
    }
    let answer: Answer = read(answer)?;
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
