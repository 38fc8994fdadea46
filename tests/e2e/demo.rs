//! The first command that a reader types.

use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::folder;
use crate::site_cleanup::processes;

fn demo(command: &mut Command) -> Output {
    command.env_remove("KUBECONFIG").output().unwrap()
}

pub fn demo_ends_with_the_models_answer() {
    let folder = folder("demo");
    let site = site::programs::site_binary().unwrap();
    let output = demo(Command::new(site).arg("--dir").arg(&folder).arg("demo"));
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    // What is left after it is the clean-up.
    let (_, last) = shown.rsplit_once("$ curl -s http://").unwrap();
    let (command, after) = last.split_once('\n').unwrap();
    assert!(
        command.ends_with(
            r#"/model/iris/api/v1.0/predictions -H 'Content-Type: application/json' -d '{"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]]}}'"#
        ),
        "{command}"
    );
    let (answer, after) = after.split_once('\n').unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(
        answer.pointer("/meta/tags/version"),
        Some(&Value::from("2")),
        "{answer}"
    );
    assert_eq!(
        answer
            .pointer("/data/ndarray/0")
            .and_then(Value::as_array)
            .map(Vec::len),
        Some(3)
    );
    let steps: Vec<_> = after.lines().filter(|line| line.starts_with("$ ")).collect();
    assert_eq!(
        steps,
        ["$ site remove-application iris", "$ site objects", "$ site down"]
    );
    assert!(
        shown.ends_with("Everything the demonstration made is gone.\n"),
        "{shown}"
    );
    assert_eq!(processes(&folder), Vec::<String>::new());
}

pub fn demo_without_root_shows_the_small_site() {
    let folder = folder("demo-small");
    let site = site::programs::site_binary().unwrap();
    // Nobody, who may still read what root has built.
    let output = demo(
        Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups"])
            .args(["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"])
            .arg(site)
            .arg("--dispatch")
            .arg(site::programs::dispatch_binary().unwrap())
            .arg("--dir")
            .arg(&folder)
            .arg("demo"),
    );
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let missing: Vec<_> = shown.lines().filter(|line| line.contains("full site")).collect();
    assert_eq!(
        missing,
        [
            "# A full site, on which the model answers, needs root, for its namespaces, mounts and control groups. This is the small one."
        ]
    );
    assert!(shown.contains("$ site up\n") && !shown.contains("$ curl"), "{shown}");
    assert!(
        shown.ends_with("Everything the demonstration made is gone.\n"),
        "{shown}"
    );
    assert!(!folder.exists(), "{} is still there", folder.display());
}
