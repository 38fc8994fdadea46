//! docs/reference/statuses.md is made here: each message is drawn by the charm itself from an example of what it is about, and
//! none in the sources may be missing.
//!
//! `UPDATE_DOCS=1 cargo test --lib statuses`, or `just docs`, writes it.

use std::fmt::Write as _;
use std::path::Path;

use super::{ChangeSet, JUJU, Scene, State, StatusInput, evaluate, identity};
use crate::api_error::ApiError;
use crate::changes::Conflict;
use crate::config::Model;
use crate::shell::{Commands, JujuCli};
use crate::status::{Problem, messages};
use juju_hooks::Version;
use juju_hooks::status::SHOWN_BYTES;

mod cluster;
mod options;
mod pods;
mod scan;

/// One example of an enum for each arm. A variant without an arm does not compile, and an example of another arm fails.
macro_rules! examples {
    ($of:ty { $($arm:pat => $example:expr, $behind:expr;)+ }) => {{
        #[allow(unreachable_patterns, reason = "one variant may have several examples")]
        let _: fn(&$of) = |value| match value { $($arm => {})+ };
        [$({
            let example: $of = $example;
            assert!(matches!(&example, $arm), "{example:?} is an example of another arm");
            (example, $behind)
        }),+]
    }};
}
use examples;

/// A message, and what a reader wants to know beyond it.
struct Entry {
    /// `None` for a line of the log.
    state: Option<State>,
    /// Whole, as in the log; `juju status` may show less.
    message: String,
    /// What the message is made from, if it is about a problem.
    problem: Option<Problem>,
    details: String,
}

impl Entry {
    fn new(problem: &Problem, details: &str) -> Self {
        Self {
            state: Some(problem.state),
            message: problem.to_string(),
            problem: Some(problem.clone()),
            details: details.to_owned(),
        }
    }

    fn of_state(state: State, message: String, details: &str) -> Self {
        Self {
            state: Some(state),
            message,
            problem: None,
            details: details.to_owned(),
        }
    }

    fn of_model((state, message): (State, String), details: &str) -> Self {
        Self::of_state(state, message, details)
    }

    fn in_log(message: String, details: &str) -> Self {
        Self {
            state: None,
            message,
            problem: None,
            details: details.to_owned(),
        }
    }

    /// The worst problem of a scene, or its status.
    fn from_scene(scene: &Scene, details: &str) -> Self {
        let report = scene.report();
        match report.problems.first() {
            Some(problem) => Self::new(problem, details),
            None => Self::of_state(report.status.state, report.status.message, details),
        }
    }

    /// The problem of a scene that contains this text.
    fn of_problem(scene: &Scene, text: &str, details: &str) -> Self {
        let report = scene.report();
        let mut problems = report.problems.iter();
        let problem = problems.find(|problem| problem.to_string().contains(text));
        let problem = problem.unwrap_or_else(|| panic!("{text} is in none of {:#?}", report.problems));
        Self::new(problem, details)
    }

    /// As `juju status` shows it, where that is not the text of the log.
    fn in_status(scene: &Scene, details: &str) -> Self {
        let status = scene.report().status;
        Self::of_state(status.state, status.message, details)
    }

    fn of_conflict(scene: &Scene, conflict: Conflict, details: &str) -> Self {
        let mut changes = ChangeSet::default();
        changes.conflicts.insert("iris".into(), conflict);
        Self::with_changes(scene, &changes, details)
    }

    /// A scene with these changes pending, in place of those that follow from it.
    fn with_changes(scene: &Scene, changes: &ChangeSet, details: &str) -> Self {
        let report = with_input(scene, changes, evaluate);
        Self::new(&report.problems[0], details)
    }

    /// A message about the only model of a scene.
    fn from_message(
        scene: &Scene,
        message: impl FnOnce(&StatusInput, &Model) -> Option<Problem>,
        details: &str,
    ) -> Option<Self> {
        let model = scene.plan().models.remove(0).model;
        let problem = with_input(scene, &ChangeSet::default(), |input| message(input, &model))?;
        Some(Self::new(&problem, details))
    }

    fn of_api_error(error: &ApiError, details: &str) -> Self {
        let is_of_model = matches!(
            error,
            ApiError::Conflict { .. } | ApiError::Invalid { .. } | ApiError::Quota { .. } | ApiError::ConcurrentChange
        );
        let scene = Scene::iris();
        let model = scene.plan().models.remove(0).model;
        let problem = with_input(&scene, &ChangeSet::default(), |input| {
            if is_of_model {
                messages::rejected(input, &model, error)
            } else {
                messages::api_error(&input.commands(), error)
            }
        });
        Self::new(&problem, details)
    }
}

fn with_input<T>(scene: &Scene, changes: &ChangeSet, then: impl FnOnce(&StatusInput) -> T) -> T {
    then(&StatusInput {
        application: &identity().application,
        namespace: &identity().namespace,
        juju: JUJU.get(),
        manager: &identity().manager(),
        errors: &scene.config.errors,
        gateway: &scene.gateway,
        plan: &scene.plan(),
        observed: &scene.observed,
        changes,
        rejected: &scene.rejected,
        wrote: scene.wrote,
    })
}

struct Section {
    title: &'static str,
    about: &'static str,
    entries: Vec<Entry>,
}

fn sections() -> Vec<Section> {
    vec![
        Section {
            title: "A model serves",
            about: "Requests are answered by what is configured.",
            entries: pods::serving(),
        },
        Section {
            title: "A model starts or changes",
            about: "No action is required. The previous version keeps serving until the new one is ready.",
            entries: pods::changing(),
        },
        Section {
            title: "Its pods do not start",
            about: "The cause in brackets is that of Kubernetes. Where a previous version keeps serving, the message ends with that.",
            entries: pods::failing(),
        },
        Section {
            title: "Its address",
            about: "The model may run, but no request reaches it.",
            entries: cluster::addresses(),
        },
        Section {
            title: "Names and prefixes of others",
            about: "Found before anything is written, so that no other model loses its requests.",
            entries: cluster::conflicts(),
        },
        Section {
            title: "The cluster",
            about: "Errors of the Kubernetes API. The charm retries at every hook, and within seconds while its watcher runs. One that \
                    concerns a single model begins with the model's name.",
            entries: cluster::errors(),
        },
        Section {
            title: "Options",
            about: "The message has the option, the rule, the command, and in brackets the value, more of the rule and an example. The \
                    previous version keeps serving. One message for each option; most have more than one rule.",
            entries: options::errors(),
        },
        Section {
            title: "Secrets of Juju",
            about: "Named by `image-pull-secret` and `storage-secret`.",
            entries: options::secrets(),
        },
        Section {
            title: "Several models in one application",
            about: "The status counts the models that serve and shows the worst problem. `juju run <unit> list-models` shows each model.",
            entries: pods::fleets(),
        },
        Section {
            title: "Removal",
            about: "In `juju debug-log`, as the unit is removed by then.",
            entries: cluster::removal(),
        },
    ]
}

fn page(sections: &[Section]) -> String {
    let mut text = "# Statuses\n\n\
        The messages of an application `iris` in a Juju model `edge`. The charm itself makes this page, from an example of each case: \
        `just docs`.\n\n\
        | status | means |\n|---|---|\n\
        | active | every model serves what is configured, or is stopped on purpose |\n\
        | waiting | recovers on its own; the message says what it waits for |\n\
        | blocked | action required; the message has the command to run |\n\n\
        A message says what is the case, then the command to run, then the cause in brackets. `…` in a command stands for a value of \
        yours.\n\n\
        `juju status` shows the first 117 bytes of a message. A command that does not fit is replaced by \
        `juju run iris/leader diagnose`, and so is one that deletes an object of others: that action prints the whole message, as on \
        this page, and so do `juju debug-log` and the action `list-models`. With long names it may be `juju debug-log` instead. On Juju 2.9 messages name `juju run-action … --wait` and \
        `juju relate`.\n"
        .to_owned();
    for section in sections {
        write!(text, "\n## {}\n\n{}\n\n", section.title, section.about).unwrap();
        for entry in &section.entries {
            let message = entry.message.replace('\n', " ");
            // A code span with a backtick in it has two around it.
            let quotes = if message.contains('`') { "``" } else { "`" };
            let state = entry.state.map_or("log", State::as_str);
            write!(text, "- **{state}** {quotes}{message}{quotes}").unwrap();
            match entry.details.as_str() {
                "" => text.push('\n'),
                details => writeln!(text, "  \n  {details}").unwrap(),
            }
        }
    }
    text
}

#[test]
fn statuses_page_matches_the_charm() {
    let page = page(&sections());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/statuses.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/reference/statuses.md is not up to date: just docs");
}

#[test]
fn every_message_in_source_is_documented() {
    let sections = sections();
    let messages: Vec<&str> = sections
        .iter()
        .flat_map(|section| &section.entries)
        .map(|entry| entry.message.as_str())
        .collect();
    let missing: Vec<String> = scan::sentences()
        .into_iter()
        .filter(|sentence| !messages.iter().any(|message| scan::says(message, sentence)))
        .collect();
    assert!(
        missing.is_empty(),
        "no example in src/status/tests/statuses/ brings these about: {missing:#?}"
    );
}

#[test]
fn every_blocked_status_names_a_command() {
    for entry in sections().iter().flat_map(|section| &section.entries) {
        let has_command = ["juju ", "kubectl ", "sudo "]
            .iter()
            .any(|program| entry.message.contains(program));
        assert!(
            entry.state != Some(State::Blocked) || has_command || entry.message.contains("invalid configuration"),
            "{} has no command",
            entry.message
        );
    }
}

#[test]
fn what_and_command_fit_into_juju_status() {
    const LONG_NAME: &str = "iris-of-the-assembly";
    assert_eq!(LONG_NAME.len(), 20);
    let mut too_long = Vec::new();
    for version in ["2.9.42", "3.6.1", "4.0.15"] {
        JUJU.set(JujuCli::of_version(Version::read(version).as_ref()));
        for entry in sections().iter().flat_map(|section| &section.entries) {
            let Some(mut problem) = entry.problem.clone() else {
                continue;
            };
            // The model is called as its application.
            problem.what = problem.what.replace("iris", LONG_NAME);
            problem.run = problem.run.map(|run| run.replace("iris", LONG_NAME));
            let commands = Commands {
                application: LONG_NAME,
                namespace: "edge",
                juju: JUJU.get(),
            };
            for count in [None, Some("12 of 20 serve")] {
                let line = problem.line(count, &commands);
                if problem.run.is_some() && line.head.len() > SHOWN_BYTES {
                    too_long.push(format!("{version}, {}: {}", line.head.len() - SHOWN_BYTES, line.head));
                }
            }
        }
    }
    assert!(too_long.is_empty(), "{too_long:#?}");
}

#[test]
fn placeholders_are_whole_values_of_options() {
    for entry in sections().iter().flat_map(|section| &section.entries) {
        let Some(run) = entry.problem.as_ref().and_then(|problem| problem.run.as_ref()) else {
            continue;
        };
        let words = run.split(' ').filter(|word| word.contains('…'));
        for word in words {
            let is_value = word.contains('=') && word.ends_with('…') && word.matches('…').count() == 1;
            assert!(is_value, "{run}");
        }
    }
}
