//! The `juju` client, and what its versions call a thing.

use std::process::Command;
use std::time::Duration;

use juju_hooks::subprocess;
use juju_sim::juju::Version;
use serde_json::Value;

use crate::setup::CONTROLLER;

/// How long one command may take. `run` waits for its action as long as [`ACTION`].
const COMMAND: Duration = Duration::from_secs(420);
/// How long the client waits for an action, below [`COMMAND`].
const ACTION: &str = "--wait=5m";

pub struct Juju {
    controller: String,
    version: Version,
}

/// What one command printed.
#[derive(Debug)]
pub struct Printed {
    pub succeeded: bool,
    pub stdout: String,
    pub stderr: String,
}

/// An action that has ended.
#[derive(Debug)]
pub struct Task {
    pub status: String,
    pub message: String,
    pub results: Value,
}

impl Juju {
    pub fn new(controller: String, version: Version) -> Self {
        Self { controller, version }
    }

    /// `None` without a client.
    pub fn version_installed() -> Option<Version> {
        let printed = print(Command::new("juju").arg("version")).ok()?;
        read_version(&printed.stdout)
    }

    /// Whether the controller answers.
    pub fn check(&self) -> Result<(), String> {
        let printed = self.print(&["models", "-c", &self.controller, "--format", "json"]);
        if printed.succeeded { Ok(()) } else { Err(printed.stderr) }
    }

    /// Whether the client is of this version or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version.at_least(major, minor, 0)
    }

    /// A model of this controller, as `-m` takes it, whichever is the current one.
    pub fn qualified(&self, model: &str) -> String {
        format!("{}:{model}", self.controller)
    }

    /// The user of the controller, who is part of an offer's URL.
    #[track_caller]
    pub fn user(&self) -> String {
        let text = self.succeed(&["whoami", "-c", &self.controller, "--format", "json"]);
        let whoami: Value = serde_json::from_str(&text).unwrap();
        whoami["user"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn add_model(&self, name: &str) {
        self.succeed(&["add-model", "-c", &self.controller, "--no-switch", name]);
    }

    /// Destroys a model, by force where it does not go otherwise.
    ///
    /// # Errors
    /// What Juju says to both.
    pub fn destroy_model(&self, name: &str) -> Result<(), String> {
        // 3.0 renamed the flag.
        let unasked = if self.at_least(3, 0) { "--no-prompt" } else { "--yes" };
        let model = self.qualified(name);
        let gently = ["destroy-model", &model, unasked, "--destroy-storage"];
        let first = self.print(&gently);
        if first.succeeded {
            return Ok(());
        }
        let by_force: Vec<&str> = gently.iter().copied().chain(["--force", "--no-wait"]).collect();
        let second = self.print(&by_force);
        if second.succeeded {
            return Err(format!("{name} had to be destroyed by force: {}", first.stderr));
        }
        Err(format!("{name} is left behind: {} {}", first.stderr, second.stderr))
    }

    /// `integrate`, which 2.9 calls `relate`.
    pub fn integrate(&self) -> &'static str {
        if self.at_least(3, 0) { "integrate" } else { "relate" }
    }

    /// The arguments that remove an application without a question, which 2.9 never asks.
    pub fn remove_application(&self) -> &'static [&'static str] {
        if self.at_least(3, 0) {
            &["remove-application", "--no-prompt"]
        } else {
            &["remove-application"]
        }
    }

    /// The arguments in front of the unit and the action; parameters are text, which every Juju passes on.
    pub fn run(&self) -> [&'static str; 5] {
        let verb = if self.at_least(3, 0) { "run" } else { "run-action" };
        [verb, ACTION, "--format", "json", "--string-args"]
    }

    /// Runs a command that must succeed. Returns its standard output.
    #[track_caller]
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let printed = self.print(arguments);
        assert!(printed.succeeded, "juju {}: {}", arguments.join(" "), printed.stderr);
        printed.stdout
    }

    #[track_caller]
    pub fn print(&self, arguments: &[&str]) -> Printed {
        let mut command = Command::new("juju");
        // A model that somebody works with in this shell is not meant.
        command
            .args(arguments)
            .env(CONTROLLER, &self.controller)
            .env_remove("JUJU_MODEL");
        print(&mut command).unwrap_or_else(|error| panic!("juju {}: {error}", arguments.join(" ")))
    }
}

fn print(command: &mut Command) -> Result<Printed, subprocess::Error> {
    let output = subprocess::run(command, b"", COMMAND)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Printed {
        succeeded: output.status.success(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

/// `3.6.9-ubuntu-amd64`, `4.0-beta5-ubuntu-arm64`: the series, or system, and the architecture are not part of it.
pub fn read_version(printed: &str) -> Option<Version> {
    let mut words = printed.trim().rsplitn(3, '-');
    let (_architecture, _system) = (words.next()?, words.next()?);
    words.next()?.parse().ok()
}

/// The only task of `juju run --format json`: 2.9 names it after its unit's tag, later versions after the unit.
pub fn read_task(printed: &str) -> Option<Task> {
    let tasks: Value = serde_json::from_str(printed).ok()?;
    let task = tasks.as_object()?.values().next()?;
    let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
    Some(Task {
        status: text("status"),
        message: text("message"),
        results: task["results"].clone(),
    })
}

/// What the other side of a unit's relation at that endpoint wrote as an application, of `juju show-unit --format json`. Null without
/// such a relation.
pub fn read_application_data(printed: &str, unit: &str, endpoint: &str) -> Value {
    let shown: Value = serde_json::from_str(printed).unwrap_or_default();
    let relations = shown[unit]["relation-info"].as_array().cloned().unwrap_or_default();
    let relation = relations.into_iter().find(|relation| relation["endpoint"] == endpoint);
    relation.map_or(Value::Null, |relation| relation["application-data"].clone())
}
