//! docs/reference/statuses.md is made here: each message is drawn by the charm itself from an example of what it is about, and
//! none in the sources may be missing.
//!
//! `UPDATE_DOCS=1 cargo test --lib statuses`, or `just docs`, writes it.

use std::fmt::Write as _;
use std::path::Path;

use super::{ChangeSet, Scene, State, StatusInput, evaluate, identity};
use crate::api_error::ApiError;
use crate::changes::Conflict;
use crate::config::Model;
use crate::status::Problem;

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
    /// None for what is told in the log only.
    state: Option<State>,
    /// As it is in the log; in `juju status` it may be shorter.
    message: String,
    behind: String,
}

impl Entry {
    fn new(problem: &Problem, behind: &str) -> Self {
        Self::of_state(problem.state, problem.to_string(), behind)
    }

    fn of_state(state: State, message: String, behind: &str) -> Self {
        Self {
            state: Some(state),
            message,
            behind: behind.to_owned(),
        }
    }

    fn of_model((state, message): (State, String), behind: &str) -> Self {
        Self::of_state(state, message, behind)
    }

    /// What is told in the log only.
    fn in_log(message: String, behind: &str) -> Self {
        Self {
            state: None,
            message,
            behind: behind.to_owned(),
        }
    }

    /// What a scene comes to.
    fn from_scene(scene: &Scene, behind: &str) -> Self {
        let report = scene.report();
        let message = report.problems.first().unwrap_or(&report.status.message);
        Self::of_state(report.status.state, message.clone(), behind)
    }

    /// That one of its troubles in which these words are.
    fn of_problem(scene: &Scene, words: &str, behind: &str) -> Self {
        let report = scene.report();
        let mut problems = report.problems.iter();
        let problem = problems.find(|problem| problem.contains(words));
        let problem = problem.unwrap_or_else(|| panic!("{words} is in none of {:#?}", report.problems));
        Self::of_state(report.status.state, problem.clone(), behind)
    }

    /// The same with the words of `juju status`, where those of the log are others.
    fn in_status(scene: &Scene, behind: &str) -> Self {
        let status = scene.report().status;
        Self::of_state(status.state, status.message, behind)
    }

    /// What is told of a model that something stands in the way of.
    fn of_conflict(scene: &Scene, conflict: Conflict, behind: &str) -> Self {
        let mut changes = ChangeSet::default();
        changes.conflicts.insert("iris".into(), conflict);
        Self::with_steps(scene, &changes, behind)
    }

    /// What a scene comes to with these steps before it, and not those that follow from it.
    fn with_steps(scene: &Scene, changes: &ChangeSet, behind: &str) -> Self {
        let report = with_input(scene, changes, evaluate);
        Self::of_state(report.status.state, report.problems[0].clone(), behind)
    }

    /// What is said of a scene's one model.
    fn said(scene: &Scene, say: impl FnOnce(&StatusInput, &Model) -> Option<Problem>, behind: &str) -> Option<Self> {
        let model = scene.plan().models.remove(0).model;
        let said = with_input(scene, &ChangeSet::default(), |input| say(input, &model))?;
        Some(Self::new(&said, behind))
    }

    /// What is told of all models at once.
    fn of_api_error(error: &ApiError, behind: &str) -> Self {
        Self::new(&crate::status::api_error("iris", "edge", error), behind)
    }
}

/// Does something with what a verdict on a scene is drawn from.
fn with_input<T>(scene: &Scene, changes: &ChangeSet, and: impl FnOnce(&StatusInput) -> T) -> T {
    and(&StatusInput {
        application: &identity().application,
        namespace: &identity().namespace,
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
            about: "Requests are answered by what was asked for.",
            entries: pods::serving(),
        },
        Section {
            title: "A model starts or changes",
            about: "Nothing is to be done. What served before answers until the new one does.",
            entries: pods::changing(),
        },
        Section {
            title: "Its pods do not come up",
            about: "Kubernetes says why, and the message repeats it. What served before goes on, and the message says so.",
            entries: pods::failing(),
        },
        Section {
            title: "Its address",
            about: "The model may run, but no request reaches it.",
            entries: cluster::addresses(),
        },
        Section {
            title: "Names and prefixes that somebody else has",
            about: "Found before anything is written, so that nobody's requests are taken.",
            entries: cluster::conflicts(),
        },
        Section {
            title: "The cluster",
            about: "What the Kubernetes API answers. The charm tries again at every hook, and within seconds where it watches.",
            entries: cluster::errors(),
        },
        Section {
            title: "Options",
            about: "The message has the option, the rule, the command, and in brackets the value, more of the rule and an example. The \
                    previous version keeps serving. One message for each option; most have more than one rule.",
            entries: options::errors(),
        },
        Section {
            title: "Secrets of Juju's",
            about: "Named by `image-pull-secret` and `storage-secret`.",
            entries: options::secrets(),
        },
        Section {
            title: "Several models in one application",
            about: "The line counts those that serve and tells the gravest trouble. `juju run <unit> list-models` tells of each.",
            entries: pods::fleets(),
        },
        Section {
            title: "Removal",
            about: "In `juju debug-log`, as the unit is gone by then.",
            entries: cluster::removal(),
        },
    ]
}

fn page(sections: &[Section]) -> String {
    let mut text = "# Statuses\n\n\
        What `juju status` says of an application `iris` in a model `edge`, and what is behind it. Made by the charm itself from an \
        example of each case, by `just docs`.\n\n\
        | status | means |\n|---|---|\n\
        | active | every model serves what was asked for, or is stopped on purpose |\n\
        | waiting | it comes right by itself |\n\
        | blocked | a person must act; the message says what to type |\n\n\
        A message has a line's length, 240 characters; a longer one is cut in its middle. The whole of it is in \
        `juju debug-log`. `…` in a command stands for a value of yours.\n"
        .to_owned();
    for section in sections {
        write!(text, "\n## {}\n\n{}\n\n", section.title, section.about).unwrap();
        for entry in &section.entries {
            let message = entry.message.replace('\n', " ");
            let fence = if message.contains('`') { "``" } else { "`" };
            let state = entry.state.map_or("log", State::as_str);
            write!(text, "- **{state}** {fence}{message}{fence}").unwrap();
            match entry.behind.as_str() {
                "" => text.push('\n'),
                behind => writeln!(text, "  \n  {behind}").unwrap(),
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
    assert!(
        found == page,
        "docs/reference/statuses.md is not what the charm says: just docs"
    );
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
        let names_an_endpoint = ["juju ", "kubectl ", "sudo "].iter().any(|endpoint| {
            // What only the API server or Seldon knows has its way in the text beside it.
            entry.message.contains(endpoint) || entry.behind.contains(endpoint)
        });
        assert!(
            entry.state != Some(State::Blocked) || names_an_endpoint,
            "{} names no way out",
            entry.message
        );
    }
}
