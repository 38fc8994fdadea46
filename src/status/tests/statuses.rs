//! docs/reference/statuses.md is made here: each message is drawn by the charm itself from an example of what it is about, and
//! no problem may be without an example.
//!
//! `UPDATE_DOCS=1 cargo test --lib statuses`, or `just docs`, writes it.

use std::fmt::Write as _;
use std::path::Path;

use super::{ChangeSet, JUJU, Scene, State};
use crate::shell::{Commands, JujuCli};
use crate::status::problem::{GatewayProblem, PodFailure, Rollout, Stalled};
use crate::status::{ApplicationProblem, Message, Problem, messages, model, retired};
use juju_hooks::Version;
use juju_hooks::status::SHOWN_BYTES;

mod cluster;
mod options;
mod pods;

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
    text: String,
    /// The text in parts, if it is about a problem.
    message: Option<Message>,
    subject: Option<Subject>,
    details: String,
}

/// The problem that a message is about.
#[derive(Debug)]
enum Subject {
    Application(ApplicationProblem),
    Model(Problem),
}

impl Entry {
    fn new(message: &Message, subject: Subject, details: &str) -> Self {
        Self {
            state: Some(message.state),
            text: message.to_string(),
            message: Some(message.clone()),
            subject: Some(subject),
            details: details.to_owned(),
        }
    }

    fn of_state(state: State, text: String, details: &str) -> Self {
        Self {
            state: Some(state),
            ..Self::in_log(text, details)
        }
    }

    fn in_log(text: String, details: &str) -> Self {
        Self {
            state: None,
            text,
            message: None,
            subject: None,
            details: details.to_owned(),
        }
    }

    /// The worst problem of a scene, or its status.
    fn from_scene(scene: &Scene, details: &str) -> Self {
        let report = scene.report();
        match report.problems.first() {
            Some(message) => Self::new(message, subject(scene, &scene.changes(), message), details),
            None => Self::of_state(report.status.state, report.status.message, details),
        }
    }

    /// The message of a scene that contains this text.
    fn with_text(scene: &Scene, text: &str, details: &str) -> Self {
        let report = scene.report();
        let mut messages = report.problems.iter();
        let message = messages.find(|message| message.to_string().contains(text));
        let message = message.unwrap_or_else(|| panic!("{text} is in none of {:#?}", report.problems));
        Self::new(message, subject(scene, &scene.changes(), message), details)
    }

    /// As `juju status` shows it, where that is not the text of the log.
    fn in_status(scene: &Scene, details: &str) -> Self {
        let status = scene.report().status;
        Self::of_state(status.state, status.message, details)
    }

    /// A problem of the only model of a scene.
    fn of_problem(scene: &Scene, problem: Problem, details: &str) -> Self {
        let planned = scene.plan().models.remove(0);
        let message = scene.with_input(&ChangeSet::default(), |input| {
            messages::of_model(input, &planned, &problem)
        });
        Self::new(&message, Subject::Model(problem), details)
    }

    fn of_application(problem: ApplicationProblem, details: &str) -> Self {
        let message = Scene::iris().with_input(&ChangeSet::default(), |input| {
            messages::of_application(&input.commands(), &problem)
        });
        Self::new(&message, Subject::Application(problem), details)
    }
}

/// The problem of a scene that has this message.
fn subject(scene: &Scene, changes: &ChangeSet, message: &Message) -> Subject {
    scene.with_input(changes, |input| {
        let errors = input.errors.iter().cloned().map(ApplicationProblem::Config);
        let mut of_application = errors.chain(retired(input));
        let commands = input.commands();
        let found = of_application.find(|problem| messages::of_application(&commands, problem) == *message);
        if let Some(problem) = found {
            return Subject::Application(problem);
        }
        let mut of_models = input
            .plan
            .models
            .iter()
            .filter_map(|planned| Some((planned, model::problem(input, planned)?)));
        let found = of_models.find(|(planned, problem)| messages::of_model(input, planned, problem) == *message);
        Subject::Model(found.unwrap_or_else(|| panic!("no problem has {message}")).1)
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
            let text_of_entry = entry.text.replace('\n', " ");
            // A code span with a backtick in it has two around it.
            let quotes = if text_of_entry.contains('`') { "``" } else { "`" };
            let state = entry.state.map_or("log", State::as_str);
            write!(text, "- **{state}** {quotes}{text_of_entry}{quotes}").unwrap();
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

/// The variants of an enum, each with its name. One that is left out does not compile.
macro_rules! variants {
    ($of:ty { $($arm:pat),+ $(,)? }) => {{
        let _: fn(&$of) = |value| match value { $($arm => {})+ };
        [$((stringify!($arm), (|value| matches!(value, $arm)) as fn(&$of) -> bool)),+]
    }};
}

#[test]
fn every_problem_is_documented() {
    let sections = sections();
    let entries = || sections.iter().flat_map(|section| &section.entries);
    let application: Vec<&ApplicationProblem> = entries()
        .filter_map(|entry| match &entry.subject {
            Some(Subject::Application(problem)) => Some(problem),
            _ => None,
        })
        .collect();
    let of_models: Vec<&Problem> = entries()
        .filter_map(|entry| match &entry.subject {
            Some(Subject::Model(problem)) => Some(problem),
            _ => None,
        })
        .collect();
    let mut missing = Vec::new();
    let mut require = |name: &str, is_there: bool| {
        if !is_there {
            missing.push(name.to_owned());
        }
    };
    for (name, is) in variants!(ApplicationProblem {
        ApplicationProblem::Config(_), ApplicationProblem::Api(_), ApplicationProblem::SeldonIsDeploying,
        ApplicationProblem::HookTool(_), ApplicationProblem::NotDeleted { .. },
        ApplicationProblem::KeptUntilReplaced { .. },
    }) {
        require(name, application.iter().any(|problem| is(problem)));
    }
    // Those that hold an error or a conflict have an example of each, by `examples`.
    for (name, is) in variants!(Problem {
        Problem::Conflict(_), Problem::Rejected(_), Problem::Rollout(_), Problem::Gateway(_), Problem::Pod { .. },
        Problem::Stalled(_), Problem::NotAutoscaled, Problem::Unsupported(_),
    }) {
        require(name, of_models.iter().any(|problem| is(problem)));
    }
    for (name, is) in variants!(Rollout {
        Rollout::PartlyApplied, Rollout::NotApplied, Rollout::NoSeldonDeployment, Rollout::BeingDeleted, Rollout::NoPods,
        Rollout::Stopping, Rollout::Starting, Rollout::RollingOut, Rollout::PredictorStarting(_),
        Rollout::PredictorRollingOut(_),
    }) {
        let is = |problem: &&Problem| matches!(problem, Problem::Rollout(rollout) if is(rollout));
        require(name, of_models.iter().any(is));
    }
    for (name, is) in variants!(GatewayProblem {
        GatewayProblem::None, GatewayProblem::NotNamed(_), GatewayProblem::Several(_),
        GatewayProblem::OptionAndRelation { .. }, GatewayProblem::Missing { provider: Some(_), .. },
        GatewayProblem::Missing { provider: None, .. }, GatewayProblem::Down { .. },
        GatewayProblem::HostsNotServed { .. }, GatewayProblem::ClosedToNamespace(_), GatewayProblem::RoutePending(_),
        GatewayProblem::RouteNotServedYet(_), GatewayProblem::RouteNotServed(_),
        GatewayProblem::RouteRejected { .. }, GatewayProblem::UnresolvedRefs { .. },
        GatewayProblem::AccessNotEnforcedYet(_), GatewayProblem::AccessNotEnforced(_),
        GatewayProblem::AccessWithoutPods(_), GatewayProblem::AccessAmbiguous { .. }, GatewayProblem::AccessUnsupported(_),
    }) {
        let is = |problem: &&Problem| matches!(problem, Problem::Gateway(gateway) if is(gateway));
        require(name, of_models.iter().any(is));
    }
    for (name, is) in variants!(PodFailure {
        PodFailure::NoRoom { .. }, PodFailure::NotScheduled { .. },
        PodFailure::ImageNotPulled { wants_credentials: true, .. },
        PodFailure::ImageNotPulled { wants_credentials: false, .. }, PodFailure::ContainerNotCreated { .. },
        PodFailure::FilesNotFetched { .. }, PodFailure::OutOfMemory { .. }, PodFailure::Crash { .. },
    }) {
        let is = |problem: &&Problem| matches!(problem, Problem::Pod { failure, .. } if is(failure));
        require(name, of_models.iter().any(is));
    }
    for (name, is) in variants!(Stalled {
        Stalled::PodsNotCreated { .. }, Stalled::SeldonReportsFailed { .. }, Stalled::NoProgress { .. },
        Stalled::NoRollout { is_autoscaled: true, .. }, Stalled::NoRollout { is_autoscaled: false, .. },
    }) {
        let is = |problem: &&Problem| matches!(problem, Problem::Stalled(stalled) if is(stalled));
        require(name, of_models.iter().any(is));
    }
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
            .any(|program| entry.text.contains(program));
        assert!(
            entry.state != Some(State::Blocked) || has_command || entry.text.contains("invalid configuration"),
            "{} has no command",
            entry.text
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
            let Some(mut message) = entry.message.clone() else {
                continue;
            };
            // The model is called as its application.
            message.what = message.what.replace("iris", LONG_NAME);
            message.run = message.run.map(|run| run.replace("iris", LONG_NAME));
            let commands = Commands {
                application: LONG_NAME,
                namespace: "edge",
                juju: JUJU.get(),
            };
            for count in [None, Some("12 of 20 serve")] {
                let line = message.line(count, &commands);
                if message.run.is_some() && line.head.len() > SHOWN_BYTES {
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
        let Some(run) = entry.message.as_ref().and_then(|message| message.run.as_ref()) else {
            continue;
        };
        let words = run.split(' ').filter(|word| word.contains('…'));
        for word in words {
            let is_value = word.contains('=') && word.ends_with('…') && word.matches('…').count() == 1;
            assert!(is_value, "{run}");
        }
    }
}
