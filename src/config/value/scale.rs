//! How many pods there are where that is not said once and for all.

use k8s_openapi::api::autoscaling::v2::MetricSpec;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::kubernetes::{is_a, json};
use super::{Violation, nearest};
use crate::config::reader::Reader;

const EXAMPLE: &str = "{min: 1, max: 3, cpu: 80}";

/// Most pods of a model.
const MOST: u16 = 100;

/// Who decides how many pods there are, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscale {
    /// The least.
    pub min: u16,
    /// The most.
    pub max: u16,
    /// By what.
    pub by: Scaler,
}

/// What the number of pods follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scaler {
    /// Kubernetes' `HorizontalPodAutoscaler`.
    Load {
        /// Processor use that is aimed at, in percent of what the pod's containers request.
        cpu: Option<u16>,
        /// The same of memory.
        memory: Option<u16>,
        /// Metrics in the words of autoscaling/v2.
        metrics: Vec<Json>,
    },
    /// KEDA, with what it is told beside the bounds.
    Keda(Map<String, Json>),
}

/// What KEDA takes of a `ScaledObject` in a SeldonDeployment beside the bounds (operator v1.17.1, `SeldonScaledObjectSpec`).
const KEDA_KEYS: [&str; 6] = [
    "triggers",
    "pollingInterval",
    "cooldownPeriod",
    "idleReplicaCount",
    "advanced",
    "fallback",
];

/// Bounds, and what decides within them.
pub(crate) fn autoscale(value: &Value) -> Result<Autoscale, Violation> {
    let read = Reader::of(value, &["min", "max", "cpu", "memory", "metrics", "keda"], EXAMPLE)?;
    let min = read.number("min", 0..=MOST)?.unwrap_or(1);
    let max = read
        .number("max", 1..=MOST)?
        .ok_or_else(|| read.refuse("max", "is not set: how many pods there may be at most"))?;
    if min > max {
        return Err(read.refuse("min", &format!("is {min}, more than max, which is {max}")));
    }
    let cpu = read.number("cpu", 1..=1000)?;
    let memory = read.number("memory", 1..=1000)?;
    let metrics = read.raw("metrics").map(metrics).transpose()?.unwrap_or_default();
    let of_load = cpu.is_some() || memory.is_some() || !metrics.is_empty();
    let by = match (read.raw("keda"), of_load) {
        (Some(_), true) => return Err(read.refuse("keda", "must not stand beside cpu, memory or metrics")),
        (Some(value), false) => Scaler::Keda(keda(value)?),
        (None, true) => Scaler::Load { cpu, memory, metrics },
        (None, false) => {
            let rule = "says nothing that the number of pods could follow: cpu, memory, metrics or keda";
            return Err(Violation::new(rule, EXAMPLE));
        }
    };
    if min == 0 && matches!(by, Scaler::Load { .. }) {
        return Err(read.refuse("min", "must be 1 or more: only with keda Kubernetes scales to none"));
    }
    Ok(Autoscale { min, max, by })
}

fn metrics(value: &Value) -> Result<Vec<Json>, Violation> {
    const EXAMPLE: &str = "@autoscale.yaml";
    let Json::Array(list) = json(value, "metrics", EXAMPLE)? else {
        return Err(Violation::new("metrics must be a list, as in autoscaling/v2", EXAMPLE));
    };
    for (at, metric) in list.iter().enumerate() {
        let location = format!("metrics[{at}]");
        is_a::<MetricSpec>(metric, &location, EXAMPLE)?;
        if metric.get("type").is_none() {
            return Err(Violation::new(
                format!("{location}.type is not set, such as Resource or Pods"),
                EXAMPLE,
            ));
        }
    }
    Ok(list)
}

fn keda(value: &Value) -> Result<Map<String, Json>, Violation> {
    const EXAMPLE: &str = "@autoscale.yaml";
    let refuse = |rule: &str| Violation::new(rule, EXAMPLE);
    let Json::Object(map) = json(value, "keda", EXAMPLE)? else {
        return Err(refuse("keda must be a map, with triggers in it"));
    };
    if let Some(unknown) = map.keys().find(|key| !KEDA_KEYS.contains(&key.as_str())) {
        let near = nearest(unknown, &KEDA_KEYS).map_or_else(
            || format!("; it takes {}", KEDA_KEYS.join(", ")),
            |near| format!("; the nearest known is {near}"),
        );
        return Err(refuse(&format!(
            "keda.{unknown} is nothing that Seldon hands to KEDA{near}"
        )));
    }
    let triggers = map.get("triggers").and_then(Json::as_array);
    let Some(triggers) = triggers.filter(|triggers| !triggers.is_empty()) else {
        return Err(refuse(
            "keda.triggers must be a list of what the number of pods follows",
        ));
    };
    for (at, trigger) in triggers.iter().enumerate() {
        let kind = trigger.get("type").is_some_and(Json::is_string);
        let metadata = trigger.get("metadata").and_then(Json::as_object);
        let Some(metadata) = metadata.filter(|_| kind) else {
            return Err(refuse(&format!("keda.triggers[{at}] must have type and metadata")));
        };
        if let Some((key, _)) = metadata.iter().find(|(_, value)| !value.is_string()) {
            return Err(refuse(&format!(
                "keda.triggers[{at}].metadata.{key} must be text: put it in quotes"
            )));
        }
    }
    Ok(map)
}

/// How many of a model's pods may be away at a time, while a node is emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisruptionBudget {
    /// So many stay, a number or a part in percent.
    MinAvailable(Json),
    /// So many may go.
    MaxUnavailable(Json),
}

/// One of the two, as a number of pods or in percent.
pub(crate) fn disruption_budget(value: &Value) -> Result<DisruptionBudget, Violation> {
    const EXAMPLE: &str = "{max-unavailable: 1}";
    let read = Reader::of(value, &["min-available", "max-unavailable"], EXAMPLE)?;
    let min = read.yaml("min-available", amount)?;
    let max = read.yaml("max-unavailable", amount)?;
    match (min, max) {
        (Some(min), None) => Ok(DisruptionBudget::MinAvailable(min)),
        (None, Some(max)) => Ok(DisruptionBudget::MaxUnavailable(max)),
        _ => Err(Violation::new(
            "must say one of min-available and max-unavailable",
            EXAMPLE,
        )),
    }
}

fn amount(value: &Value) -> Result<Json, Violation> {
    let percent = |text: &str| {
        let number = text.strip_suffix('%')?;
        let plain = number.bytes().all(|b| b.is_ascii_digit());
        number.parse::<u8>().ok().filter(|number| plain && *number <= 100)
    };
    match value {
        Value::Number(number) if number.as_u64().is_some_and(|number| number <= MOST.into()) => {
            Ok(number.as_u64().into())
        }
        Value::String(text) if percent(text).is_some() => Ok(text.clone().into()),
        _ => Err(Violation::new(
            "must be a number of pods, up to 100, or a part of them such as \"50%\"",
            "1",
        )),
    }
}
