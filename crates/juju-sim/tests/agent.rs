//! The agent runs hooks as Juju does: the environment, what an exit code means, and the order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use juju_sim::agent::{Agent, Fault, Hook, HookRun, RelationEvent, Scratch};
use juju_sim::juju::{AgentState, Charm, World};
use serde_json::{Value, json};

/// A site with a charm `press` whose dispatch is a shell script.
struct Stage {
    agent: Agent,
    world: World,
    gateway: u32,
    scratch: Scratch,
}

const METADATA: &str = "
name: press
requires:
  gateway-info: {interface: istio-gateway-info}
  helper: juju-info
peers:
  siblings: press-siblings
";
const CONFIG: &str = "
options:
  paper: {type: string, default: plain}
  copies: {type: int}
  loud: {type: boolean, default: false}
";
const ACTIONS: &str = "
print:
  params:
    pages: {type: integer, default: 1}
    title: {type: string}
  required: [title]
  additionalProperties: false
";

impl Stage {
    fn new(script: &str) -> Self {
        let scratch = Scratch::new("stage").unwrap();
        for (file, text) in [
            ("metadata.yaml", METADATA),
            ("config.yaml", CONFIG),
            ("actions.yaml", ACTIONS),
        ] {
            std::fs::write(scratch.path().join(file), text).unwrap();
        }
        let mut stage = Self {
            agent: Agent::new(scratch.path().join("dispatch")).unwrap(),
            world: World::new("edge"),
            gateway: 0,
            scratch,
        };
        stage.script(script);
        let charm = Charm::read(stage.scratch.path()).unwrap();
        stage.world.add_application("press", charm, 1).unwrap();
        let pilot = Charm::fake("istio-pilot", "1.24/stable");
        stage.world.add_application("istio-pilot", pilot, 1).unwrap();
        stage.gateway = stage.world.integrate("press", "istio-pilot").unwrap();
        stage
    }

    fn script(&mut self, script: &str) {
        let path: PathBuf = self.scratch.path().join("dispatch");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&mut self, hook: impl Into<Hook>) -> HookRun {
        self.agent.run_hook(&mut self.world, "press/0", hook).unwrap()
    }

    fn wake(&mut self) -> Vec<String> {
        names(&self.agent.wake_all(&mut self.world).unwrap())
    }

    fn bag(&self, owner: &str) -> BTreeMap<String, String> {
        self.world.relations[&self.gateway]
            .data(owner)
            .cloned()
            .unwrap_or_default()
    }
}

fn names(runs: &[HookRun]) -> Vec<String> {
    runs.iter()
        .map(|run| match run.unit.strip_prefix("press/") {
            Some("0") => run.hook.clone(),
            Some(number) => format!("{number}:{}", run.hook),
            None => run.unit.clone(),
        })
        .collect()
}

fn variables(run: &HookRun) -> BTreeMap<String, String> {
    run.stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_hook_gets_the_variables_juju_sets_and_no_others() {
    let mut stage =
        Stage::new("/usr/bin/env -u PWD -u SHLVL -u _ -u OLDPWD /usr/bin/env; echo ARGS=$#; echo AT=$(pwd)");
    let hook = Hook::relation_unit(RelationEvent::Changed, stage.gateway, "istio-pilot/0");
    let run = stage.run(hook);
    let set = variables(&run);
    assert_eq!(set["JUJU_DISPATCH_PATH"], "hooks/gateway-info-relation-changed");
    assert_eq!(set["JUJU_HOOK_NAME"], "gateway-info-relation-changed");
    assert_eq!(set["JUJU_UNIT_NAME"], "press/0");
    assert_eq!(set["JUJU_RELATION_ID"], format!("gateway-info:{}", stage.gateway));
    assert_eq!(set["JUJU_REMOTE_UNIT"], "istio-pilot/0");
    assert_eq!(set["JUJU_REMOTE_APP"], "istio-pilot");
    assert_eq!(set["JUJU_MACHINE_ID"], "");
    assert_eq!(set["ARGS"], "0");
    assert!(
        set["AT"].ends_with("/charm") && set["AT"] == set["JUJU_CHARM_DIR"],
        "{set:?}"
    );
    assert!(set["PATH"].ends_with(":/charm/bin"), "{set:?}");
    assert!(!set["JUJU_API_ADDRESSES"].is_empty() && !set["CLOUD_API_VERSION"].is_empty());
    assert_eq!(set["JUJU_CHARM_NO_PROXY"], "127.0.0.1,localhost,::1");
    let charm = std::path::Path::new(&set["JUJU_CHARM_DIR"]);
    let read = |file: &str| std::fs::read_to_string(charm.join(file)).unwrap();
    assert_eq!(read(".juju-charm"), "local:press-0\n");
    assert_eq!(read("revision"), "0");
    assert!(read("manifest.yaml").contains("bases:"));
    let ours = ["AT", "ARGS"];
    for name in set.keys().filter(|name| !ours.contains(&name.as_str())) {
        let juju = ["JUJU_", "KUBERNETES_"].iter().any(|start| name.starts_with(start));
        let few = [
            "CHARM_DIR",
            "CLOUD_API_VERSION",
            "PATH",
            "LANG",
            "TERM",
            "DEBIAN_FRONTEND",
            "APT_LISTCHANGES_FRONTEND",
        ];
        assert!(juju || few.contains(&name.as_str()), "{name} is none of Juju's");
    }

    let params = BTreeMap::from([("title".to_owned(), json!("x"))]);
    let set = variables(
        &stage
            .agent
            .run_action(&mut stage.world, "press/0", "print", params)
            .unwrap(),
    );
    assert_eq!(set["JUJU_DISPATCH_PATH"], "actions/print");
    assert_eq!(set["JUJU_HOOK_NAME"], "");
    assert_eq!(set["JUJU_ACTION_NAME"], "print");

    stage.agent.kubeconfig = Some("/tmp/kube".into());
    stage.world.version = "2.9.42".parse().unwrap();
    let set = variables(&stage.run("start"));
    assert_eq!(set["KUBECONFIG"], "/tmp/kube");
    assert_eq!(set["JUJU_VERSION"], "2.9.42");
    assert!(set.contains_key("JUJU_METER_STATUS"));
    assert!(!set.contains_key("JUJU_CHARM_TRACE_CONFIG_HTTP"));

    let command = "/usr/bin/env".to_owned();
    let set = variables(&stage.run(Hook::Exec { command }));
    assert_eq!(set["JUJU_HOOK_NAME"], "");
    assert!(!set.contains_key("JUJU_DISPATCH_PATH"), "{set:?}");

    stage.world.version = "4.0.15".parse().unwrap();
    let set = variables(&stage.run("start"));
    assert_eq!(set["JUJU_CHARM_TRACE_CONFIG_HTTP"], "");
    let (of, number) = set["JUJU_CONTEXT_ID"].rsplit_once('-').unwrap();
    assert_eq!(of, "press/0-start");
    assert!(
        number.len() == 32 && number.chars().all(|c| c.is_ascii_hexdigit()),
        "{number}"
    );
}

#[test]
fn a_failed_hook_loses_its_writes_and_keeps_its_status() {
    let mut stage = Stage::new(
        "status-set maintenance working; relation-set -r gateway-info:1 k=v; state-set s=1; juju-log -l ERROR oh; echo out; echo err >&2; exit 3",
    );
    let id = stage.gateway;
    stage.script(&format!(
        "status-set maintenance working; relation-set -r {id} k=v; state-set s=1; juju-log -l ERROR oh; echo out; echo err >&2; exit 3"
    ));
    let run = stage.run("config-changed");
    assert_eq!(run.exit, 3, "{run:#?}");
    assert_eq!(
        (run.status.status.as_str(), run.status.message.as_str()),
        ("maintenance", "working")
    );
    assert_eq!(run.logged("ERROR").collect::<Vec<_>>(), ["oh"]);
    let of_hook: Vec<(&str, &str)> = run
        .log
        .iter()
        .filter(|line| line.module == "unit.press/0.config-changed")
        .map(|line| (line.level.as_str(), line.message.as_str()))
        .collect();
    assert_eq!(of_hook, [("DEBUG", "out"), ("WARNING", "err")]);
    let unit = stage.world.unit("press/0").unwrap();
    assert_eq!(unit.agent, AgentState::Error);
    assert!(unit.state.is_empty());
    assert!(!stage.bag("press/0").contains_key("k"));

    // The same hook comes again, and then the rest.
    stage.script(&format!("relation-set -r {id} k=v; state-set s=1"));
    let runs = stage.agent.resolved(&mut stage.world, "press/0", true).unwrap();
    assert_eq!(runs[0].hook, "config-changed");
    assert_eq!(runs[1].hook, "install");
    assert_eq!(stage.bag("press/0")["k"], "v");
    assert_eq!(stage.world.unit("press/0").unwrap().state["s"], "1");
}

#[test]
fn hooks_come_in_jujus_order() {
    let mut stage = Stage::new("exit 0");
    stage
        .world
        .write_bag(stage.gateway, "istio-pilot", &[("gateway_name", "g")])
        .unwrap();
    assert_eq!(
        stage.wake(),
        [
            "install",
            "siblings-relation-created",
            "gateway-info-relation-created",
            "leader-elected",
            "config-changed",
            "start",
            "gateway-info-relation-changed",
            "gateway-info-relation-joined",
            "gateway-info-relation-changed",
        ]
    );
    assert_eq!(stage.wake(), [""; 0], "an idle unit stays idle");
    assert_eq!(stage.world.unit("press/0").unwrap().status.status, "unknown");

    stage.world.set_config("press", "paper", "thick").unwrap();
    assert_eq!(stage.wake(), ["config-changed", "config-changed"]);
    stage.world.application_mut("press").unwrap().trust = true;
    assert_eq!(stage.wake(), ["config-changed", "config-changed"]);
    assert_eq!(stage.wake(), [""; 0], "twice, and not for ever");
    stage
        .world
        .write_bag(stage.gateway, "istio-pilot", &[("gateway_name", "h")])
        .unwrap();
    assert_eq!(stage.wake(), ["gateway-info-relation-changed"]);

    let runs = stage.agent.churn(&mut stage.world, "press/0").unwrap();
    assert_eq!(names(&runs), ["stop", "upgrade-charm", "config-changed", "start"]);
    let runs = stage.agent.refresh(&mut stage.world, "press").unwrap();
    assert_eq!(names(&runs), ["stop", "upgrade-charm", "config-changed", "start"]);
    let runs = stage.agent.restart(&mut stage.world, "press/0").unwrap();
    assert_eq!(names(&runs), ["start"], "after a restart of the controller");
    let runs = stage.agent.update_status(&mut stage.world, "press/0").unwrap();
    assert_eq!(names(&runs), ["update-status"]);

    stage.world.remove_relation("press", "istio-pilot").unwrap();
    assert_eq!(
        stage.wake(),
        ["gateway-info-relation-departed", "gateway-info-relation-broken"]
    );
    assert!(!stage.world.relations.contains_key(&stage.gateway));
}

#[test]
fn agent_of_a_site_runs_each_hook_once() {
    let mut stage = Stage::new("exit 0");
    stage.agent.repeats_config_changed = false;
    stage.wake();
    stage.world.set_config("press", "paper", "thick").unwrap();
    assert_eq!(stage.wake(), ["config-changed"]);
}

#[test]
fn reset_option_runs_a_hook_before_juju_4_only() {
    for (juju, hooks) in [("3.6.1", &["config-changed", "config-changed"][..]), ("4.0.1", &[])] {
        let mut stage = Stage::new("config-get paper");
        stage.world.version = juju.parse().unwrap();
        stage.world.set_config("press", "paper", "thick").unwrap();
        stage.wake();
        stage.world.reset_config("press", "paper").unwrap();
        assert_eq!(stage.wake(), hooks, "{juju}");
        assert_eq!(stage.run("update-status").stdout, "plain\n", "{juju}");
        stage.world.set_config("press", "copies", "2").unwrap();
        assert!(!stage.wake().is_empty(), "{juju}: other options still do");
        assert!(stage.world.reset_config("press", "ink").is_err());
    }
}

#[test]
fn killed_hook_is_no_error_and_runs_again() {
    let mut stage = Stage::new("exit 0");
    stage.wake();
    stage.script("kill -9 $$");
    stage.world.set_config("press", "paper", "thick").unwrap();
    assert_eq!(stage.wake(), ["config-changed"]);
    assert_eq!(stage.world.unit("press/0").unwrap().agent, AgentState::Idle);
    stage.script("exit 0");
    assert_eq!(stage.wake(), ["config-changed", "config-changed"]);
}

#[test]
fn a_unit_that_has_read_a_secret_is_told_of_each_new_content_and_reads_it_when_it_asks() {
    let mut stage = Stage::new("exit 0");
    let uri = stage.world.add_secret("ink", &[("colour", "red")]).unwrap();
    stage.wake();
    stage.script(&format!("secret-get {uri} 2>&1; exit 0"));
    assert_eq!(stage.run("update-status").stdout, "ERROR permission denied\n");
    stage.world.grant_secret("ink", "press").unwrap();
    assert_eq!(stage.wake(), [""; 0], "no hook tells of a grant");
    assert_eq!(stage.run("update-status").stdout, "colour: red\n");
    stage.world.update_secret("ink", &[("colour", "blue")]).unwrap();
    assert_eq!(stage.wake(), ["secret-changed"]);
    assert_eq!(stage.wake(), [""; 0], "it is told once");
    assert_eq!(stage.run("update-status").stdout, "colour: red\n");
    for (how, read) in [("--peek", "blue"), ("", "red"), ("--refresh", "blue"), ("", "blue")] {
        stage.script(&format!("secret-get {uri} {how}"));
        assert_eq!(stage.run("update-status").stdout, format!("colour: {read}\n"), "{how}");
    }
    stage.world.remove_secret(&uri).unwrap();
    stage.script(&format!("secret-get {uri} 2>&1; exit 0"));
    let id = uri.strip_prefix("secret:").unwrap();
    assert_eq!(
        stage.run("update-status").stdout,
        format!("ERROR secret \"{id}\" not found\n")
    );
}

#[test]
fn units_come_and_go_one_by_one_and_the_last_takes_the_application_along() {
    let mut stage = Stage::new("exit 0");
    stage.wake();
    let runs = stage.agent.scale(&mut stage.world, "press", 2).unwrap();
    let names_of_two = names(&runs);
    assert_eq!(names_of_two[0], "1:install");
    assert!(!names_of_two.contains(&"1:leader-elected".to_owned()));
    assert!(
        names_of_two.contains(&"siblings-relation-joined".to_owned()),
        "{names_of_two:?}"
    );

    let runs = stage.agent.scale(&mut stage.world, "press", 1).unwrap();
    assert_eq!(
        names(&runs),
        [
            "1:siblings-relation-departed",
            "1:gateway-info-relation-departed",
            "1:gateway-info-relation-broken",
            "1:stop",
            "1:remove",
            "siblings-relation-departed",
        ]
    );

    let runs = stage.agent.remove_application(&mut stage.world, "press").unwrap();
    assert_eq!(
        names(&runs),
        [
            "gateway-info-relation-departed",
            "gateway-info-relation-broken",
            "stop",
            "remove"
        ]
    );
    assert!(!stage.world.applications.contains_key("press"));
    assert!(stage.world.relations.is_empty());
}

#[test]
fn the_last_unit_sees_in_goal_state_that_it_is_dying() {
    let mut stage = Stage::new("goal-state --format=json; is-leader --format=json");
    stage.wake();
    let runs = stage.agent.remove_application(&mut stage.world, "press").unwrap();
    let last = runs.last().unwrap();
    assert_eq!(last.hook, "remove");
    let goal: Value = serde_json::from_str(last.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(goal["units"]["press/0"]["status"], "dying");
    assert_eq!(last.stdout.lines().last(), Some("true"));
}

#[test]
fn goal_state_hides_offered_relations_and_relation_ids_list_them() {
    let mut stage = Stage::new("goal-state --format=json; relation-ids gateway-info --format=json");
    let offered = stage.world.integrate_offer("press:gateway-info").unwrap();
    let lines = |run: &HookRun| -> (Value, Vec<String>) {
        let (goal, ids) = run.stdout.trim().split_once('\n').unwrap();
        (serde_json::from_str(goal).unwrap(), serde_json::from_str(ids).unwrap())
    };
    let both = [
        format!("gateway-info:{}", stage.gateway),
        format!("gateway-info:{offered}"),
    ];
    let (goal, ids) = lines(&stage.run("update-status"));
    let related = goal["relations"]["gateway-info"].as_object().unwrap();
    assert_eq!(related.keys().collect::<Vec<_>>(), ["istio-pilot", "istio-pilot/0"]);
    assert_eq!(ids, both);
}

#[test]
fn relation_removed_by_force_is_listed_and_not_found() {
    let mut stage = Stage::new("true");
    let id = stage.world.integrate_offer("press:gateway-info").unwrap();
    stage.world.force_remove_relation(id).unwrap();
    stage.script(&format!(
        "relation-ids gateway-info; relation-list -r {id} --app; relation-get -r {id} --app - $(relation-list -r {id} --app); \
         relation-set -r {id} k=v"
    ));
    let run = stage.run("update-status");
    let lines: Vec<&str> = run.stdout.lines().collect();
    for line in [format!("gateway-info:{id}"), stage.world.consumer(id, "press").unwrap()] {
        assert!(lines.contains(&line.as_str()), "{line} in {lines:?}");
    }
    assert_eq!(run.stderr, "ERROR relation not found\n".repeat(2));
}

#[test]
fn a_hook_sees_what_the_world_holds() {
    let mut stage = Stage::new(
        "config-get --format=json; relation-list -r $RID --format=json; printf 'k: v' | relation-set -r $RID --file - ; relation-get -r $RID --app --format=json - istio-pilot; is-leader; application-version-set 1.2",
    );
    let script = format!(
        "RID={}\nconfig-get --format=json; relation-list -r $RID --format=json; printf 'k: v' | relation-set -r $RID --file - ; relation-get -r $RID --app --format=json - istio-pilot; is-leader; application-version-set 1.2",
        stage.gateway
    );
    stage.script(&script);
    stage.world.set_config("press", "copies", "3").unwrap();
    stage
        .world
        .write_bag(stage.gateway, "istio-pilot", &[("gateway_name", "g")])
        .unwrap();
    let run = stage.run("update-status");
    assert_eq!(
        run.stdout,
        "{\"copies\":3,\"loud\":false,\"paper\":\"plain\"}\n[\"istio-pilot/0\"]\n{\"gateway_name\":\"g\"}\nTrue\n"
    );
    assert_eq!(stage.bag("press/0")["k"], "v");
    assert_eq!(stage.world.applications["press"].workload_version, "1.2");
    let tools: Vec<&str> = run.calls.iter().map(juju_sim::agent::Call::tool).collect();
    assert_eq!(
        tools,
        [
            "config-get",
            "relation-list",
            "relation-set",
            "relation-get",
            "is-leader",
            "application-version-set"
        ]
    );
    assert_eq!(run.calls[2].stdin.as_deref(), Some(&b"k: v"[..]));
}

#[test]
fn tools_fail_as_they_are_told_to() {
    let mut stage = Stage::new("goal-state; echo $?; config-get; echo $?; is-leader; echo $?");
    stage.agent.faults = BTreeMap::from([
        ("goal-state".to_owned(), Fault::Missing),
        (
            "config-get".to_owned(),
            Fault::Exit(1, "ERROR connection lost\n".to_owned()),
        ),
        ("is-leader".to_owned(), Fault::Raw(b"\xff\n".to_vec())),
    ]);
    let run = stage.run("start");
    assert_eq!(run.stdout, "127\n1\n\u{fffd}\n0\n");
    assert!(run.stderr.contains("ERROR connection lost"));
    stage.agent.faults.clear();
    assert!(stage.run("start").stdout.starts_with("relations") || stage.run("start").stdout.starts_with("units"));
}

#[test]
fn a_tool_called_outside_a_hook_says_so() {
    let scratch = Scratch::new("alone").unwrap();
    let tool = scratch.path().join("is-leader");
    std::os::unix::fs::symlink(juju_sim::agent::jujuc().unwrap(), &tool).unwrap();
    let output = std::process::Command::new(&tool).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "ERROR JUJU_CONTEXT_ID not set\n"
    );
}

#[test]
fn an_action_answers_and_never_puts_the_unit_in_error() {
    let mut stage =
        Stage::new("action-log busy; action-set pages=$(action-get pages) by.whom=me; action-get title; echo oops >&2");
    let title = BTreeMap::from([("title".to_owned(), json!("news"))]);
    let print = |stage: &mut Stage, params: BTreeMap<String, Value>| {
        stage.agent.run_action(&mut stage.world, "press/0", "print", params)
    };
    let result = print(&mut stage, title.clone()).unwrap().action.unwrap();
    assert_eq!(result.status, "completed");
    assert_eq!(
        json!(result.results),
        json!({
            "pages": "1", "by": {"whom": "me"}, "stdout": "news\n", "stderr": "oops\n", "return-code": 0,
        })
    );
    assert_eq!(result.log, ["busy"]);

    stage.script("action-fail 'no paper'; exit 4");
    let result = print(&mut stage, title.clone()).unwrap().action.unwrap();
    assert_eq!(
        (result.status.as_str(), result.message.as_str()),
        ("failed", "exit status 4")
    );
    assert_ne!(stage.world.unit("press/0").unwrap().agent, AgentState::Error);

    for (params, why) in [
        (json!({}), "missing and required"),
        (json!({"title": "x", "pages": "many"}), "must be of type integer"),
        (json!({"title": "x", "ink": 1}), "not allowed"),
    ] {
        let params = params.as_object().unwrap().clone().into_iter().collect();
        let error = print(&mut stage, params).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_dispatch_that_cannot_run_fails_every_hook() {
    let mut stage = Stage::new("exit 0");
    let path = stage.scratch.path().join("dispatch");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = stage.run("install");
    assert_ne!(run.exit, 0);
    assert!(run.stderr.contains("cannot execute"), "{}", run.stderr);
    std::fs::remove_file(&path).unwrap();
    let error = stage
        .agent
        .run_hook(&mut stage.world, "press/0", "install")
        .unwrap_err();
    assert!(error.to_string().contains("cargo build"), "{error}");
}

#[test]
fn a_killed_hook_is_due_again_without_being_counted_as_failed() {
    let mut stage = Stage::new("kill -TERM $$");
    let run = stage.run("start");
    assert_eq!(run.exit, 143);
    let unit = stage.world.unit("press/0").unwrap();
    assert_eq!((unit.agent, unit.failed.is_some()), (AgentState::Idle, true));
    stage.world.version = "2.9.42".parse().unwrap();
    stage.run("start");
    assert_eq!(stage.world.unit("press/0").unwrap().agent, AgentState::Error);
}

#[test]
fn a_tool_call_is_cheap() {
    let mut stage = Stage::new("for i in 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 20; do is-leader; done");
    stage.run("start");
    let with = stage.run("start").wall;
    stage.script("exit 0");
    let without = stage.run("start").wall;
    let each = with.saturating_sub(without) / 20;
    println!("one tool call: {each:?}, a hook without any: {without:?}");
    // Some milliseconds of room for a busy machine; the usual cost is one or two.
    assert!(each.as_millis() < 50, "{each:?}");
}
