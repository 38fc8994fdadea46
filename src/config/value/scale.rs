//! Autoscaling and the disruption budget of a model's pods.

use k8s_openapi::api::autoscaling::v2::MetricSpec;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::kubernetes::{check_type, json};
use super::{Violation, untagged};
use crate::config::reader::Reader;
use crate::config::suggestion::unknown_key;

const EXAMPLE: &str = "{min: 1, max: 3, cpu: 80}";

const MOST_REPLICAS: u16 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscale {
    pub min: u16,
    pub max: u16,
    pub by: Scaler,
}

/// What determines the number of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scaler {
    /// Kubernetes' `HorizontalPodAutoscaler`.
    Load {
        /// The target CPU usage, in percent of what the pod's containers request.
        cpu: Option<u16>,
        /// The target memory usage, in percent of what the pod's containers request.
        memory: Option<u16>,
        /// Metrics in the form of autoscaling/v2.
        metrics: Vec<Json>,
    },
    /// KEDA, with its fields other than the bounds.
    Keda(Map<String, Json>),
}

/// The fields of a `ScaledObject` in a SeldonDeployment, other than the bounds (operator v1.17.1, `SeldonScaledObjectSpec`).
const KEDA_KEYS: [&str; 6] = [
    "triggers",
    "pollingInterval",
    "cooldownPeriod",
    "idleReplicaCount",
    "advanced",
    "fallback",
];

pub(crate) fn autoscale(value: &Value) -> Result<Autoscale, Violation> {
    let reader = Reader::new(value, &["min", "max", "cpu", "memory", "metrics", "keda"], EXAMPLE)?;
    let min = reader.number("min", 0..=MOST_REPLICAS)?.unwrap_or(1);
    let max = reader
        .number("max", 1..=MOST_REPLICAS)?
        .ok_or_else(|| reader.violation("max", "is not set"))?;
    if min > max {
        let rule = format!("min ({min}) is greater than max ({max})");
        return Err(Violation::new(rule, EXAMPLE));
    }
    let cpu = reader.number("cpu", 1..=1000)?;
    let memory = reader.number("memory", 1..=1000)?;
    let metrics = reader.raw("metrics").map(metrics).transpose()?.unwrap_or_default();
    let by_load = cpu.is_some() || memory.is_some() || !metrics.is_empty();
    let by = match (reader.raw("keda"), by_load) {
        (Some(_), true) => {
            return Err(reader.violation("keda", "cannot be combined with cpu, memory or metrics"));
        }
        (Some(value), false) => Scaler::Keda(keda(value)?),
        (None, true) => Scaler::Load { cpu, memory, metrics },
        (None, false) => {
            let rule = "must have cpu, memory, metrics or keda";
            return Err(Violation::new(rule, EXAMPLE));
        }
    };
    if min == 0 && matches!(by, Scaler::Load { .. }) {
        return Err(reader.violation("min", "must be at least 1 without keda"));
    }
    Ok(Autoscale { min, max, by })
}

fn metrics(value: &Value) -> Result<Vec<Json>, Violation> {
    const EXAMPLE: &str = "@autoscale.yaml";
    let Json::Array(list) = json(value, "metrics", EXAMPLE)? else {
        return Err(Violation::new("metrics: must be a list", EXAMPLE).with_detail("as in autoscaling/v2"));
    };
    for (index, metric) in list.iter().enumerate() {
        let location = format!("metrics[{index}]");
        check_type::<MetricSpec>(metric, &location, EXAMPLE)?;
        if metric.get("type").is_none() {
            return Err(Violation::new("is not set", EXAMPLE)
                .with_detail("such as Resource or Pods")
                .in_part(&format!("{location}.type")));
        }
    }
    Ok(list)
}

fn keda(value: &Value) -> Result<Map<String, Json>, Violation> {
    const EXAMPLE: &str = "@autoscale.yaml";
    let Json::Object(map) = json(value, "keda", EXAMPLE)? else {
        return Err(Violation::new("keda: must be a map with triggers", EXAMPLE));
    };
    if let Some(unknown) = map.keys().find(|key| !KEDA_KEYS.contains(&key.as_str())) {
        return Err(unknown_key(unknown, &KEDA_KEYS, EXAMPLE).in_part("keda"));
    }
    let triggers = map.get("triggers").and_then(Json::as_array);
    let Some(triggers) = triggers.filter(|triggers| !triggers.is_empty()) else {
        return Err(Violation::new("must be a list", EXAMPLE).in_part("keda.triggers"));
    };
    for (index, trigger) in triggers.iter().enumerate() {
        let kind = trigger.get("type").is_some_and(Json::is_string);
        let metadata = trigger.get("metadata").and_then(Json::as_object);
        let Some(metadata) = metadata.filter(|_| kind) else {
            return Err(
                Violation::new("must have type and metadata", EXAMPLE).in_part(&format!("keda.triggers[{index}]"))
            );
        };
        if let Some((key, _)) = metadata.iter().find(|(_, value)| !value.is_string()) {
            return Err(Violation::new("must be text, put it in quotes", EXAMPLE)
                .in_part(&format!("keda.triggers[{index}].metadata.{key}")));
        }
    }
    Ok(map)
}

/// How many of a model's pods may be unavailable at a time while a node is drained, as a number or a percentage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisruptionBudget {
    MinAvailable(Json),
    MaxUnavailable(Json),
}

pub(crate) fn disruption_budget(value: &Value) -> Result<DisruptionBudget, Violation> {
    const EXAMPLE: &str = "{max-unavailable: 1}";
    let reader = Reader::new(value, &["min-available", "max-unavailable"], EXAMPLE)?;
    let min = reader.yaml("min-available", amount)?;
    let max = reader.yaml("max-unavailable", amount)?;
    match (min, max) {
        (Some(min), None) => Ok(DisruptionBudget::MinAvailable(min)),
        (None, Some(max)) => Ok(DisruptionBudget::MaxUnavailable(max)),
        _ => {
            Err(Violation::new("must have min-available or max-unavailable", EXAMPLE)
                .with_detail("one of them, not both"))
        }
    }
}

fn amount(value: &Value) -> Result<Json, Violation> {
    let percent = |text: &str| {
        let number = text.strip_suffix('%')?;
        let plain = number.bytes().all(|b| b.is_ascii_digit());
        number.parse::<u8>().ok().filter(|number| plain && *number <= 100)
    };
    match untagged(value) {
        Value::Number(number) if number.as_u64().is_some_and(|number| number <= MOST_REPLICAS.into()) => {
            Ok(number.as_u64().into())
        }
        Value::String(text) if percent(text).is_some() => Ok(text.clone().into()),
        _ => Err(Violation::new("must be N or N%", "1").with_detail("N: a number of pods up to 100")),
    }
}
