//! What the models publish to Juju's observability stack: scrape jobs, alert rules and a dashboard.
//!
//! All of it is in the application databag of a relation, which only the leader writes, and only if it changed.
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

/// The charm's name, in the label `juju_charm` and among dashboards.
pub const CHARM: &str = "seldon-model";

/// The content of an application databag.
pub type Bag = BTreeMap<&'static str, String>;

fn has_relation(inputs: &Inputs, endpoint: &str) -> bool {
    inputs.juju.related.contains(endpoint)
}

/// Only the leader may call this.
pub async fn publish(
    tools: HookTools,
    context: &HookContext,
    inputs: &Inputs,
    snapshot: &mut Snapshot,
) -> Result<(), ToolError> {
    if has_relation(inputs, DASHBOARD) {
        write(tools, context, inputs, DASHBOARD, &dashboard::bag())?;
    }
    // Without the pods some targets would be missing; the previous content is better.
    if has_relation(inputs, METRICS) && ensure_pods(snapshot).await {
        let jobs = metrics::scrape_jobs(&snapshot.observed, &snapshot.identity);
        write(tools, context, inputs, METRICS, &metrics_bag(context, jobs))?;
    }
    Ok(())
}

/// The databag of a `prometheus_scrape` relation.
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
    let observed = snapshot.cluster.observe_pods(&mut snapshot.observed).await;
    if let Err(error) = &observed {
        debug!("failed to list pods, so {METRICS} keeps its content: {error}");
    }
    observed.is_ok()
}

/// Writes the values that changed, to each relation of an endpoint that still exists.
fn write(tools: HookTools, context: &HookContext, inputs: &Inputs, endpoint: &str, bag: &Bag) -> Result<(), ToolError> {
    for id in inputs.juju.relation_ids.get(endpoint).into_iter().flatten() {
        let Some(current) = tools.relation_get(id, &context.application)? else {
            debug!("relation {id} is listed, but does not exist");
            continue;
        };
        let changed: BTreeMap<&str, &str> = bag
            .iter()
            .filter(|(key, text)| current.get(**key) != Some(*text))
            .map(|(key, text)| (*key, text.as_str()))
            .collect();
        if !changed.is_empty() {
            tools.relation_set_file(id, &changed)?;
            let keys: Vec<&str> = changed.into_keys().collect();
            info!("published {} to relation {id}", keys.join(", "));
        }
    }
    Ok(())
}
