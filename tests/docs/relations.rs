//! Every relation of this charm is written with its endpoint. Two applications by their names alone are ambiguous: each has juju-info,
//! which fits our endpoint `seldon-core` (seen with Juju 4.0.15).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::console::{ROOT, page, pages};

const VERBS: [&str; 4] = ["integrate", "relate", "add-relation", "remove-relation"];

/// What operators read: pages, with all statuses among them, and the files that describe and deploy the charm.
fn texts() -> Vec<String> {
    let mut paths = pages();
    paths.extend(
        [
            "README.md",
            "SECURITY.md",
            "metadata.yaml",
            "config.yaml",
            "actions.yaml",
            "rbac.yaml",
        ]
        .map(str::to_owned),
    );
    paths.extend(bundles());
    for folder in ["examples/models", "terraform"] {
        paths.extend(files(folder));
    }
    paths
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|file| format!("{folder}/{}", file.file_name().display()))
        .collect()
}

fn bundles() -> Vec<String> {
    let mut bundles = files("examples");
    bundles.push("bundle.yaml".to_owned());
    bundles
}

fn bundle(path: &str) -> Value {
    serde_yaml::from_str(&page(path)).unwrap()
}

/// What applications of this charm are called, in bundles and in commands that deploy it.
fn applications() -> BTreeSet<String> {
    let is_ours = |charm: &str| charm.contains("seldon-model");
    let mut names = BTreeSet::new();
    for path in bundles() {
        for (name, application) in bundle(&path)["applications"].as_object().unwrap() {
            if application["charm"].as_str().is_some_and(is_ours) {
                names.insert(name.clone());
            }
        }
    }
    for path in texts() {
        for line in page(&path).lines() {
            let deployed = line
                .split_once("juju deploy ")
                .map(|(_, words)| words.split_whitespace());
            let Some((charm, name)) = deployed.and_then(|mut words| words.next().zip(words.next())) else {
                continue;
            };
            if is_ours(charm) && !name.starts_with('-') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// The two sides of each command that relates or unrelates, without the marks of the text around them.
fn sides(line: &str) -> Vec<[String; 2]> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let trimmed = |word: &str| word.trim_matches(|c| "`'\"()[],.;".contains(c)).to_owned();
    let commands = words
        .windows(4)
        .filter(|words| words[0].ends_with("juju") && VERBS.contains(&words[1]));
    commands.map(|words| [trimmed(words[2]), trimmed(words[3])]).collect()
}

#[test]
fn every_command_names_our_endpoint() {
    let ours = applications();
    assert!(ours.contains("iris") && ours.len() > 1, "{ours:?}");
    let mut found = 0;
    for path in texts() {
        for (at, line) in page(&path).lines().enumerate() {
            for sides in sides(line) {
                for side in &sides {
                    assert!(
                        !ours.contains(side),
                        "{path}:{}: {side} needs its endpoint: {}",
                        at + 1,
                        sides.join(" ")
                    );
                }
                found += usize::from(
                    sides
                        .iter()
                        .any(|side| side.split_once(':').is_some_and(|(name, _)| ours.contains(name))),
                );
            }
        }
    }
    assert!(found >= 10, "only {found} commands");
}

#[test]
fn every_bundle_names_our_endpoint() {
    let ours = applications();
    for path in bundles() {
        for relation in bundle(&path)["relations"].as_array().unwrap() {
            for side in relation.as_array().unwrap() {
                let side = side.as_str().unwrap();
                assert!(!ours.contains(side), "{path}: {relation} needs the endpoint of {side}");
            }
        }
    }
}

#[test]
fn sides_are_found_in_text_and_in_commands() {
    let found = sides("Run: juju integrate iris istio-pilot (or `juju remove-relation iris:tracing tempo`)");
    assert_eq!(found, [["iris", "istio-pilot"], ["iris:tracing", "tempo"]]);
    assert!(sides("juju status iris istio-pilot").is_empty());
}
