//! The commands of the site, as a user types them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use juju_sim::agent::Scratch;
use serde_json::Value;

const BUNDLE: &str = "
bundle: kubernetes
applications:
  istio-pilot: {charm: istio-pilot, channel: 1.24/stable, scale: 1, trust: true}
  press: {charm: ./charm, scale: 1, trust: true, options: {paper: plain}}
relations:
- [press:gateway-info, istio-pilot:gateway-info]
";
const METADATA: &str = "{name: press, requires: {gateway-info: {interface: istio-gateway-info}}}";
const CONFIG: &str = "options: {paper: {type: string, default: none}, copies: {type: int, default: 2}}";
const ACTIONS: &str = "{count: {params: {from: {type: integer, default: 1}}}}";
/// A charm that says what it was configured with, and counts.
const DISPATCH: &str = "#!/bin/sh
case $JUJU_DISPATCH_PATH in
actions/count) action-set pages=$(action-get from) ;;
*) status-set active \"prints on $(config-get paper) at $(relation-get -r gateway-info:0 --app gateway_name istio-pilot)\" ;;
esac
";

/// A user's directory with a bundle and a charm in it, and the site of that user.
struct User {
    scratch: Scratch,
}

impl User {
    fn new() -> Self {
        let scratch = Scratch::new("user").unwrap();
        let charm = scratch.path().join("charm");
        std::fs::create_dir_all(&charm).unwrap();
        for (file, text) in [
            ("bundle.yaml", BUNDLE),
            ("charm/metadata.yaml", METADATA),
            ("charm/config.yaml", CONFIG),
            ("charm/actions.yaml", ACTIONS),
            ("charm/dispatch", DISPATCH),
        ] {
            std::fs::write(scratch.path().join(file), text).unwrap();
        }
        std::fs::set_permissions(charm.join("dispatch"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { scratch }
    }

    fn types(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_site"))
            .current_dir(self.scratch.path())
            .args(["--dir", "site", "--dispatch", "charm/dispatch"])
            .args(words)
            .env_remove("KUBECONFIG")
            .output()
            .unwrap()
    }

    /// What a command prints that must succeed.
    fn reads(&self, words: &[&str]) -> String {
        let output = self.types(words);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail says.
    fn is_told(&self, words: &[&str]) -> String {
        let output = self.types(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.reads(&["status", "--format", "json"])).unwrap()
    }
}

#[test]
fn without_a_site_a_user_is_told_what_to_type() {
    let user = User::new();
    for words in [&["status"][..], &["config", "press"], &["down"]] {
        let told = user.is_told(words);
        assert!(
            told.starts_with("ERROR ") && told.contains("site deploy ./bundle.yaml --trust"),
            "{told}"
        );
    }
}

#[test]
fn a_bundle_that_cannot_be_deployed_starts_nothing() {
    let user = User::new();
    let told = user.is_told(&["deploy", "./bundle.yaml"]);
    assert!(told.contains("--trust") && told.contains("press"), "{told}");
    let told = user.is_told(&["deploy", "./nothing.yaml", "--trust"]);
    assert!(told.contains("nothing.yaml"), "{told}");
    assert!(!user.scratch.path().join("site").exists());
}

#[test]
fn a_site_is_deployed_to_configured_and_taken_down() {
    let user = User::new();
    let told = user.types(&["deploy", "./bundle.yaml", "--trust"]);
    // Whatever happens from here on, nothing is left running.
    let ended = std::panic::catch_unwind(|| {
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        a_day_at_the_site(&user);
    });
    user.reads(&["down"]);
    if let Err(fault) = ended {
        std::panic::resume_unwind(fault);
    }
    assert!(!Path::new(&user.scratch.path().join("site/kubernetes")).exists());
    user.is_told(&["status"]);
}

fn parameters_go_the_ways_of_juju(user: &User) {
    let error = user.is_told(&["run", "press/0", "count", "from={a: 1}"]);
    assert_eq!(error, "ERROR json: unsupported type: map[interface {}]interface {}\n");
    let error = user.is_told(&["run", "press/0", "count", "--string-args", "from=4"]);
    assert!(
        error.contains("(root).from : must be of type integer, given \"4\""),
        "{error}"
    );
    std::fs::write(user.scratch.path().join("count.yaml"), "from: 7").unwrap();
    let result = user.reads(&["run", "press/0", "count", "--params", "count.yaml"]);
    assert_eq!(result.trim_end(), "pages: '7'");
}

fn status_shows_what_is_named(user: &User) {
    let table = user.reads(&["status"]);
    assert!(
        table.contains("press/0*") && table.contains("fake, runs no code here"),
        "{table}"
    );
    let table = user.reads(&["status", "press"]);
    assert!(table.contains("press/0*") && !table.contains("istio-pilot"), "{table}");
    let table = user.reads(&["status", "pre*"]);
    assert!(!table.contains("press"), "names are exact: {table}");
    assert_eq!(
        user.status()["applications"]["istio-pilot"]["units"]["istio-pilot/0"]["juju-status"]["current"],
        "idle"
    );
}

fn a_day_at_the_site(user: &User) {
    let press = |user: &User| user.status()["applications"]["press"].clone();
    let message = |user: &User| press(user)["units"]["press/0"]["workload-status"]["message"].clone();
    assert_eq!(message(user), "prints on plain at istio-gateway");
    status_shows_what_is_named(user);
    user.reads(&[
        "wait-for",
        "application",
        "press",
        "--query",
        "status==\"active\"",
        "--timeout=10s",
    ]);
    let told = user.is_told(&[
        "wait-for",
        "application",
        "press",
        "--query=status==\"blocked\"",
        "--timeout=0",
    ]);
    assert!(told.contains("press is not blocked after 0 s"), "{told}");

    // Options.
    user.reads(&["config", "press", "paper=thick", "copies=3"]);
    assert_eq!(message(user), "prints on thick at istio-gateway");
    assert_eq!(user.reads(&["config", "press", "copies"]), "3\n");
    assert_eq!(
        user.is_told(&["config", "press", "ink=red"]),
        "ERROR unknown option \"ink\"\n"
    );
    let told = user.is_told(&["config", "press", "paper=thin", "copies=many"]);
    assert_eq!(told, "ERROR option \"copies\" expected int, got \"many\"\n");
    assert_eq!(user.reads(&["config", "press", "paper"]), "thick\n", "all or none");
    std::fs::write(user.scratch.path().join("paper.txt"), "from a file").unwrap();
    user.reads(&["config", "press", "paper=@paper.txt"]);
    assert_eq!(message(user), "prints on from a file at istio-gateway");
    user.reads(&["config", "press", "--reset", "paper"]);
    assert!(user.reads(&["config", "press"]).contains("source: user"));
    assert_eq!(user.reads(&["config", "press", "paper"]), "none\n");

    // Actions, trust, units.
    let result = user.reads(&["run", "press/0", "count", "from=4"]);
    assert_eq!(
        result.trim_end(),
        "pages: '4'",
        "what Juju adds is not among what was set"
    );
    let result = user.reads(&["run", "press/leader", "count", "from=4", "--format", "json"]);
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["press/0"]["results"]["pages"], "4", "{result}");
    let told = user.types(&["--quiet", "run", "press/0", "count"]).stderr;
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "Running operation 5 with 1 task\n  - task 6 on unit-press-0\n\nWaiting for task 6...\n"
    );
    assert!(user.is_told(&["run", "press/0", "dance"]).contains("count"));
    parameters_go_the_ways_of_juju(user);
    assert!(user.is_told(&["trust", "press"]).contains("--scope=cluster"));
    user.reads(&["trust", "press", "--scope=cluster"]);
    user.reads(&["scale-application", "press", "2"]);
    assert_eq!(press(user)["scale"], 2);
    user.reads(&["update-status", "press/1"]);
    assert!(user.reads(&["debug-log"]).contains("unit.press/0"), "the log is kept");
    assert!(!user.reads(&["debug-log", "--include=press/1"]).contains("unit.press/0"));

    // Secrets.
    let uri = user.reads(&["add-secret", "ink", "colour=red"]);
    assert!(uri.starts_with("secret:"), "{uri}");
    user.reads(&["grant-secret", "ink", "press"]);
    user.reads(&["update-secret", uri.trim_end(), "colour=blue"]);
    let told = user.is_told(&["update-secret", "ink", "hunter2"]);
    assert!(!told.contains("hunter2"), "{told}");
    user.reads(&["remove-secret", "ink"]);
    assert!(user.is_told(&["remove-secret", "ink"]).contains("not found"));

    // Relations, and the end.
    user.reads(&["remove-relation", "press", "istio-pilot"]);
    assert_eq!(press(user)["relations"], serde_json::json!({}));
    user.reads(&["integrate", "press", "istio-pilot"]);
    assert!(
        user.is_told(&["integrate", "press", "istio-pilot"])
            .contains("already exists")
    );
    assert!(user.reads(&["objects"]).is_empty());
    assert!(user.is_told(&["objects", "pods"]).contains("seldondeployments"));
    user.reads(&["remove-application", "press", "--no-prompt"]);
    assert!(user.status()["applications"].get("press").is_none());

    // The charm by itself, as another application.
    let of_charm = [
        "deploy",
        "./charm/press.charm",
        "daily",
        "--trust",
        "--config",
        "paper=thin",
    ];
    user.reads(&of_charm);
    assert!(user.is_told(&of_charm).contains("daily"));
    assert_eq!(user.reads(&["config", "daily", "paper"]), "thin\n");
    assert!(
        user.is_told(&["deploy", "./bundle.yaml", "daily"])
            .contains("a bundle names")
    );
}
