//! New versions in steps: the share of requests at each, and that nothing is deleted that still gets some.

use juju_sim::agent::Hook;
use serde_json::json;

use super::fixture::Live;
use crate::support::kinds::{deployment, sdep};
use crate::support::{assert_contains, rules};

/// The steps of a canary, each with the shares once all pods answer.
const WALK: [(&str, &str, &[&str]); 6] = [
    ("iris:1", "{image: 'iris:2'}", &["default 100"]),
    ("iris:1", "{image: 'iris:2', weight: 10}", &["default 90", "canary 10"]),
    ("iris:1", "{image: 'iris:2', weight: 50}", &["default 50", "canary 50"]),
    ("iris:1", "{image: 'iris:2', weight: 100}", &["canary 100"]),
    ("iris:2", "{image: 'iris:2', weight: 100}", &["canary 100"]),
    ("iris:2", "", &["default 100"]),
];

#[test]
fn canary_is_promoted_step_by_step() {
    let mut live = Live::new("walked");
    live.config(&[("image", "iris:1")]);
    live.serves();
    for (image, canary, shares) in WALK {
        live.config(&[("image", image), ("canary", canary)]);
        live.hook("config-changed");
        live.seldon_serves("iris");
        let says = live.says();
        assert_eq!(live.shares("iris"), shares, "{image} {canary}");
        assert_contains(&says, &["active: iris serves ", image]);
        let before = live.versions();
        live.hook("update-status");
        assert_eq!(live.versions(), before, "{image} {canary}: a quiet hook wrote");
    }
    assert_eq!(live.predictors("iris"), ["default"]);
}

#[test]
fn canary_gets_no_traffic_until_it_answers() {
    let mut live = Live::new("awaited");
    live.config(&[("image", "iris:1")]);
    live.serves();
    live.config(&[("canary", "{image: 'iris:2', weight: 30, match: {x-canary: 'yes'}}")]);
    assert_eq!(
        live.says(),
        "waiting: iris: canary is starting; no traffic until it is ready"
    );
    assert_eq!(live.shares("iris"), ["default 100"]);
    assert_eq!(rules(&live.route("iris").unwrap()).len(), 2);
    live.seldon_serves("iris");
    assert_eq!(
        live.says(),
        "active: iris serves iris:1, iris:2 to 30% and where x-canary=yes at /model/iris/"
    );
    assert_eq!(live.shares("iris"), ["default 70", "canary 30"]);
    for by_header in &rules(&live.route("iris").unwrap())[..2] {
        assert_eq!(by_header["match"][0]["headers"]["x-canary"]["exact"], "yes");
        assert_eq!(
            by_header["route"][0]["destination"]["host"],
            "iris-canary.awaited.svc.cluster.local"
        );
    }
}

#[test]
fn promoted_canary_serves_until_the_model_does() {
    let mut live = Live::new("promoted");
    live.config(&[("image", "iris:1"), ("canary", "{image: 'iris:2', weight: 40}")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    live.config(&[("image", "iris:2"), ("canary", "")]);
    assert_contains(&live.says(), &["waiting: iris: rolling out iris:2"]);
    assert_eq!(live.shares("iris"), ["default 60", "canary 40"]);
    assert_eq!(live.predictors("iris"), ["default", "canary"]);
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active: iris serves iris:2 at"]);
    assert_eq!(live.shares("iris"), ["default 100"]);
    assert_eq!(live.predictors("iris"), ["default"]);
}

#[test]
fn failed_canary_leaves_the_model_alone() {
    let mut live = Live::new("failed");
    live.config(&[("image", "iris:1")]);
    live.serves();
    live.config(&[("canary", "{image: 'iris:2', weight: 10}")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    live.merge_status(&deployment(), "iris-canary-0-iris", &json!({"availableReplicas": 0}));
    assert_contains(&live.says(), &["waiting: iris: canary is starting"]);
    assert_eq!(live.shares("iris"), ["default 100"]);
    let default = live.get(&deployment(), "iris-default-0-iris").unwrap()["metadata"]["generation"].clone();
    live.config(&[("canary", "")]);
    assert_contains(&live.says(), &["active: iris serves iris:1 at"]);
    assert_eq!(live.predictors("iris"), ["default"]);
    live.seldon_serves("iris");
    assert_eq!(
        live.get(&deployment(), "iris-default-0-iris").unwrap()["metadata"]["generation"],
        default
    );
}

#[test]
fn invalid_canary_option_changes_nothing() {
    let mut live = Live::new("spoilt");
    live.config(&[("image", "iris:1"), ("canary", "{image: 'iris:2', weight: 10}")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    // A canary that changes its version keeps its share, as the previous one still answers.
    live.config(&[("canary", "{image: 'iris:4', weight: 10}")]);
    assert_eq!(
        live.says(),
        "waiting: iris: canary is rolling out; the previous version keeps serving"
    );
    assert_eq!(live.shares("iris"), ["default 90", "canary 10"]);
    let before = live.versions();
    live.config(&[("canary", "{image: 'iris:3', weight: 110}")]);
    assert_contains(
        &live.says(),
        &["blocked: option canary: weight: must be a whole number from 0 to 100"],
    );
    assert_eq!(live.versions(), before);
}

/// The command that an action prints for that model, or its failure.
fn printed_command(live: &mut Live, action: &str, model: Option<&str>) -> Result<String, String> {
    let parameters = model
        .map(|model| ("model".to_owned(), json!(model)))
        .into_iter()
        .collect();
    let action = live.hook(Hook::action(action, parameters)).action.unwrap();
    match action.status.as_str() {
        "completed" => Ok(action.results["command"].as_str().unwrap().to_owned()),
        _ => Err(action.message),
    }
}

/// Runs that command: it must set options of the application only.
fn run_command(live: &mut Live, command: &str) {
    let arguments = command.strip_prefix("juju config iris ").unwrap();
    let words = shlex::split(arguments).unwrap();
    let pairs: Vec<(&str, &str)> = words.iter().map(|word| word.split_once('=').unwrap()).collect();
    live.config(&pairs);
}

#[test]
fn promote_prints_command_that_promotes_canary() {
    let mut live = Live::new("promote");
    live.config(&[("image", "iris:1")]);
    live.serves();
    assert_contains(
        &printed_command(&mut live, "promote", None).unwrap_err(),
        &["iris: no canary. Run: juju config iris canary="],
    );
    live.config(&[(
        "canary",
        "{image: 'iris:2', env: {LEVEL: 'it''s on'}, weight: 50, match: {a: b}}",
    )]);
    live.serves();
    let command = printed_command(&mut live, "promote", None).unwrap();
    run_command(&mut live, &command);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_eq!(live.says(), "active: iris serves iris:2 at /model/iris/");
    let container =
        live.sdep("iris").unwrap()["spec"]["predictors"][0]["componentSpecs"][0]["spec"]["containers"][0].clone();
    assert_eq!(container["env"], json!([{"name": "LEVEL", "value": "it's on"}]));
}

#[test]
fn promote_changes_one_entry_of_models() {
    let mut live = Live::new("fleets");
    live.config(&[
        ("image", "iris:1"),
        (
            "models",
            "{a: {canary: {image: 'iris:2', weight: 5}}, b: {replicas: 2}}",
        ),
    ]);
    live.hook("config-changed");
    assert_contains(
        &printed_command(&mut live, "promote", None).unwrap_err(),
        &["parameter model: must be a or b"],
    );
    let command = printed_command(&mut live, "promote", Some("a")).unwrap();
    assert_eq!(
        command,
        r#"juju config iris models='{"a":{"image":"iris:2"},"b":{"replicas":2}}'"#
    );
}

#[test]
fn rollback_names_what_served_before() {
    let mut live = Live::new("back");
    live.config(&[("image", "iris:1"), ("env", "{A: 1}")]);
    live.hook("config-changed");
    assert_eq!(
        printed_command(&mut live, "rollback", None).unwrap_err(),
        "iris: no earlier version is recorded"
    );
    live.serves();
    // A version that never serves is not one to go back to.
    live.config(&[("image", "iris:broken")]);
    live.hook("config-changed");
    assert_eq!(
        printed_command(&mut live, "rollback", None).unwrap(),
        "juju config iris image=iris:1"
    );
    live.config(&[("image", "iris:2"), ("env", "")]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    live.hook("update-status");
    let command = printed_command(&mut live, "rollback", None).unwrap();
    assert_eq!(command, "juju config iris env='{A: 1}' image=iris:1");
    run_command(&mut live, &command);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_eq!(live.says(), "active: iris serves iris:1 at /model/iris/");
    // And forward again.
    assert_eq!(
        printed_command(&mut live, "rollback", None).unwrap(),
        "juju config iris image=iris:2 env="
    );
}

#[test]
fn forged_served_record_reaches_no_command() {
    let mut live = Live::new("forged-record");
    live.config(&[("image", "iris:1")]);
    live.serves();
    live.config(&[("image", "iris:2")]);
    live.hook("config-changed");
    assert_eq!(
        printed_command(&mut live, "rollback", None).unwrap(),
        "juju config iris image=iris:1"
    );
    let record = json!({"$(touch /tmp/forged)": "x", "image": "evil:1"}).to_string();
    let annotations = json!({"metadata": {"annotations": {"seldon-model/serves": record}}});
    // With the field manager of `kubectl patch`, and with our own, forged.
    live.merge_as("kubectl-patch", &sdep(), "iris", &annotations);
    assert!(
        printed_command(&mut live, "rollback", None)
            .unwrap_err()
            .contains("no earlier version is recorded")
    );
    let manager = format!("seldon-model-iris-{}", &live.world.model.uuid[..8]);
    live.apply_as(&manager, &sdep(), "iris", &annotations);
    assert!(
        printed_command(&mut live, "rollback", None)
            .unwrap_err()
            .contains("no earlier version is recorded")
    );
}
