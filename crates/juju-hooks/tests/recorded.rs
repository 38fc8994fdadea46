//! Recorded outputs of Juju's hook tools are parsed correctly.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use juju_hooks::answer;
use serde_json::{Value, json};

/// Parses with `answer` and converts the result to JSON.
fn read(tool: &str, answer: &[u8]) -> Option<Result<Value, String>> {
    fn shown<T, E: std::fmt::Display>(read: Result<T, E>, as_json: impl Fn(T) -> Value) -> Result<Value, String> {
        read.map(as_json).map_err(|error| error.to_string())
    }
    let shown = match tool {
        "config-get" => shown(answer::config_get(answer), Value::Object),
        "action-get" => shown(answer::action_get(answer), Value::Object),
        "is-leader" => shown(answer::is_leader(answer), Value::Bool),
        "relation-ids" => shown(answer::relation_ids(answer), |ids| json!(ids)),
        "relation-list" => shown(answer::relation_list_app(answer), Value::String),
        "relation-get" => shown(answer::relation_get(answer), |bag| json!(bag)),
        "secret-get" => shown(answer::secret_get(answer), |content| {
            content
                .iter()
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect()
        }),
        "status-get" => shown(answer::status_get(answer), |status| {
            json!(status.map(|status| status.message))
        }),
        "goal-state" => shown(answer::goal_state(answer), |goal| json!(goal.units)),
        _ => return None,
    };
    Some(shown)
}

/// Parses without `answer`.
fn expected(tool: &str, answer: &[u8]) -> Value {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    match tool {
        "status-get" => answer.get("message").cloned().unwrap_or(json!("")),
        "goal-state" => {
            let units = answer["units"].as_object().into_iter().flatten();
            json!(units.filter(|(_, unit)| unit["status"] != "dying").count())
        }
        _ if answer.is_null() => json!({}),
        _ => answer,
    }
}

#[test]
fn answers_of_every_tool_are_read() {
    for (tool, answer) in [
        (
            "config-get",
            &b"{\"image\":\"iris:1\",\"replicas\":2,\"watch\":true}\n"[..],
        ),
        ("action-get", b"null\n"),
        ("action-get", b"{\"model\":\"iris\"}\n"),
        ("is-leader", b"true\n"),
        ("relation-ids", b"[\"gateway-info:3\"]\n"),
        ("relation-list", b"\"istio-pilot\"\n"),
        ("relation-get", b"null\n"),
        ("relation-get", b"{\"gateway_name\":\"gate\"}\n"),
        ("secret-get", b"{\"password\":\"x\"}\n"),
        (
            "status-get",
            b"{\"message\":\"\",\"status\":\"active\",\"status-data\":{}}\n",
        ),
        (
            "goal-state",
            b"{\"units\":{\"u/0\":{\"status\":\"dying\"},\"u/1\":{\"status\":\"active\"}},\"relations\":{}}\n",
        ),
    ] {
        assert_eq!(read(tool, answer).unwrap(), Ok(expected(tool, answer)), "{tool}");
    }
}

/// Skipped where the recordings do not lie next to the project.
#[test]
fn recorded_answers_of_juju_are_read() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/juju-transcripts");
    let Ok(files) = fs::read_dir(recordings) else {
        return;
    };
    let mut read_cases = 0;
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let recording: Value = serde_yaml::from_str(&text).unwrap();
        let tool = recording["tool"].as_str().unwrap();
        for case in recording["cases"].as_array().unwrap() {
            let arguments: Vec<&str> = case["argv"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            if !is_ours(tool, &arguments) || case["exit"] != 0 || case["stdout_match"] == "regex" {
                continue;
            }
            let answer = case["stdout"].as_str().unwrap().as_bytes();
            assert_eq!(
                read(tool, answer).unwrap(),
                Ok(expected(tool, answer)),
                "{}",
                case["id"]
            );
            read_cases += 1;
        }
    }
    assert!(read_cases >= 10, "{read_cases}");
}

/// Whether a recording has the arguments that this library uses, so that the output has the same form.
fn is_ours(tool: &str, arguments: &[&str]) -> bool {
    let is_json = arguments.windows(2).any(|two| two == ["--format", "json"]);
    let flags = [
        "--format",
        "json",
        "-r",
        "--app",
        "--refresh",
        "--peek",
        "--include-data",
        "-",
    ];
    let rest = arguments
        .iter()
        .skip(1)
        .filter(|argument| !flags.contains(argument) && !argument.contains([':', '/']));
    let has = |flag: &str| arguments.contains(&flag);
    is_json
        && match tool {
            "config-get" | "action-get" | "is-leader" | "goal-state" | "secret-get" => rest.count() == 0,
            "relation-ids" => true,
            "relation-list" => has("--app"),
            "relation-get" => has("-"),
            "status-get" => has("--include-data") && !has("--application"),
            _ => false,
        }
}
