//! Hook tools that never answer. Every hook and action ends nevertheless, and names the tool.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use juju_sim::agent::{Fault, Hook, HookRun};
use juju_sim::juju::Charm;
use serde_json::json;

use crate::support::{Edge, assert_contains, limit, log, status};

/// The limit of one call (`LIMIT` in crates/juju-hooks/src/tool.rs), and ample time for the rest of a hook.
fn ample() -> Duration {
    limit(Duration::from_secs(30 + 15))
}

/// An application that calls all tools that can be called without a cluster.
fn edge(model: &str) -> Edge {
    let mut edge = Edge::new(model);
    edge.world
        .add_application("tempo", Charm::fake("tempo", "1/stable"), 1)
        .unwrap();
    edge.world.integrate("iris:tracing", "tempo:tracing").unwrap();
    let keys = [("registry", "r.example"), ("username", "u"), ("password", "p")];
    let uri = edge.secret("registry", &keys);
    edge.config(&[("image-pull-secret", &uri)]);
    edge
}

/// Runs it once for each tool that it calls, with that tool hanging; all in parallel.
fn with_each_tool_hanging(hook: &(impl Fn() -> Hook + Sync)) -> BTreeMap<String, HookRun> {
    let calls = edge("calls").run(hook()).calls;
    let tools: BTreeSet<String> = calls.iter().map(|call| call.tool().to_owned()).collect();
    thread::scope(|scope| {
        let start = |tool: String| {
            scope.spawn(move || {
                let mut edge = edge("hangs");
                edge.error(&tool, Fault::Hang);
                let run = edge.run(hook());
                assert_eq!(
                    edge.agent.left_behind("iris/0"),
                    Vec::<u32>::new(),
                    "{tool} is still running"
                );
                (tool, run)
            })
        };
        let runs: Vec<_> = tools.into_iter().map(start).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

#[test]
fn hook_ends_whichever_tool_hangs() {
    // `install` reads secrets even without a cluster.
    let runs = with_each_tool_hanging(&|| Hook::from("install"));
    let tools: Vec<&str> = runs.keys().map(String::as_str).collect();
    let expected = [
        "config-get",
        "is-leader",
        "juju-log",
        "relation-get",
        "relation-ids",
        "relation-list",
        "relation-set",
        "secret-get",
        "status-get",
        "status-set",
    ];
    assert_eq!(tools, expected);
    for (tool, run) in &runs {
        assert!(run.wall < ample(), "{tool}: {:?}", run.wall);
        let limit = if tool == "juju-log" { 5 } else { 30 };
        let message = format!("Juju's {tool} did not answer within {limit} s");
        match tool.as_str() {
            // It can only be reported by failing, so that Juju runs the hook again.
            "status-set" => {
                assert_eq!(run.exit, 1, "{run:#?}");
                assert_contains(&run.stderr, &[&message]);
            }
            // The hook needs neither.
            "juju-log" => {
                assert_eq!(run.exit, 0, "{run:#?}");
                assert_contains(&status(run), &["waiting: Kubernetes API unreachable; will retry ("]);
                assert_contains(&run.stderr, &[&message]);
            }
            "status-get" => {
                assert_eq!(run.exit, 0, "{run:#?}");
                assert_contains(&status(run), &["waiting: Kubernetes API unreachable; will retry ("]);
            }
            _ => {
                assert_eq!(run.exit, 0, "{run:#?}");
                assert_contains(&status(run), &["waiting: ", &message]);
            }
        }
    }
}

#[test]
fn action_ends_whichever_tool_hangs() {
    let data = BTreeMap::from([("data".to_owned(), json!({"data": {"ndarray": [[1]]}}))]);
    let runs = with_each_tool_hanging(&|| Hook::action("predict", data.clone()));
    assert!(runs.contains_key("action-get"), "{:?}", runs.keys());
    for (tool, run) in &runs {
        assert!(run.wall < ample(), "{tool}: {:?}", run.wall);
        let action = run.action.as_ref().unwrap();
        assert_eq!(action.status, "failed", "{tool}: {action:?}");
        // It needs neither: a status would only add which secrets to read.
        if !["juju-log", "status-get"].contains(&tool.as_str()) {
            assert_contains(&run.stderr, &[&format!("Juju's {tool} did not answer within 30 s")]);
        }
    }
}

#[test]
fn removal_ends_if_goal_state_hangs() {
    let mut edge = edge("removal");
    edge.error("goal-state", Fault::Hang);
    let run = edge.run("remove");
    assert!(run.wall < ample(), "{:?}", run.wall);
    assert_eq!(run.exit, 0, "Kubernetes removes what the StatefulSet owns");
    assert_contains(&log(&run), &["Juju's goal-state did not answer within 30 s"]);
}

#[test]
fn hanging_juju_log_is_called_only_once() {
    let mut edge = edge("log");
    edge.error("juju-log", Fault::Hang);
    // Two lines: the security event of the action, and that of its crash.
    edge.error("config-get", Fault::Exit(1, "ERROR no".to_owned()));
    let run = edge.run(Hook::action("list-models", BTreeMap::new()));
    assert!(run.wall < Duration::from_secs(9), "{:?}", run.wall);
    assert_contains(
        &run.stdout,
        &["Juju's juju-log was not called again, as it did not answer before"],
    );
}
