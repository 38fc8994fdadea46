//! The hook tools: programs on `PATH` that talk to the unit agent. One call is one process.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use super::answer::{self, Garbled, Goal};
use super::{Content, Status, Unreadable};

/// A hook tool did not do what it is there for.
#[derive(Debug, thiserror::Error)]
#[error("Juju's {tool} {problem}")]
pub struct ToolError {
    tool: &'static str,
    problem: Problem,
}

impl ToolError {
    /// Why a secret cannot be read, if that is what went wrong (`canonical/operator`, `ops/model.py`, tells the two apart by the
    /// same words).
    fn unreadable(&self) -> Option<Unreadable> {
        let Problem::Failed(why) = &self.problem else {
            return None;
        };
        if why.contains("permission denied") {
            Some(Unreadable::NotGranted)
        } else {
            why.contains("not found").then_some(Unreadable::Gone)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("could not be started: {0}")]
    Start(io::Error),
    #[error("failed: {0}")]
    Failed(String),
    #[error("gave an answer that cannot be read: {0}")]
    Garbled(Garbled),
}

/// The tools of the hook that runs. Each method is one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct HookTools;

/// Longest text handed to a tool as one argument, in bytes: Linux takes 128 KiB.
const LONGEST_ARGUMENT: usize = 120 * 1024;
/// Longest value of an action's result, in bytes. It is an argument too, with its key.
pub const LONGEST_RESULT: usize = LONGEST_ARGUMENT / 2;

impl HookTools {
    /// The application's configuration; options without a value are left out.
    ///
    /// # Errors
    /// When `config-get` fails.
    pub fn config(self) -> Result<Map<String, Value>, ToolError> {
        ask("config-get", &["--format", "json"], answer::config)
    }

    /// Whether this unit leads, which Juju then guarantees for 30 s (`worker/uniter/runner/context/leader.go`).
    ///
    /// # Errors
    /// When `is-leader` fails, as it does while the controller cannot be asked.
    pub fn is_leader(self) -> Result<bool, ToolError> {
        ask("is-leader", &["--format", "json"], answer::is_leader)
    }

    /// The ids of an endpoint's relations, also of one that is being broken.
    ///
    /// # Errors
    /// When `relation-ids` fails.
    pub fn relation_ids(self, endpoint: &str) -> Result<Vec<String>, ToolError> {
        ask("relation-ids", &[endpoint, "--format", "json"], answer::relation_ids)
    }

    /// The application on the other side of a relation.
    ///
    /// # Errors
    /// When `relation-list` fails.
    pub fn remote_application(self, id: &str) -> Result<String, ToolError> {
        ask(
            "relation-list",
            &["-r", id, "--app", "--format", "json"],
            answer::remote_application,
        )
    }

    /// The application data bag that `application` wrote.
    ///
    /// # Errors
    /// When `relation-get` fails.
    pub fn application_bag(self, id: &str, application: &str) -> Result<BTreeMap<String, String>, ToolError> {
        ask(
            "relation-get",
            &["-r", id, "--app", "-", application, "--format", "json"],
            answer::bag,
        )
    }

    /// Says something to the other side of a relation, for all units: only the leader may. It is written when the hook ends well.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn say_in_relation(self, id: &str, key: &str, value: &str) -> Result<(), ToolError> {
        tell("relation-set", &["-r", id, "--app", &format!("{key}={value}")])
    }

    /// The same for several things at once, of any length: they go by standard input, where an argument has a limit.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn say_all_in_relation(self, id: &str, said: &BTreeMap<&str, &str>) -> Result<(), ToolError> {
        // Texts by texts: there is nothing in it that JSON cannot say, and JSON is YAML.
        let text = serde_json::to_vec(said).unwrap_or_default();
        run_with("relation-set", &["-r", id, "--app", "--file", "-"], &text).map(drop)
    }

    /// The newest content of a secret. Juju tells of the next one by `secret-changed`.
    ///
    /// # Errors
    /// When `secret-get` fails otherwise than by refusing the secret.
    pub fn secret(self, uri: &str) -> Result<Result<Content, Unreadable>, ToolError> {
        // Without --refresh it would stay at the revision that was read first.
        let arguments = [uri, "--refresh", "--format", "json"];
        match ask("secret-get", &arguments, answer::secret) {
            Ok(content) => Ok(Ok(content)),
            Err(error) => error.unreadable().map(Err).ok_or(error),
        }
    }

    /// What this application is meant to be: its units and its relations.
    ///
    /// # Errors
    /// When `goal-state` fails.
    pub fn goal(self) -> Result<Goal, ToolError> {
        ask("goal-state", &["--format", "json"], answer::goal)
    }

    /// The unit's status as Juju has it; `None` for one that no charm sets, such as `unknown`.
    ///
    /// # Errors
    /// When `status-get` fails.
    pub fn status(self) -> Result<Option<Status>, ToolError> {
        ask("status-get", &["--include-data", "--format", "json"], answer::status)
    }

    /// Sets the unit's status, at once and whatever becomes of the hook.
    ///
    /// # Errors
    /// When `status-set` fails.
    pub fn set_status(self, status: &Status) -> Result<(), ToolError> {
        tell("status-set", &[status.state.word(), "--", &status.message])
    }

    /// Sets what `juju status` shows as the application's version, at once.
    ///
    /// # Errors
    /// When `application-version-set` fails.
    pub fn set_version(self, version: &str) -> Result<(), ToolError> {
        tell("application-version-set", &["--", version])
    }

    /// Writes a line to the model's log, `level` being one of Juju's: `TRACE`, `INFO`, `WARNING`, `ERROR`.
    ///
    /// # Errors
    /// When `juju-log` fails.
    pub fn log(self, level: &str, line: &str) -> Result<(), ToolError> {
        let line = cut(line, LONGEST_ARGUMENT);
        tell("juju-log", &["--log-level", level, "--", line])
    }

    /// The parameters of the action that runs: those that were given, and those with a default.
    ///
    /// # Errors
    /// When `action-get` fails, as it does outside an action.
    pub fn action_parameters(self) -> Result<Map<String, Value>, ToolError> {
        ask("action-get", &["--format", "json"], answer::parameters)
    }

    /// Adds to an action's results. A key is lower-case words joined by `-` and `.`.
    ///
    /// # Errors
    /// When `action-set` fails, as it does outside an action.
    pub fn set_results(self, results: &[(String, String)]) -> Result<(), ToolError> {
        let pairs: Vec<String> = results
            .iter()
            .map(|(key, value)| format!("{key}={}", cut(value, LONGEST_RESULT)))
            .collect();
        let arguments: Vec<&str> = pairs.iter().map(String::as_str).collect();
        tell("action-set", &arguments)
    }

    /// Ends an action as failed, saying why.
    ///
    /// # Errors
    /// When `action-fail` fails, as it does outside an action.
    pub fn fail_action(self, why: &str) -> Result<(), ToolError> {
        tell("action-fail", &["--", why])
    }
}

/// At most `limit` bytes of a text, whole characters only.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Runs a tool and reads its answer.
fn ask<T>(tool: &'static str, arguments: &[&str], read: fn(&[u8]) -> Result<T, Garbled>) -> Result<T, ToolError> {
    read(&run(tool, arguments)?).map_err(|error| ToolError {
        tool,
        problem: Problem::Garbled(error),
    })
}

/// Runs a tool that has nothing to say.
fn tell(tool: &'static str, arguments: &[&str]) -> Result<(), ToolError> {
    run(tool, arguments).map(drop)
}

fn run(tool: &'static str, arguments: &[&str]) -> Result<Vec<u8>, ToolError> {
    run_with(tool, arguments, &[])
}

/// Runs a tool with that on its standard input.
fn run_with(tool: &'static str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, ToolError> {
    let failed = |problem| ToolError { tool, problem };
    let start = |error| failed(Problem::Start(error));
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends without having read it says itself what is wrong.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // Usage text may come before the line that says what is wrong.
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    let why = last.strip_prefix("ERROR ").unwrap_or(last);
    Err(failed(Problem::Failed(if why.is_empty() {
        output.status.to_string()
    } else {
        why.to_owned()
    })))
}
