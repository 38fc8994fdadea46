//! The hook tools: programs on `PATH` that talk to the unit agent. Each method starts one process.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::answer::{self, GoalState, ParseError};
use super::subprocess;
use super::{SecretContent, SecretError, Status};

/// The time limit of one call. A tool takes 5 to 11 ms (Juju 4.0.15), longer if the agent has to ask the controller.
/// An agent that lost its controller notices after 90 s (juju/juju, api/apiclient.go: `PingPeriod` 1 min,
/// `pingTimeout` 30 s). `is-leader` guarantees leadership for 30 s, so a later answer would be worthless.
const LIMIT: Duration = Duration::from_secs(30);
/// The time limit of `juju-log`. The agent answers it without the controller (juju/juju,
/// internal/worker/uniter/runner/jujuc/juju-log.go), and lines are logged between Kubernetes writes, whose 25 s keep
/// running.
const LOG_LIMIT: Duration = Duration::from_secs(5);
/// The time limit of all calls in a hook together. Two hundred calls take 3 s.
const TOTAL: Duration = Duration::from_secs(120);
/// The time that `status-set` gets even when `TOTAL` is used up: without it, no one sees what is wrong.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// The duration of all calls so far, in milliseconds.
static SPENT: AtomicU64 = AtomicU64::new(0);
/// Whether a call of `juju-log` has timed out. Each further line would wait as long again.
static LOG_HANGS: AtomicBool = AtomicBool::new(false);

/// A hook tool failed.
#[derive(Debug, thiserror::Error)]
#[error("Juju's {tool} {failure}")]
pub struct ToolError {
    tool: &'static str,
    failure: Failure,
}

impl ToolError {
    /// The reason a secret cannot be read, if this error is about that. For a missing grant, Juju 3.x says
    /// `permission denied` and 4.0 says `"iris/0" is not allowed to read this secret` (juju/juju,
    /// `domain/secret/service/access.go`). "not found" must name the secret: other things can be temporarily missing.
    fn secret_error(&self) -> Option<SecretError> {
        let Failure::Failed(why) = &self.failure else {
            return None;
        };
        if why.contains("permission denied") || why.contains("is not allowed to read this secret") {
            Some(SecretError::NotGranted)
        } else {
            let is_gone = why.contains("secret") && why.contains("not found");
            is_gone.then_some(SecretError::NotFound)
        }
    }

    /// Whether the error means that the pod has no address that the controller knows (juju/juju,
    /// `internal/worker/uniter/runner/jujuc/network-get.go`).
    fn has_no_address(&self) -> bool {
        matches!(&self.failure, Failure::Failed(why) if why.contains("no network config found for binding"))
    }

    /// Whether the error means that the relation no longer exists. After a forced removal of a relation or a remote
    /// application, units still list its id (juju/juju, issue 23212 and pull request 23276). Juju 4 reports it for
    /// every tool, and all versions for the flag `-r` (`internal/worker/uniter/runner/jujuc/relation-*.go`);
    /// controllers of 2.9 and 3.x name the relation or the remote application's proxy (`state/relation.go`,
    /// `state/remoteapplication.go`). Anything else that is not found may be temporarily missing, such as a model
    /// during a migration.
    fn is_relation_gone(&self) -> bool {
        let Failure::Failed(why) = &self.failure else {
            return false;
        };
        why.ends_with("not found")
            && [
                "relation not found",
                "relation \"",
                "saas application \"",
                "remote application \"",
            ]
            .iter()
            .any(|what| why.contains(what))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("could not be started: {0}")]
    Start(io::Error),
    #[error("failed: {0}")]
    Failed(String),
    #[error("gave an answer that cannot be read: {0}")]
    Parse(ParseError),
    #[error("did not answer within {} s", .0.as_secs_f64().ceil())]
    TimedOut(Duration),
    #[error("was not called again, as it did not answer before")]
    Hangs,
    #[error("was not called, as this hook has waited {} s for Juju's tools", TOTAL.as_secs())]
    OutOfTime,
    #[error("{0}")]
    TooLong(subprocess::Error),
}

/// The hook tools of the running hook. Each method is one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct HookTools;

/// In bytes. Linux accepts 128 KiB per argument.
const LONGEST_ARGUMENT: usize = 120 * 1024;
/// Longest value of an action result, in bytes. It is an argument together with its key.
pub const LONGEST_RESULT: usize = LONGEST_ARGUMENT / 2;
/// Most that the values of one action's results may take together, in bytes: Linux allows all arguments and the
/// environment of a program a quarter of its stack, two MiB by default (`execve(2)`, "Limits on size of arguments").
const LONGEST_RESULTS: usize = 1024 * 1024;

impl HookTools {
    /// The application's options that have a value.
    ///
    /// # Errors
    /// When `config-get` fails.
    pub fn config_get(self) -> Result<Map<String, Value>, ToolError> {
        query("config-get", &["--format", "json"], answer::config_get)
    }

    /// Whether this unit leads. Juju guarantees it for 30 s (`worker/uniter/runner/context/leader.go`).
    ///
    /// # Errors
    /// When `is-leader` fails, as it does while the controller is unavailable.
    pub fn is_leader(self) -> Result<bool, ToolError> {
        query("is-leader", &["--format", "json"], answer::is_leader)
    }

    /// The ids of an endpoint's relations, including one that is being broken.
    ///
    /// # Errors
    /// When `relation-ids` fails.
    pub fn relation_ids(self, endpoint: &str) -> Result<Vec<String>, ToolError> {
        query("relation-ids", &[endpoint, "--format", "json"], answer::relation_ids)
    }

    /// The application on the other side of a relation; `None` if the relation no longer exists.
    ///
    /// # Errors
    /// When `relation-list` fails.
    pub fn relation_list_app(self, id: &str) -> Result<Option<String>, ToolError> {
        none_if_gone(query(
            "relation-list",
            &["-r", id, "--app", "--format", "json"],
            answer::relation_list_app,
        ))
    }

    /// The data bag of an application; `None` if the relation no longer exists.
    ///
    /// # Errors
    /// When `relation-get` fails.
    pub fn relation_get(self, id: &str, application: &str) -> Result<Option<BTreeMap<String, String>>, ToolError> {
        none_if_gone(query(
            "relation-get",
            &["-r", id, "--app", "-", application, "--format", "json"],
            answer::relation_get,
        ))
    }

    /// This unit's own data bag; `None` if the relation no longer exists. The agent answers without the controller once it has read it.
    ///
    /// # Errors
    /// When `relation-get` fails.
    pub fn relation_get_unit(self, id: &str, unit: &str) -> Result<Option<BTreeMap<String, String>>, ToolError> {
        none_if_gone(query(
            "relation-get",
            &["-r", id, "-", unit, "--format", "json"],
            answer::relation_get,
        ))
    }

    /// Sets keys of this unit's data bag, as every unit may. Juju writes them when the hook succeeds. Does nothing if the relation no
    /// longer exists.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn relation_set_unit(self, id: &str, values: &BTreeMap<&str, &str>) -> Result<(), ToolError> {
        let pairs: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let arguments: Vec<&str> = ["-r", id].into_iter().chain(pairs.iter().map(String::as_str)).collect();
        none_if_gone(execute("relation-set", &arguments)).map(drop)
    }

    /// The address on which this unit listens for the endpoint of a relation. `None` while the unit has no address, or if the relation
    /// no longer exists.
    ///
    /// # Errors
    /// When `network-get` fails.
    pub fn network_get_bind_address(self, endpoint: &str, id: &str) -> Result<Option<String>, ToolError> {
        let arguments = [endpoint, "-r", id, "--bind-address", "--format", "json"];
        match none_if_gone(query("network-get", &arguments, answer::network_get_bind_address)) {
            Err(error) if error.has_no_address() => Ok(None),
            answer => answer.map(|address| address.filter(|address| !address.is_empty())),
        }
    }

    /// Sets a key of our application data bag, which only the leader may do. Juju writes it when the hook succeeds.
    /// Does nothing if the relation no longer exists.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn relation_set(self, id: &str, key: &str, value: &str) -> Result<(), ToolError> {
        none_if_gone(execute("relation-set", &["-r", id, "--app", &format!("{key}={value}")])).map(drop)
    }

    /// Like [`relation_set`](Self::relation_set) for several keys with values of any length: they are passed on
    /// standard input instead of as arguments.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn relation_set_file(self, id: &str, values: &BTreeMap<&str, &str>) -> Result<(), ToolError> {
        // A map of texts, so serializing cannot fail. JSON is valid YAML.
        let text = serde_json::to_vec(values).unwrap_or_default();
        none_if_gone(run_with("relation-set", &["-r", id, "--app", "--file", "-"], &text)).map(drop)
    }

    /// The newest revision of a secret. Juju runs `secret-changed` for the next one.
    ///
    /// # Errors
    /// When `secret-get` fails for other reasons than a [`SecretError`].
    pub fn secret_get(self, uri: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        // Without --refresh, Juju returns the revision that was read first.
        Self::secret_with(uri, "--refresh")
    }

    /// Like [`secret_get`](Self::secret_get), without acknowledging the revision: its `secret-changed` hook still
    /// runs.
    ///
    /// # Errors
    /// When `secret-get` fails for other reasons than a [`SecretError`].
    pub fn secret_peek(self, uri: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        Self::secret_with(uri, "--peek")
    }

    fn secret_with(uri: &str, revision: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        let arguments = [uri, revision, "--format", "json"];
        match query("secret-get", &arguments, answer::secret_get) {
            Ok(content) => Ok(Ok(content)),
            Err(error) => error.secret_error().map(Err).ok_or(error),
        }
    }

    /// The planned state of the application.
    ///
    /// # Errors
    /// When `goal-state` fails.
    pub fn goal_state(self) -> Result<GoalState, ToolError> {
        query("goal-state", &["--format", "json"], answer::goal_state)
    }

    /// The unit's current status; `None` for one that charms do not set, such as `unknown`.
    ///
    /// # Errors
    /// When `status-get` fails.
    pub fn status_get(self) -> Result<Option<Status>, ToolError> {
        query(
            "status-get",
            &["--include-data", "--format", "json"],
            answer::status_get,
        )
    }

    /// Sets the unit's status at once, even if the hook fails later.
    ///
    /// # Errors
    /// When `status-set` fails.
    pub fn status_set(self, status: &Status) -> Result<(), ToolError> {
        execute("status-set", &[status.state.as_str(), "--", &status.message])
    }

    /// Sets the application's version in `juju status`, at once.
    ///
    /// # Errors
    /// When `application-version-set` fails.
    pub fn application_version_set(self, version: &str) -> Result<(), ToolError> {
        execute("application-version-set", &["--", version])
    }

    /// Writes a line to the model's log. `level` is `TRACE`, `INFO`, `WARNING` or `ERROR`.
    ///
    /// # Errors
    /// When `juju-log` fails.
    pub fn juju_log(self, level: &str, line: &str) -> Result<(), ToolError> {
        let line = cut(line, LONGEST_ARGUMENT);
        execute("juju-log", &["--log-level", level, "--", line])
    }

    /// The parameters of the running action, including defaults.
    ///
    /// # Errors
    /// When `action-get` fails, as it does outside an action.
    pub fn action_get(self) -> Result<Map<String, Value>, ToolError> {
        query("action-get", &["--format", "json"], answer::action_get)
    }

    /// Adds results to the running action. Keys are lower-case words joined by `-` and `.`.
    ///
    /// # Errors
    /// When `action-set` fails, as it does outside an action.
    pub fn action_set(self, results: &[(String, String)]) -> Result<(), ToolError> {
        let limit = result_limit(results.iter().map(|(_, value)| value.len()));
        let pairs: Vec<String> = results
            .iter()
            .map(|(key, value)| format!("{key}={}", cut(value, limit)))
            .collect();
        let arguments: Vec<&str> = pairs.iter().map(String::as_str).collect();
        execute("action-set", &arguments)
    }

    /// Marks the running action as failed.
    ///
    /// # Errors
    /// When `action-fail` fails, as it does outside an action.
    pub fn action_fail(self, why: &str) -> Result<(), ToolError> {
        execute("action-fail", &["--", why])
    }
}

/// The longest that each of these values may be, in bytes, so that short ones are kept whole.
fn result_limit(lengths: impl Iterator<Item = usize>) -> usize {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable();
    let mut left = LONGEST_RESULTS;
    for (index, length) in lengths.iter().enumerate() {
        let share = left / (lengths.len() - index);
        if *length > share {
            return share.min(LONGEST_RESULT);
        }
        left -= length;
    }
    LONGEST_RESULT
}

/// The first `limit` bytes of a text, cut at a character.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Turns the error of a relation that no longer exists into `None`.
fn none_if_gone<T>(answer: Result<T, ToolError>) -> Result<Option<T>, ToolError> {
    match answer {
        Err(error) if error.is_relation_gone() => Ok(None),
        answer => answer.map(Some),
    }
}

/// Runs a tool and parses its output.
fn query<T>(tool: &'static str, arguments: &[&str], read: fn(&[u8]) -> Result<T, ParseError>) -> Result<T, ToolError> {
    read(&run(tool, arguments)?).map_err(|error| ToolError {
        tool,
        failure: Failure::Parse(error),
    })
}

/// Runs a tool without output.
fn execute(tool: &'static str, arguments: &[&str]) -> Result<(), ToolError> {
    run(tool, arguments).map(drop)
}

fn run(tool: &'static str, arguments: &[&str]) -> Result<Vec<u8>, ToolError> {
    run_with(tool, arguments, &[])
}

/// Runs a tool with `input` on its standard input.
fn run_with(tool: &'static str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, ToolError> {
    let is_log = tool == "juju-log";
    let spent = Duration::from_millis(SPENT.load(Ordering::Relaxed));
    let outcome = match limit(tool, spent) {
        _ if is_log && LOG_HANGS.load(Ordering::Relaxed) => Err(Failure::Hangs),
        None => Err(Failure::OutOfTime),
        Some(limit) => {
            let start = Instant::now();
            let outcome = call(tool, arguments, input, limit);
            let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            SPENT.fetch_add(milliseconds, Ordering::Relaxed);
            outcome
        }
    };
    if is_log && matches!(outcome, Err(Failure::TimedOut(_))) {
        LOG_HANGS.store(true, Ordering::Relaxed);
    }
    outcome.map_err(|failure| ToolError { tool, failure })
}

/// The time limit of a call after `spent`; `None` if no time is left.
fn limit(tool: &str, spent: Duration) -> Option<Duration> {
    let left = TOTAL.saturating_sub(spent);
    match tool {
        "status-set" => Some(LIMIT.min(left).max(STATUS_LIMIT)),
        _ if left.is_zero() => None,
        "juju-log" => Some(LOG_LIMIT.min(left)),
        _ => Some(LIMIT.min(left)),
    }
}

fn call(tool: &str, arguments: &[&str], input: &[u8], limit: Duration) -> Result<Vec<u8>, Failure> {
    // An argument of a program cannot hold a zero byte.
    let arguments = arguments.iter().map(|argument| argument.replace('\0', "\u{fffd}"));
    let output = match subprocess::run(Command::new(tool).args(arguments), input, limit) {
        Ok(output) => output,
        Err(subprocess::Error::Io(error)) => return Err(Failure::Start(error)),
        Err(subprocess::Error::TimedOut(limit)) => return Err(Failure::TimedOut(limit)),
        Err(error @ subprocess::Error::TooLong) => return Err(Failure::TooLong(error)),
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    // Usage text may precede the error line.
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.trim_end().lines().last().unwrap_or_default();
    let why = last.strip_prefix("ERROR ").unwrap_or(last);
    Err(Failure::Failed(if why.is_empty() {
        output.status.to_string()
    } else {
        why.to_owned()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn slow_tools_cannot_exceed_total_time() {
        let mut spent = Duration::ZERO;
        // Each call ends just before its limit.
        while let Some(limit) = limit("relation-get", spent) {
            spent += limit;
        }
        assert_eq!(spent, TOTAL);
        assert_eq!(limit("juju-log", spent), None);
        assert_eq!(limit("status-set", spent), Some(STATUS_LIMIT));
    }

    #[test]
    fn limit_is_own_or_remaining_total() {
        assert_eq!(limit("config-get", SECONDS(0)), Some(LIMIT));
        assert_eq!(limit("config-get", SECONDS(113)), Some(SECONDS(7)));
        assert_eq!(limit("juju-log", SECONDS(0)), Some(LOG_LIMIT));
        assert_eq!(limit("juju-log", SECONDS(118)), Some(SECONDS(2)));
        assert_eq!(limit("status-set", SECONDS(0)), Some(LIMIT));
    }

    #[test]
    fn many_results_fit_into_one_call() {
        let total = |lengths: &[usize]| -> usize {
            let limit = result_limit(lengths.iter().copied());
            lengths.iter().map(|length| (*length).min(limit)).sum()
        };
        assert_eq!(result_limit([10, 20].into_iter()), LONGEST_RESULT);
        assert_eq!(total(&[100; 200]), 20_000);
        let long = total(&[LONGEST_RESULT; 200]);
        assert!(long <= LONGEST_RESULTS && long > LONGEST_RESULTS / 2, "{long}");
        // Short ones leave their room to long ones.
        let mut mixed = vec![10; 190];
        mixed.extend([LONGEST_RESULT; 10]);
        assert_eq!(result_limit(mixed.into_iter()), LONGEST_RESULT);
    }

    #[test]
    fn message_names_tool_and_limit() {
        let message = |failure| {
            ToolError {
                tool: "config-get",
                failure,
            }
            .to_string()
        };
        assert_eq!(
            message(Failure::TimedOut(LIMIT)),
            "Juju's config-get did not answer within 30 s"
        );
        assert_eq!(
            message(Failure::OutOfTime),
            "Juju's config-get was not called, as this hook has waited 120 s for Juju's tools"
        );
        assert_eq!(
            message(Failure::TooLong(subprocess::Error::TooLong)),
            "Juju's config-get printed more than 16 MiB"
        );
    }
}
