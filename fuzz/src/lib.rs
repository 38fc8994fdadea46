//! Invariants that hold for any input, checked by every target.

use std::collections::BTreeMap;
use std::time::Duration;

use cpu_time::ThreadTime;
use juju_hooks::State;
use peak_alloc::PeakAlloc;
use seldon_model::changes;
use seldon_model::config::{self, Config, ConfigError};
use seldon_model::identity::Identity;
use seldon_model::inputs::gateway::RelatedGateway;
use seldon_model::observed::Observed;
use seldon_model::plan::{self, Environment, Plan};
use seldon_model::shell::JujuCli;
use seldon_model::status::{self, Report, StatusInput};
use serde_json::{Map, Value};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The memory limit for one input, in bytes.
const MOST_MEMORY: usize = 64 * 1024 * 1024;

/// The processor time limit for one input. Not wall-clock time, because the machine may be busy.
const MOST_TIME: Duration = Duration::from_secs(2);

/// In characters.
const LONGEST_MESSAGE: usize = 240;

/// Stands for a secret. It must not appear in any output.
pub const SECRET: &str = "hunter2";

pub const APPLICATION: &str = "iris";

/// Runs `work` and checks its memory and time.
pub fn within_bounds(work: impl FnOnce()) {
    MEMORY.reset_peak_usage();
    let (before, began) = (MEMORY.current_usage(), ThreadTime::now());
    work();
    let (used, time) = (MEMORY.peak_usage().saturating_sub(before), began.elapsed());
    assert!(used <= MOST_MEMORY, "it took {used} bytes");
    assert!(time <= MOST_TIME, "it took {time:?}");
}

/// Options as `config-get` returns them.
pub fn options(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}

pub fn gateway() -> RelatedGateway {
    let bag = [("gateway_name", "gate"), ("gateway_namespace", "edge")];
    let relation = juju_hooks::Relation {
        id: "gateway-info:1".to_owned(),
        application: "istio-pilot".to_owned(),
        bag: bag.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    RelatedGateway::read(&[relation], &[])
}

/// Evaluates the status for options, a gateway and an observed cluster.
pub fn evaluate(options: &Map<String, Value>, gateway: RelatedGateway, observed: &Observed) -> Report {
    let config = config::parse(APPLICATION, options);
    check_config(&config);
    let identity = identity();
    let site = Environment {
        identity: identity.clone(),
        gateway,
        tracing: None,
        owner: observed.owner.clone(),
    };
    let plan = plan::plan(&config, &site, observed).unwrap();
    check_plan(&config, &plan);
    let changes = changes::change_set(&plan, observed, &identity).unwrap();
    let report = status::evaluate(&StatusInput {
        application: APPLICATION,
        namespace: &identity.namespace,
        juju: JujuCli::default(),
        manager: &identity.manager(),
        errors: &config.errors,
        gateway: &site.gateway,
        plan: &plan,
        observed,
        changes: &changes,
        rejected: &BTreeMap::new(),
        wrote: false,
    });
    check_status(&report.status.message);
    if report.status.state == State::Active {
        assert_eq!(config.errors, [], "active with faulty options");
        let due = plan
            .models
            .iter()
            .any(|planned| changes.has_pending(&planned.model.name));
        assert!(!due && changes.deletes.is_empty(), "active with {changes:?} to be done");
    }
    report
}

pub fn identity() -> Identity {
    Identity {
        application: APPLICATION.to_owned(),
        model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".to_owned(),
        namespace: "edge".to_owned(),
    }
}

/// Checks that a status is one line that Juju can show.
pub fn check_status(message: &str) {
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{message:?}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(!message.trim().is_empty());
}

/// Checks that errors are readable and that model names are unique.
fn check_config(config: &Config) {
    for error in config.errors.iter().map(ConfigError::to_string) {
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    let mut names: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Checks that each valid model is planned, and that nothing is pruned while an option is invalid.
fn check_plan(config: &Config, plan: &Plan) {
    assert_eq!(plan.models.len(), config.models.len());
    assert_eq!(plan.prune, config.errors.is_empty());
    for planned in &plan.models {
        assert!(!plan.frozen.contains(&planned.model.name));
    }
}
