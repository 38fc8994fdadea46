//! What the models publish to Juju's observability stack: scrape jobs, alert rules and a dashboard.
//!
//! All of it is in the application databag of a relation, which only the leader writes, and only if it changed. For metrics each unit
//! also writes its address and name into its own databag.
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
use juju_hooks::{Event, HookContext, HookTools, ToolError};

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

/// The keys of a unit's databag in a `prometheus_scrape` relation (canonical/prometheus-k8s-operator,
/// `lib/charms/prometheus_k8s/v0/prometheus_scrape.py`: `_set_unit_ip`). The third is empty without an
/// ingress in front of the unit, and Juju keeps no key with an empty value.
const UNIT_ADDRESS: &str = "prometheus_scrape_unit_address";
const UNIT_NAME: &str = "prometheus_scrape_unit_name";
const UNIT_PATH: &str = "prometheus_scrape_unit_path";

/// Writes what changed of this unit's own databags. Any unit may call this.
pub fn publish_unit(tools: HookTools, context: &HookContext, inputs: &Inputs) -> Result<(), ToolError> {
    if !has_relation(inputs, METRICS) || !may_change_unit_bag(&context.event) {
        return Ok(());
    }
    for id in inputs.juju.relation_ids.get(METRICS).into_iter().flatten() {
        let Some(current) = tools.relation_get_unit(id, &context.unit)? else {
            debug!("relation {id} is listed, but does not exist");
            continue;
        };
        let Some(address) = tools.network_get_bind_address(METRICS, id)? else {
            debug!("the unit has no address yet, so relation {id} keeps its content");
            continue;
        };
        let bag = [
            (UNIT_ADDRESS, address.as_str()),
            (UNIT_NAME, &context.unit),
            (UNIT_PATH, ""),
        ];
        let changed: BTreeMap<&str, &str> = bag
            .into_iter()
            .filter(|(key, text)| current.get(*key).map_or("", String::as_str) != *text)
            .collect();
        if !changed.is_empty() {
            tools.relation_set_unit(id, &changed)?;
            let keys: Vec<&str> = changed.into_keys().collect();
            info!("published {} to relation {id}", keys.join(", "));
        }
    }
    Ok(())
}

/// Whether the unit's address may have changed or a relation be new. Juju runs config-changed for every new address
/// (juju/juju, internal/worker/uniter/resolver.go: `AddressesHash`), so other hooks save the hook tools.
fn may_change_unit_bag(event: &Event) -> bool {
    let Event::Hook(name) = event else {
        return false;
    };
    let relation_event = name.strip_prefix(METRICS);
    ["config-changed", "upgrade-charm"].contains(&name.as_str())
        || relation_event.is_some_and(|event| event.starts_with("-relation-"))
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
