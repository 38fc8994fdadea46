//! What Juju's observability stack is told of the models: where their metrics are, alert rules on them, and a dashboard.
//!
//! All of it is in the application's bag of a relation, which only the leader writes, and only where it says something new.
//! The interfaces are `prometheus_scrape` v0 of `canonical/charm-relation-interfaces`, and `grafana_dashboard` of
//! `canonical/grafana-k8s-operator`, `lib/charms/grafana_k8s/v0/grafana_dashboard.py`.

pub mod alerts;
pub mod dashboard;
pub mod metrics;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tracing::{debug, info};

use crate::asked::{Asked, DASHBOARD, METRICS};
use crate::juju::{HookTools, Invocation, ToolError};
use crate::look::Look;

/// What the charm is called, in the label `juju_charm` and among dashboards.
pub const CHARM: &str = "seldon-model";

/// What a relation's bag is to say.
pub type Bag = BTreeMap<&'static str, String>;

/// Whether anybody wants to be told.
#[must_use]
pub fn is_related(asked: &Asked) -> bool {
    has(asked, METRICS) || has(asked, DASHBOARD)
}

fn has(asked: &Asked, endpoint: &str) -> bool {
    asked.told.related.contains(endpoint)
}

/// Tells what is asked for. It is the leader's to do.
///
/// # Errors
/// When a hook tool fails.
pub async fn tell(tools: HookTools, invocation: &Invocation, asked: &Asked, look: &mut Look) -> Result<(), ToolError> {
    if has(asked, DASHBOARD) {
        say(tools, invocation, asked, DASHBOARD, &dashboard::bag())?;
    }
    // Without the pods something would be missing, and what was said before is better than that.
    if has(asked, METRICS) && knows_pods(look).await {
        let jobs = metrics::scrape_jobs(&look.observed, &look.identity);
        say(tools, invocation, asked, METRICS, &metrics_bag(invocation, jobs))?;
    }
    Ok(())
}

/// What the bag of a `prometheus_scrape` relation is to say.
#[must_use]
pub fn metrics_bag(invocation: &Invocation, jobs: Vec<Value>) -> Bag {
    let metadata = json!({
        "model": invocation.model_name,
        "model_uuid": invocation.model_uuid,
        "application": invocation.application,
        "unit": invocation.unit,
        "charm_name": CHARM,
    });
    let rules = alerts::rules(invocation, !jobs.is_empty());
    [
        ("alert_rules", rules),
        ("scrape_jobs", Value::from(jobs)),
        ("scrape_metadata", metadata),
    ]
    .map(|(key, value)| (key, value.to_string()))
    .into()
}

async fn knows_pods(look: &mut Look) -> bool {
    if !look.observed.pods.is_empty() || look.observed.deployments.is_empty() {
        return true;
    }
    let found = look.cluster.observe_pods(&mut look.observed).await;
    if let Err(refusal) = &found {
        debug!("pods cannot be read, so {METRICS} is told nothing new: {refusal}");
    }
    found.is_ok()
}

/// Says what is new, in each relation of an endpoint that is not gone.
fn say(tools: HookTools, invocation: &Invocation, asked: &Asked, endpoint: &str, bag: &Bag) -> Result<(), ToolError> {
    for id in asked.told.relation_ids.get(endpoint).into_iter().flatten() {
        let Some(said) = tools.application_bag(id, &invocation.application)? else {
            debug!("{id} is listed, but gone");
            continue;
        };
        let news: BTreeMap<&str, &str> = bag
            .iter()
            .filter(|(key, text)| said.get(**key) != Some(*text))
            .map(|(key, text)| (*key, text.as_str()))
            .collect();
        if !news.is_empty() {
            tools.say_all_in_relation(id, &news)?;
            let keys: Vec<&str> = news.into_keys().collect();
            info!("told {id} anew of its {}", keys.join(", "));
        }
    }
    Ok(())
}
