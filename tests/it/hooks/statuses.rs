//! The statuses of hooks: (event, Juju state) -> (hook tool calls, status).

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use juju_sim::agent::{Fault, Hook};

use crate::support::{Edge, assert_contains, dispatch, status};

const UNREACHABLE: &str = "waiting: Kubernetes API unreachable; will retry (";

#[test]
fn dispatch_outside_a_hook_prints_help() {
    let output = Command::new(dispatch()).env_clear().output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_contains(
        &text,
        &[
            "seldon-model",
            "Juju runs it for every hook",
            "JUJU_DISPATCH_PATH is not set",
            "juju deploy",
        ],
    );
}

#[test]
fn every_hook_waits_for_an_unreachable_api() {
    let mut edge = Edge::new("away");
    for hook in [
        "install",
        "leader-elected",
        "config-changed",
        "start",
        "update-status",
        "upgrade-charm",
        "leader-settings-changed",
        "a-hook-of-a-juju-to-come",
    ] {
        let run = edge.hook(hook);
        assert!(status(&run).starts_with(UNREACHABLE), "{hook}: {}", status(&run));
        assert!(run.wall < Duration::from_secs(25), "{hook} took {:?}", run.wall);
        assert!(run.stderr.is_empty(), "{hook}: {}", run.stderr);
    }
}

#[test]
fn status_is_set_last_and_only_if_changed() {
    let mut edge = Edge::new("once");
    let first = edge.hook("config-changed");
    assert_eq!(first.calls_of("status-set").count(), 1);
    assert_eq!(first.calls.last().unwrap().tool(), "status-set");
    assert_eq!(first.logged("WARNING").count(), 1, "{:#?}", first.log);
    let second = edge.hook("update-status");
    assert_eq!(second.calls_of("status-set").count(), 0);
    assert_eq!(second.calls_of("juju-log").count(), 0, "a quiet hook logs nothing");
}

#[test]
fn invalid_option_is_reported_before_transient_errors() {
    let mut edge = Edge::new("faulty");
    edge.config(&[("image", "Seldonio/iris")]);
    assert_contains(
        &edge.says(),
        &["blocked: option image: must be lowercase. Run: juju config iris image="],
    );
    edge.config(&[("image", "")]);
    assert_contains(&edge.says(), &["blocked: option image: is not set"]);
    edge.config(&[("image", "iris:1"), ("models", "{a: {replicas: many}}")]);
    assert_contains(&edge.says(), &["blocked: models: a: replicas: must be a whole number"]);
}

#[test]
fn stop_calls_no_hook_tool() {
    let run = Edge::new("stop").hook("stop");
    assert_eq!(run.calls.len(), 0, "{:#?}", run.calls);
}

#[test]
fn removed_unit_deletes_nothing_while_others_remain() {
    let mut edge = Edge::new("scaled");
    edge.world.application_mut("iris").unwrap().add_unit();
    let run = edge.hook("remove");
    assert_contains(run.logged("INFO").next().unwrap(), &["2 units remain"]);
}

#[test]
fn last_unit_retries_while_api_is_unreachable() {
    let mut edge = Edge::new("last");
    let unit = edge.world.unit_mut("iris/0").unwrap();
    unit.life = juju_sim::juju::Life::Dying;
    let run = edge.run("remove");
    assert_eq!(run.exit, 1);
    assert_contains(
        run.logged("ERROR").next().unwrap(),
        &["failed to remove the models: Kubernetes API unreachable"],
    );
    edge.error("goal-state", Fault::Exit(1, "ERROR no goal".into()));
    let run = edge.hook("remove");
    assert_contains(
        run.logged("ERROR").next().unwrap(),
        &["Juju's goal-state failed: no goal"],
    );
}

#[test]
fn unknown_action_fails_naming_the_known_ones() {
    let mut edge = Edge::new("action");
    let run = edge.hook(Hook::action("explode", BTreeMap::new()));
    let action = run.action.unwrap();
    assert_eq!(action.status, "failed");
    assert_contains(&action.message, &["unknown action `explode`. Run: juju actions iris"]);
}

#[test]
fn action_fails_with_reason_without_an_api() {
    let mut edge = Edge::new("listing");
    let run = edge.hook(Hook::action("list-models", BTreeMap::new()));
    assert_eq!(run.calls_of("status-set").count(), 0, "an action changes no status");
    let action = run.action.unwrap();
    assert_eq!(action.status, "failed");
    assert_contains(&action.message, &["Kubernetes API unreachable"]);
}

#[test]
fn failing_hook_tool_is_named_and_hook_succeeds() {
    let errors = || {
        [
            Fault::Missing,
            Fault::Exit(1, "usage\nERROR the controller is away\n".into()),
            Fault::Exit(2, String::new()),
            Fault::Raw(b"{\"image\": \"ir".to_vec()),
            Fault::Raw(vec![0xff, 0xfe, 0x00]),
            Fault::Raw(Vec::new()),
        ]
    };
    for tool in ["config-get", "relation-ids", "relation-list", "relation-get"] {
        for error in errors() {
            let mut edge = Edge::new("tools");
            edge.error(tool, error.clone());
            let says = edge.says();
            assert!(
                says.starts_with(&format!("waiting: hook tool failed; will retry (Juju's {tool} ")),
                "{tool} {error:?}: {says}"
            );
            assert!(!says.contains("usage"), "{says}");
        }
    }
    // Without the old status the new one is set; without a log the hook continues.
    for tool in ["status-get", "juju-log"] {
        for error in errors() {
            let mut edge = Edge::new("tools");
            edge.error(tool, error.clone());
            let says = edge.says();
            assert!(says.starts_with(UNREACHABLE), "{tool} {error:?}: {says}");
        }
    }
}

#[test]
fn removed_relation_id_fails_no_hook() {
    let gone = [
        // Juju's own agent, its controllers of 4.0 and before, and leftover proxies of another model.
        Fault::Exit(
            2,
            "ERROR invalid value \"gateway-info:0\" for option -r: relation not found\n".into(),
        ),
        Fault::Exit(1, "ERROR relation not found\n".into()),
        Fault::Exit(
            1,
            "ERROR relation \"iris:gateway-info istio-pilot:gateway-info\" not found\n".into(),
        ),
        Fault::Exit(
            1,
            "ERROR saas application \"remote-ae5b8839c0ca426c88d4c99c326d5464\" not found\n".into(),
        ),
    ];
    for error in gone {
        for tool in ["relation-list", "relation-get"] {
            let mut edge = Edge::new("removed");
            edge.error(tool, error.clone());
            let says = edge.says();
            assert!(says.starts_with(UNREACHABLE), "{tool} {error:?}: {says}");
        }
    }
    // Another "not found" may be transient, and must not cost the models their gateway.
    let mut edge = Edge::new("migrated");
    edge.error("relation-get", Fault::Exit(1, "ERROR model not found\n".into()));
    assert_contains(
        &edge.says(),
        &["waiting: hook tool failed; will retry (Juju's relation-get failed: model not found)"],
    );
}

#[test]
fn leftover_proxy_in_goal_state_fails_no_hook() {
    let mut edge = Edge::new("dangling");
    let why = "ERROR saas application \"remote-ae5b8839c0ca426c88d4c99c326d5464\" not found\n";
    edge.error("goal-state", Fault::Exit(1, why.into()));
    let says = edge.says();
    assert!(says.starts_with(UNREACHABLE), "{says}");
}

#[test]
fn failing_status_set_fails_the_hook() {
    for error in [Fault::Missing, Fault::Exit(1, "ERROR no".into())] {
        let mut edge = Edge::new("mute");
        edge.error("status-set", error);
        let run = edge.run("config-changed");
        assert_eq!(run.exit, 1);
        assert_contains(&run.stderr, &["Juju's status-set"]);
    }
}

#[test]
fn secret_environment_variables_are_in_no_output() {
    let mut edge = Edge::new("secrets");
    for env in [
        "{TOKEN: hunter2, 1A: x}",
        "{TOKEN: [hunter2]}",
        "{TOKEN: hunter2",
        "TOKEN: hunter2",
    ] {
        edge.config(&[("env", env)]);
        let run = edge.hook("config-changed");
        let all = format!("{} {} {} {:?}", status(&run), run.stdout, run.stderr, run.log);
        assert!(!all.contains("hunter2"), "{env}: {all}");
    }
}
