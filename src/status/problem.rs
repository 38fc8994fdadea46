//! Why a status is not active: what is the case, the command to run, the cause.

use std::fmt;

use juju_hooks::State;

/// How much of a message `juju status` shows, in bytes: it drops the rest (Juju 4.0.15).
pub const SHOWN: usize = 117;

/// Something that keeps a model from serving what is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Problem {
    pub state: State,
    /// What is the case, behind the name of the model.
    pub what: String,
    /// The command to run, ready to be pasted.
    pub run: Option<String>,
    /// The cause, as long as it is.
    pub cause: Option<String>,
    /// Whether what was deployed before answers requests meanwhile.
    pub previous_serves: bool,
}

impl Problem {
    /// Recovers on its own.
    pub fn waiting(what: impl Into<String>) -> Self {
        Self::new(State::Waiting, what)
    }

    /// Action required.
    pub fn blocked(what: impl Into<String>) -> Self {
        Self::new(State::Blocked, what)
    }

    fn new(state: State, what: impl Into<String>) -> Self {
        Self {
            state,
            what: what.into(),
            run: None,
            cause: None,
            previous_serves: false,
        }
    }

    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.run = Some(command.into());
        self
    }

    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into()).filter(|cause| !cause.is_empty());
        self
    }

    pub fn previous_serves(mut self, serves: bool) -> Self {
        self.previous_serves = serves;
        self
    }

    /// The same of a model.
    pub fn of_model(mut self, name: &str) -> Self {
        self.what = format!("{name}: {}", self.what);
        self
    }

    /// The text for a line of which `room` bytes are shown: a command that does not fit gives way to `diagnose`, which prints it.
    pub fn within(&self, room: usize, diagnose: &str) -> String {
        let fits = |run: &String| self.what.len() + RUN.len() + run.len() <= room;
        match &self.run {
            Some(run) if !fits(run) => self.clone().run(diagnose).to_string(),
            _ => self.to_string(),
        }
    }
}

const RUN: &str = ". Run: ";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(run) = &self.run {
            write!(f, "{RUN}{run}")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        if self.previous_serves {
            f.write_str("; the previous version keeps serving")?;
        }
        Ok(())
    }
}
