//! A unit's status as `juju status` shows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The states a charm sets, the calmest first, so that the largest one wins where several apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// The application works as configured.
    Active,
    /// It does not yet, and recovers on its own.
    Waiting,
    /// Action required; the message says which.
    Blocked,
}

impl State {
    /// As `status-set` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
        }
    }
}

/// A unit's status: a state and its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state.
    pub state: State,
    /// One line for operators. `juju status` shows its first 117 bytes.
    pub message: String,
}

impl Status {
    /// A status of this state.
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
