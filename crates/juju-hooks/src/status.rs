//! The status of a unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The states that a charm sets, in ascending order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// The application works as configured.
    Active,
    /// It does not work yet, and recovers on its own.
    Waiting,
    /// Action required; the message says which.
    Blocked,
}

impl State {
    /// The argument of `status-set`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
        }
    }
}

/// How much of a message `juju status` shows, in bytes: it drops the rest (seen with Juju 4.0.15).
pub const SHOWN_BYTES: usize = 117;

/// A unit's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state.
    pub state: State,
    /// One line for operators. `juju status` shows its first [`SHOWN_BYTES`].
    pub message: String,
}

impl Status {
    /// Creates a status.
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
