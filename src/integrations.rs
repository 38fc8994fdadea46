//! What Juju's observability stack is told of the models: where their metrics are, alert rules on them, and a dashboard.
//!
//! All of it is in the application's bag of a relation, which only the leader writes, and only where it says something new.
//! The interfaces are `prometheus_scrape` v0 of `canonical/charm-relation-interfaces`, and `grafana_dashboard` of
//! `canonical/grafana-k8s-operator`, `lib/charms/grafana_k8s/v0/grafana_dashboard.py`.

pub mod alerts;
pub mod dashboard;
pub mod metrics;
pub mod security_log;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tracing::{debug, info};

use crate::inputs::{DASHBOARD, Inputs, METRICS};
use crate::reconcile::snapshot::Snapshot;
use juju_hooks::{HookContext, HookTools, ToolError};

/// What the charm is called, in the label `juju_charm` and among dashboards.
pub const CHARM: &str = "seldon-model";

/// What a relation's bag is to say.
pub type Bag = BTreeMap<&'static str, String>;

fn has_relation(inputs: &Inputs, endpoint: &str) -> bool {
    inputs.juju.related.contains(endpoint)
}

/// Tells what is asked for. It is the leader's to do.
///
/// # Errors
/// When a hook tool fails.
pub async fn publish(
    tools: HookTools,
    context: &HookContext,
    inputs: &Inputs,
    snapshot: &mut Snapshot,
) -> Result<(), ToolError> {
    if has_relation(inputs, DASHBOARD) {
        write(tools, context, inputs, DASHBOARD, &dashboard::bag())?;
    }
    // Without the pods something would be missing, and what was said before is better than that.
    if has_relation(inputs, METRICS) && ensure_pods(snapshot).await {
        let jobs = metrics::scrape_jobs(&snapshot.observed, &snapshot.identity);
        write(tools, context, inputs, METRICS, &metrics_bag(context, jobs))?;
    }
    Ok(())
}

/// What the bag of a `prometheus_scrape` relation is to say.
#[must_use]
pub fn metrics_bag(context: &HookContext, jobs: Vec<Value>) -> Bag {
    let metadata = json!({
        "model": context.model_name,
        "model_uuid": context.model_uuid,
        "application": context.application,
        "unit": context.unit,
        "charm_name": CHARM,
    });
    let rules = alerts::rules(context, !jobs.is_empty());
    [
        ("alert_rules", rules),
        ("scrape_jobs", Value::from(jobs)),
        ("scrape_metadata", metadata),
    ]
    .map(|(key, value)| (key, value.to_string()))
    .into()
}

async fn ensure_pods(snapshot: &mut Snapshot) -> bool {
    if !snapshot.observed.pods.is_empty() || snapshot.observed.deployments.is_empty() {
        return true;
    }
    let found = snapshot.cluster.observe_pods(&mut snapshot.observed).await;
    if let Err(error) = &found {
        debug!("pods cannot be read, so {METRICS} is told nothing new: {error}");
    }
    found.is_ok()
}

/// Says what is new, in each relation of an endpoint that is not gone.
fn write(tools: HookTools, context: &HookContext, inputs: &Inputs, endpoint: &str, bag: &Bag) -> Result<(), ToolError> {
    for id in inputs.juju.relation_ids.get(endpoint).into_iter().flatten() {
        let Some(said) = tools.relation_get(id, &context.application)? else {
            debug!("{id} is listed, but gone");
            continue;
        };
        let news: BTreeMap<&str, &str> = bag
            .iter()
            .filter(|(key, text)| said.get(**key) != Some(*text))
            .map(|(key, text)| (*key, text.as_str()))
            .collect();
        if !news.is_empty() {
            tools.relation_set_file(id, &news)?;
            let keys: Vec<&str> = news.into_keys().collect();
            info!("told {id} anew of its {}", keys.join(", "));
        }
    }
    Ok(())
}
