//! The commands on the pages.

use std::path::Path;

use serde_json::Value;

use crate::console::{Block, Reader, blocks, page, pages};

/// Pages whose sessions need models that answer; `tests/e2e/docs.rs` runs them.
const ON_A_FULL_SITE: [&str; 1] = ["docs/tutorial.md"];

/// The beginnings of commands that no site can run, and why. They are in blocks marked `sh`.
const NOT_RUN: &[(&str, &str)] = &[
    ("sudo ", "changes the machine"),
    ("microk8s ", "MicroK8s is a snap"),
    ("newgrp ", "starts another shell"),
    ("mkdir ", "in the reader's own home"),
    ("juju bootstrap", "a site has its controller"),
    ("juju add-model", "a site has its model"),
    ("juju destroy-model", "a site has its model"),
    ("juju export-bundle", "a site does not play it"),
    ("juju deploy istio", "comes from Charmhub"),
    ("juju deploy self-signed-certificates", "comes from Charmhub"),
    ("juju deploy velero-operator", "comes from Charmhub"),
    ("juju deploy s3-integrator", "comes from Charmhub"),
    ("juju deploy ./examples/", "has charms that a site does not play"),
    ("juju deploy ./site.yaml", "is of the reader's own site"),
    ("juju add-secret site-tls", "reads the reader's own files"),
    ("juju grant-secret site-tls", "as above"),
    (
        "juju run iris/0 rollback",
        "the tutorial runs it, where something has served",
    ),
    ("juju remove-application iris --force", "a site has no force"),
    ("juju deploy opentelemetry-collector", "comes from Charmhub"),
    ("juju integrate otelcol", "a site has no observability stack"),
    ("juju integrate iris:metrics-endpoint", "as above"),
    ("juju integrate iris:grafana-dashboard", "as above"),
    ("juju offer", "a site has one model"),
    ("juju exec", "a site does not play it"),
    ("juju integrate prometheus", "a site has no observability stack"),
    ("juju model-config", "a site does not play it"),
    (
        "juju run iris/0 plan",
        "tests/e2e/actions.rs runs it, where models answer",
    ),
    ("juju run iris/0 endpoints", "as above"),
    (
        "juju run iris/leader report",
        "tests/it/cluster/report.rs compares the results",
    ),
    ("WAVES=", "tests/it/cluster/fleet.rs runs it on five sites"),
    ("examples/fleet/", "as above"),
    ("juju deploy ./bundle.yaml --overlay", "is of the reader's own site"),
    ("juju run iris/0 predict", "as above"),
    ("juju run iris/0 feedback", "as above"),
    ("juju run iris/0 diagnose", "as above"),
    (
        "juju integrate iris:gateway-metadata",
        "tests/e2e/ingress.rs changes gateways",
    ),
    ("juju remove-relation iris:gateway-info", "as above"),
    ("sed ", "a site brings no kubectl"),
    (
        "juju integrate istio",
        "a fake charm lacks some endpoints of the real one",
    ),
    ("juju integrate velero", "as above"),
    ("juju config istio", "a fake charm lacks some options of the real one"),
    ("juju config oidc-gatekeeper", "as above"),
    ("juju config dex-auth", "as above"),
    ("juju config velero-operator", "as above"),
    ("juju config s3-integrator", "as above"),
    ("juju run velero-operator/0", "a fake charm has no actions"),
    ("juju run s3-integrator/0", "a fake charm has no actions"),
    ("kubectl ", "a site brings no kubectl"),
    ("curl ", "of an example, without a site"),
    ("docker ", "needs a registry"),
    ("cargo ", "runs this test among others"),
    ("grpcurl ", "tests/e2e/grpc.rs uses Python clients instead"),
    ("target/debug/site ", "crates/site/tests/cli.rs types these"),
    ("SELDON_EXECUTOR=", "needs Seldon's executor"),
    ("JUJU_CONTROLLER=", "needs a controller"),
];

fn sessions(path: &str) -> Vec<Block> {
    let blocks = blocks(&page(path));
    blocks.into_iter().filter(|block| block.kind == "console").collect()
}

#[test]
fn commands_no_site_runs_have_a_reason() {
    let mut used = Vec::new();
    for path in pages() {
        for block in blocks(&page(&path)) {
            let at = format!("{path}:{}", block.line);
            assert!(
                !block.kind.is_empty(),
                "{at}: say what this block is: console for what is run here, sh for what is not, text for what is printed"
            );
            if block.kind != "sh" {
                continue;
            }
            let mut goes_on = false;
            for line in &block.lines {
                let begins = !goes_on && !line.trim().is_empty() && !line.starts_with('#');
                goes_on = line.ends_with('\\');
                if !begins {
                    continue;
                }
                let matches_line = |(beginning, _): &&(&'static str, &str)| line.starts_with(beginning);
                let known = NOT_RUN.iter().find(matches_line);
                let known = known.unwrap_or_else(|| {
                    panic!("{at}: a site can run this, or tests/docs/typed.rs has to say why not: {line}")
                });
                used.push(known.0);
            }
        }
    }
    for (beginning, _) in NOT_RUN {
        assert!(used.contains(beginning), "no page has {beginning:?} any more");
    }
}

/// No Juju sends a map that is typed as one.
#[test]
fn action_maps_are_typed_as_text() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/actions.yaml")).unwrap();
    let actions: Value = serde_yaml::from_str(&text).unwrap();
    let takes_map = |action: &Value, word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        let kinds = action["params"][name]["type"].as_array();
        word.contains('=') && kinds.is_some_and(|kinds| kinds.contains(&Value::from("object")))
    };
    let mut found = 0;
    for path in pages() {
        for block in blocks(&page(&path)) {
            for line in &block.lines {
                let Some((_, typed)) = line.split_once("juju run") else {
                    continue;
                };
                let words: Vec<&str> = typed.split_whitespace().collect();
                let mut acts = words.iter().filter_map(|word| actions.get(*word));
                let Some(action) = acts
                    .next()
                    .filter(|action| words.iter().any(|word| takes_map(action, word)))
                else {
                    continue;
                };
                let is_text = words.contains(&"--string-args");
                assert!(is_text, "{path}: {line}: {} needs --string-args", action["description"]);
                found += 1;
            }
        }
    }
    assert!(found >= 3, "only {found} lines");
}

#[test]
fn documented_commands_work_as_printed() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("docs-{}", std::process::id()));
    let mut reader = Reader::new(home, &[]);
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for path in pages() {
            if !ON_A_FULL_SITE.contains(&path.as_str()) {
                run_sessions(&mut reader, &path);
            }
        }
    }));
    reader.shut_down();
    if let Err(error) = walked {
        std::panic::resume_unwind(error);
    }
}

/// Each page starts on a site with bundle.yaml deployed, as the tutorial leaves it.
fn run_sessions(reader: &mut Reader, path: &str) {
    let sessions = sessions(path);
    if sessions.is_empty() {
        return;
    }
    run_ok(reader, "juju deploy ./bundle.yaml --trust");
    // A file whose name and content the page shows.
    for block in blocks(&page(path)) {
        let name = block.lines.first().and_then(|line| line.strip_prefix("# "));
        let is_file = |name: &&str| Path::new(name).extension().is_some_and(|ending| ending == "yaml");
        if let Some(name) = name.filter(is_file) {
            reader.file(name, &block.lines.join("\n"));
        }
    }
    for block in sessions {
        for step in block.steps() {
            reader.check(path, &step);
        }
        no_application_is_blocked(reader, path, &block);
    }
    for (name, _) in ours(reader) {
        run_ok(reader, &format!("juju remove-application {name} --no-prompt"));
    }
}

fn run_ok(reader: &Reader, line: &str) {
    let (succeeded, said) = reader.run(line);
    assert!(succeeded, "{line}\n{said}");
}

/// Our applications, with state and message.
fn ours(reader: &Reader) -> Vec<(String, String)> {
    let (succeeded, status) = reader.run("juju status --format=json");
    assert!(succeeded, "{status}");
    let status: Value = serde_json::from_str(&status).unwrap();
    let applications = status["applications"].as_object().unwrap();
    let ours = applications.iter().filter(|(_, of)| of["charm"] == "seldon-model");
    ours.map(|(name, of)| {
        let status = &of["application-status"];
        let word = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (name.clone(), format!("{}: {}", word("current"), word("message")))
    })
    .collect()
}

/// No application stays blocked after a session, unless the page shows that.
fn no_application_is_blocked(reader: &Reader, path: &str, block: &Block) {
    for (name, status) in ours(reader) {
        let shown = block.lines.iter().any(|line| line.contains("blocked"));
        assert!(
            shown || !(status.starts_with("blocked") || status.starts_with("error")),
            "{path}:{} leaves {name} {status}",
            block.line
        );
    }
}
