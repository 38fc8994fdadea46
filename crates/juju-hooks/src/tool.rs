//! The hook tools: programs on `PATH` that talk to the unit agent. One call is one process.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::answer::{self, GoalState, ParseError};
use super::subprocess;
use super::{SecretContent, SecretError, Status};

/// How long one call may take. A tool answers in 5 to 11 ms (Juju 4.0.15), and waits for the controller where the agent has to
/// ask it; an agent that lost its controller notices that after 90 s (juju/juju, api/apiclient.go: `PingPeriod` 1 min,
/// `pingTimeout` 30 s). Leadership that `is-leader` confirms holds for 30 s, so a later answer would be worth nothing.
const LIMIT: Duration = Duration::from_secs(30);
/// How long one call of `juju-log` may take. The agent answers it alone (juju/juju, internal/worker/uniter/runner/jujuc/juju-log.go),
/// and lines are logged between writes, whose 25 s run on meanwhile.
const LOG_LIMIT: Duration = Duration::from_secs(5);
/// How long all calls of a hook may take together. Two hundred calls take 3 s.
const TOTAL: Duration = Duration::from_secs(120);
/// How long `status-set` may take even where others have used up that time: without it nobody sees what is wrong.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

/// How long the calls of this process took so far, in milliseconds.
static SPENT: AtomicU64 = AtomicU64::new(0);
/// Whether a call of `juju-log` has hung. Each further line would cost its limit again.
static LOG_HANGS: AtomicBool = AtomicBool::new(false);

/// A hook tool did not do what it is there for.
#[derive(Debug, thiserror::Error)]
#[error("Juju's {tool} {problem}")]
pub struct ToolError {
    tool: &'static str,
    problem: Problem,
}

impl ToolError {
    /// Why a secret cannot be read, if that is what went wrong. One that is not granted is `permission denied` for 3.x, and
    /// `"iris/0" is not allowed to read this secret` for 4.0 (juju/juju, `domain/secret/service/access.go`). Other things than secrets
    /// can be not found as well, and be there again in a moment.
    fn unreadable(&self) -> Option<SecretError> {
        let Problem::Failed(why) = &self.problem else {
            return None;
        };
        if why.contains("permission denied") || why.contains("is not allowed to read this secret") {
            Some(SecretError::NotGranted)
        } else {
            let is_gone = why.contains("secret") && why.contains("not found");
            is_gone.then_some(SecretError::NotFound)
        }
    }

    /// Whether the relation that was named is gone. After a relation or a remote application was removed by force, units go on
    /// listing its id (juju/juju, issue 23212 and pull request 23276). Juju 4 says so for every tool, the flag `-r` for all versions
    /// (`internal/worker/uniter/runner/jujuc/relation-*.go`); a controller of 2.9 and 3.x names the relation or the proxy of the
    /// remote application (`state/relation.go`, `state/remoteapplication.go`). Anything else that is not found, such as a model that
    /// is being migrated, may be there again in a moment.
    fn is_relation_gone(&self) -> bool {
        let Problem::Failed(why) = &self.problem else {
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
enum Problem {
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
    pub fn config_get(self) -> Result<Map<String, Value>, ToolError> {
        query("config-get", &["--format", "json"], answer::config_get)
    }

    /// Whether this unit leads, which Juju then guarantees for 30 s (`worker/uniter/runner/context/leader.go`).
    ///
    /// # Errors
    /// When `is-leader` fails, as it does while the controller cannot be asked.
    pub fn is_leader(self) -> Result<bool, ToolError> {
        query("is-leader", &["--format", "json"], answer::is_leader)
    }

    /// The ids of an endpoint's relations, also of one that is being broken.
    ///
    /// # Errors
    /// When `relation-ids` fails.
    pub fn relation_ids(self, endpoint: &str) -> Result<Vec<String>, ToolError> {
        query("relation-ids", &[endpoint, "--format", "json"], answer::relation_ids)
    }

    /// The application on the other side of a relation; `None` if the relation is gone.
    ///
    /// # Errors
    /// When `relation-list` fails.
    pub fn relation_list_app(self, id: &str) -> Result<Option<String>, ToolError> {
        unless_gone(query(
            "relation-list",
            &["-r", id, "--app", "--format", "json"],
            answer::relation_list_app,
        ))
    }

    /// The application data bag that `application` wrote; `None` if the relation is gone.
    ///
    /// # Errors
    /// When `relation-get` fails.
    pub fn relation_get(self, id: &str, application: &str) -> Result<Option<BTreeMap<String, String>>, ToolError> {
        unless_gone(query(
            "relation-get",
            &["-r", id, "--app", "-", application, "--format", "json"],
            answer::relation_get,
        ))
    }

    /// Says something to the other side of a relation, for all units: only the leader may. It is written when the hook ends well.
    /// To one that is gone nothing is said.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn relation_set(self, id: &str, key: &str, value: &str) -> Result<(), ToolError> {
        unless_gone(execute("relation-set", &["-r", id, "--app", &format!("{key}={value}")])).map(drop)
    }

    /// The same for several things at once, of any length: they go by standard input, where an argument has a limit.
    ///
    /// # Errors
    /// When `relation-set` fails.
    pub fn relation_set_file(self, id: &str, said: &BTreeMap<&str, &str>) -> Result<(), ToolError> {
        // Texts by texts: there is nothing in it that JSON cannot say, and JSON is YAML.
        let text = serde_json::to_vec(said).unwrap_or_default();
        unless_gone(run_with("relation-set", &["-r", id, "--app", "--file", "-"], &text)).map(drop)
    }

    /// The newest content of a secret. Juju tells of the next one by `secret-changed`.
    ///
    /// # Errors
    /// When `secret-get` fails otherwise than by refusing the secret.
    pub fn secret_get(self, uri: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        // Without --refresh it would stay at the revision that was read first.
        Self::secret_with(uri, "--refresh")
    }

    /// The same for whoever only looks at it: `secret-changed` comes all the same, for whoever applies it.
    ///
    /// # Errors
    /// As [`HookTools::secret`].
    pub fn secret_peek(self, uri: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        Self::secret_with(uri, "--peek")
    }

    fn secret_with(uri: &str, revision: &str) -> Result<Result<SecretContent, SecretError>, ToolError> {
        let arguments = [uri, revision, "--format", "json"];
        match query("secret-get", &arguments, answer::secret_get) {
            Ok(content) => Ok(Ok(content)),
            Err(error) => error.unreadable().map(Err).ok_or(error),
        }
    }

    /// What this application is meant to be: how many units.
    ///
    /// # Errors
    /// When `goal-state` fails.
    pub fn goal_state(self) -> Result<GoalState, ToolError> {
        query("goal-state", &["--format", "json"], answer::goal_state)
    }

    /// The unit's status as Juju has it; `None` for one that no charm sets, such as `unknown`.
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

    /// Sets the unit's status, at once and whatever becomes of the hook.
    ///
    /// # Errors
    /// When `status-set` fails.
    pub fn status_set(self, status: &Status) -> Result<(), ToolError> {
        execute("status-set", &[status.state.as_str(), "--", &status.message])
    }

    /// Sets what `juju status` shows as the application's version, at once.
    ///
    /// # Errors
    /// When `application-version-set` fails.
    pub fn application_version_set(self, version: &str) -> Result<(), ToolError> {
        execute("application-version-set", &["--", version])
    }

    /// Writes a line to the model's log, `level` being one of Juju's: `TRACE`, `INFO`, `WARNING`, `ERROR`.
    ///
    /// # Errors
    /// When `juju-log` fails.
    pub fn juju_log(self, level: &str, line: &str) -> Result<(), ToolError> {
        let line = cut(line, LONGEST_ARGUMENT);
        execute("juju-log", &["--log-level", level, "--", line])
    }

    /// The parameters of the action that runs: those that were given, and those with a default.
    ///
    /// # Errors
    /// When `action-get` fails, as it does outside an action.
    pub fn action_get(self) -> Result<Map<String, Value>, ToolError> {
        query("action-get", &["--format", "json"], answer::action_get)
    }

    /// Adds to an action's results. A key is lower-case words joined by `-` and `.`.
    ///
    /// # Errors
    /// When `action-set` fails, as it does outside an action.
    pub fn action_set(self, results: &[(String, String)]) -> Result<(), ToolError> {
        let pairs: Vec<String> = results
            .iter()
            .map(|(key, value)| format!("{key}={}", cut(value, LONGEST_RESULT)))
            .collect();
        let arguments: Vec<&str> = pairs.iter().map(String::as_str).collect();
        execute("action-set", &arguments)
    }

    /// Ends an action as failed, saying why.
    ///
    /// # Errors
    /// When `action-fail` fails, as it does outside an action.
    pub fn action_fail(self, why: &str) -> Result<(), ToolError> {
        execute("action-fail", &["--", why])
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

/// What a tool answered of a relation; `None` if that is gone.
fn unless_gone<T>(answer: Result<T, ToolError>) -> Result<Option<T>, ToolError> {
    match answer {
        Err(error) if error.is_relation_gone() => Ok(None),
        answer => answer.map(Some),
    }
}

/// Runs a tool and reads its answer.
fn query<T>(tool: &'static str, arguments: &[&str], read: fn(&[u8]) -> Result<T, ParseError>) -> Result<T, ToolError> {
    read(&run(tool, arguments)?).map_err(|error| ToolError {
        tool,
        problem: Problem::Parse(error),
    })
}

/// Runs a tool that has nothing to say.
fn execute(tool: &'static str, arguments: &[&str]) -> Result<(), ToolError> {
    run(tool, arguments).map(drop)
}

fn run(tool: &'static str, arguments: &[&str]) -> Result<Vec<u8>, ToolError> {
    run_with(tool, arguments, &[])
}

/// Runs a tool with that on its standard input.
fn run_with(tool: &'static str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, ToolError> {
    let is_log = tool == "juju-log";
    let spent = Duration::from_millis(SPENT.load(Ordering::Relaxed));
    let outcome = match limit(tool, spent) {
        _ if is_log && LOG_HANGS.load(Ordering::Relaxed) => Err(Problem::Hangs),
        None => Err(Problem::OutOfTime),
        Some(limit) => {
            let start = Instant::now();
            let outcome = call(tool, arguments, input, limit);
            let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            SPENT.fetch_add(milliseconds, Ordering::Relaxed);
            outcome
        }
    };
    if is_log && matches!(outcome, Err(Problem::TimedOut(_))) {
        LOG_HANGS.store(true, Ordering::Relaxed);
    }
    outcome.map_err(|problem| ToolError { tool, problem })
}

/// How long a call may take when that much time is spent; `None` where it may not be made.
fn limit(tool: &str, spent: Duration) -> Option<Duration> {
    let left = TOTAL.saturating_sub(spent);
    match tool {
        "status-set" => Some(LIMIT.min(left).max(STATUS_LIMIT)),
        _ if left.is_zero() => None,
        "juju-log" => Some(LOG_LIMIT.min(left)),
        _ => Some(LIMIT.min(left)),
    }
}

fn call(tool: &str, arguments: &[&str], input: &[u8], limit: Duration) -> Result<Vec<u8>, Problem> {
    let output = match subprocess::run(Command::new(tool).args(arguments), input, limit) {
        Ok(output) => output,
        Err(subprocess::Error::Io(error)) => return Err(Problem::Start(error)),
        Err(subprocess::Error::TimedOut(limit)) => return Err(Problem::TimedOut(limit)),
        Err(error @ subprocess::Error::TooLong) => return Err(Problem::TooLong(error)),
    };
    if output.status.success() {
        return Ok(output.stdout);
    }
    // Usage text may come before the line that says what is wrong.
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    let why = last.strip_prefix("ERROR ").unwrap_or(last);
    Err(Problem::Failed(if why.is_empty() {
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
        // Each answers just before its limit.
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
    fn message_names_tool_and_limit() {
        let message = |problem| {
            ToolError {
                tool: "config-get",
                problem,
            }
            .to_string()
        };
        assert_eq!(
            message(Problem::TimedOut(LIMIT)),
            "Juju's config-get did not answer within 30 s"
        );
        assert_eq!(
            message(Problem::OutOfTime),
            "Juju's config-get was not called, as this hook has waited 120 s for Juju's tools"
        );
        assert_eq!(
            message(Problem::TooLong(subprocess::Error::TooLong)),
            "Juju's config-get printed more than 16 MiB"
        );
    }
}
