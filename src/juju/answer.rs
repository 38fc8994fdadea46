//! What the hook tools answer, read. All answers are asked for as JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Content, State, Status};

/// An answer is not what it should be. What it is instead is not repeated: an answer may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the JSON that was asked for, from line {line}, column {column} on")]
pub struct Garbled {
    line: usize,
    column: usize,
}

/// Of `config-get`: the options that have a value.
///
/// # Errors
/// When it is no JSON of that kind; so have all others here.
pub fn config(answer: &[u8]) -> Result<Map<String, Value>, Garbled> {
    read(answer)
}

/// Of `is-leader`.
///
/// # Errors
/// As [`config`].
pub fn is_leader(answer: &[u8]) -> Result<bool, Garbled> {
    read(answer)
}

/// Of `relation-ids`.
///
/// # Errors
/// As [`config`].
pub fn relation_ids(answer: &[u8]) -> Result<Vec<String>, Garbled> {
    read(answer)
}

/// Of `relation-list --app`.
///
/// # Errors
/// As [`config`].
pub fn remote_application(answer: &[u8]) -> Result<String, Garbled> {
    read(answer)
}

/// Of `action-get` without a key: the parameters; none may be said as null.
///
/// # Errors
/// As [`config`].
pub fn parameters(answer: &[u8]) -> Result<Map<String, Value>, Garbled> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Of `relation-get`: the data bag; an empty one may be said as null.
///
/// # Errors
/// As [`config`].
pub fn bag(answer: &[u8]) -> Result<BTreeMap<String, String>, Garbled> {
    read::<Option<_>>(answer).map(Option::unwrap_or_default)
}

/// Of `secret-get`.
///
/// # Errors
/// As [`config`].
pub fn secret(answer: &[u8]) -> Result<Content, Garbled> {
    read(answer)
}

/// Of `goal-state`: how many units of this application are meant to stay. Its relations are not all there are: on the offering side of
/// a cross-model relation it has none (juju/juju, `apiserver/facades/agent/uniter/uniter.go`, `goalStateRelations`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Goal {
    /// The units that are not on their way out.
    pub units: usize,
}

/// Of `goal-state`.
///
/// # Errors
/// As [`config`].
pub fn goal(answer: &[u8]) -> Result<Goal, Garbled> {
    #[derive(Deserialize)]
    struct GoalState {
        #[serde(default)]
        units: BTreeMap<String, Unit>,
    }
    #[derive(Deserialize)]
    struct Unit {
        #[serde(default)]
        status: String,
    }
    let goal: GoalState = read(answer)?;
    Ok(Goal {
        units: goal.units.values().filter(|unit| unit.status != "dying").count(),
    })
}

/// Of `status-get --include-data`; `None` for a status that no charm sets, such as `unknown`.
///
/// # Errors
/// As [`config`].
pub fn status(answer: &[u8]) -> Result<Option<Status>, Garbled> {
    #[derive(Deserialize)]
    struct Answer {
        status: String,
        #[serde(default)]
        message: String,
    }
    let answer: Answer = read(answer)?;
    let state = [State::Active, State::Waiting, State::Blocked]
        .into_iter()
        .find(|state| state.word() == answer.status);
    Ok(state.map(|state| Status::new(state, answer.message)))
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Garbled> {
    serde_json::from_slice(answer).map_err(|error| Garbled {
        line: error.line(),
        column: error.column(),
    })
}
