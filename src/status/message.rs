//! A message: what is the case, the command to run, the cause.

use std::fmt;

use juju_hooks::State;
use juju_hooks::status::SHOWN_BYTES;

use super::line::Line;
use crate::shell::Commands;

/// What an operator reads of a problem, or of what is to be known although everything serves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Message {
    pub state: State,
    /// What is the case, behind the name of the model.
    pub what: String,
    /// The command to run, ready to be pasted.
    pub run: Option<String>,
    /// Whether the command destroys something that may not be ours. `juju status` names `diagnose` in its place, which says more.
    pub destroys: bool,
    /// The cause, as long as it is.
    pub cause: Option<String>,
    /// Whether what was deployed before answers requests meanwhile.
    pub previous_serves: bool,
}

impl Message {
    /// Serves all the same.
    pub fn active(what: impl Into<String>) -> Self {
        Self::new(State::Active, what)
    }

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
            destroys: false,
            cause: None,
            previous_serves: false,
        }
    }

    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.run = Some(command.into());
        self
    }

    /// A command that destroys what it is about.
    pub fn run_destructive(mut self, command: impl Into<String>) -> Self {
        self.destroys = true;
        self.run(command)
    }

    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into()).filter(|cause| !cause.is_empty());
        self
    }

    pub fn previous_serves(mut self, serves: bool) -> Self {
        self.previous_serves = serves;
        self
    }

    /// The same of a model, or of one of its predictors.
    pub fn of_model(mut self, name: &str) -> Self {
        self.what = format!("{name}: {}", self.what);
        self
    }

    /// What is the case and the command.
    fn head(&self) -> String {
        match &self.run {
            // A suggestion ends with a question mark.
            Some(run) if self.what.ends_with('?') => format!("{} Run: {run}", self.what),
            Some(run) => format!("{}. Run: {run}", self.what),
            None => self.what.clone(),
        }
    }

    /// The cause in brackets and what follows it.
    fn rest(&self) -> (String, &'static str) {
        let cause = self.cause.as_ref().map(|cause| format!(" ({cause})"));
        let previous = if self.previous_serves {
            "; the previous version keeps serving"
        } else {
            ""
        };
        (cause.unwrap_or_default(), previous)
    }

    /// The line for `juju status`, with how many models serve in front of it. What does not fit gives way: first the command to
    /// `diagnose`, which prints it, then the count, which moves to the end, then `diagnose` to the log.
    pub fn line(&self, count: Option<&str>, commands: &Commands) -> Line {
        let (_, tail) = self.rest();
        let line = |head: String, tail: String| Line {
            head,
            cause: self.cause.clone(),
            tail,
        };
        let before = count.map(|count| format!("{count}; ")).unwrap_or_default();
        if self.run.is_none() {
            return line(format!("{before}{}", self.head()), tail.to_owned());
        }
        let own = (!self.destroys).then(|| self.head());
        let diagnose = self.clone().run(commands.diagnose()).head();
        let heads: Vec<String> = own.into_iter().chain([diagnose]).collect();
        if let Some(head) = heads.iter().find(|head| before.len() + head.len() <= SHOWN_BYTES) {
            return line(format!("{before}{head}"), tail.to_owned());
        }
        let head = heads.into_iter().find(|head| head.len() <= SHOWN_BYTES);
        let head = head.unwrap_or_else(|| self.clone().run("juju debug-log").head());
        let count = count.map(|count| format!("; {count}")).unwrap_or_default();
        line(head, format!("{tail}{count}"))
    }
}

/// The text for the log and for actions: whole.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cause, previous) = self.rest();
        write!(f, "{}{cause}{previous}", self.head())
    }
}
