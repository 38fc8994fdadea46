//! What holds for whatever comes in, checked for each input of each target.

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
use seldon_model::plan::{self, Plan, Site};
use seldon_model::shell::JujuCli;
use seldon_model::status::{self, Report, StatusInput};
use serde_json::{Map, Value};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that an input may take, in bytes.
const MOST_MEMORY: usize = 64 * 1024 * 1024;

/// The most of a processor that an input may take. Not of the clock: the machine may have other things to do.
const MOST_TIME: Duration = Duration::from_secs(2);

/// Longest message of a status, in characters.
const LONGEST_MESSAGE: usize = 240;

/// A word that stands for a secret. Where a target puts it, it must not come out.
pub const SECRET: &str = "hunter2";

/// The application of all targets.
pub const APPLICATION: &str = "iris";

/// Does that, and sees that it takes no more memory and time than is right.
pub fn within_bounds(work: impl FnOnce()) {
    MEMORY.reset_peak_usage();
    let (before, began) = (MEMORY.current_usage(), ThreadTime::now());
    work();
    let (used, time) = (MEMORY.peak_usage().saturating_sub(before), began.elapsed());
    assert!(used <= MOST_MEMORY, "it took {used} bytes");
    assert!(time <= MOST_TIME, "it took {time:?}");
}

/// Options as `config-get` answers them.
pub fn options(pairs: impl IntoIterator<Item = (&'static str, String)>) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}

/// A gateway that is up.
pub fn gateway() -> RelatedGateway {
    let bag = [("gateway_name", "gate"), ("gateway_namespace", "edge")];
    let relation = juju_hooks::Relation {
        id: "gateway-info:1".to_owned(),
        application: "istio-pilot".to_owned(),
        bag: bag.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    RelatedGateway::read(&[relation], &[])
}

/// Goes the way from options and gateway to a status, on a cluster with that in it.
pub fn reconciled(options: &Map<String, Value>, gateway: RelatedGateway, observed: &Observed) -> Report {
    let config = config::parse(APPLICATION, options);
    sound(&config);
    let identity = identity();
    let site = Site {
        namespace: identity.namespace.clone(),
        application: identity.application.clone(),
        model_uuid: identity.model_uuid.clone(),
        gateway,
        tracing: None,
        owner: observed.owner.clone(),
    };
    let plan = plan::plan(&config, &site, observed);
    accounted(&config, &plan);
    let changes = changes::change_set(&plan, observed, &identity);
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
    told(report.status.state, &report.status.message);
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

/// Whose objects are ours.
pub fn identity() -> Identity {
    Identity {
        application: APPLICATION.to_owned(),
        model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".to_owned(),
        namespace: "edge".to_owned(),
    }
}

/// A status has one line, that ends where `juju status` cuts it.
pub fn told(_: State, message: &str) {
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{message:?}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(!message.trim().is_empty());
}

/// Faults can be read, and models that are sound do not share what must be their own.
fn sound(config: &Config) {
    for error in config.errors.iter().map(ConfigError::to_string) {
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    let mut names: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Each sound model is in the plan; where something is faulty, nothing is taken away.
fn accounted(config: &Config, plan: &Plan) {
    assert_eq!(plan.models.len(), config.models.len());
    assert_eq!(plan.prune, config.errors.is_empty());
    for planned in &plan.models {
        assert!(!plan.frozen.contains(&planned.model.name));
    }
}
