//! A unit's status as `juju status` shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The states a charm may set, the calmest first: the larger one wins where several apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// All is as it was asked for.
    Active,
    /// Not yet, but it comes right without anybody doing anything.
    Waiting,
    /// A person must act; the message says how.
    Blocked,
}

impl State {
    /// The word that `status-set` takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
        }
    }
}

/// A state and its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How the unit is.
    pub state: State,
    /// The same for a person, in one line.
    pub message: String,
}

impl Status {
    /// A status of that state.
    #[must_use]
    pub fn new(state: State, message: impl Into<String>) -> Self {
        Self {
            state,
            message: message.into(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state.as_str(), self.message)
    }
}
