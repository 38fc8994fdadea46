//! What else a model's pods are to have, in the words of a Kubernetes pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::kubernetes::{apply_defaults, is_a, json};
use super::{Violation, nearest, type_name};

const EXAMPLE: &str = "{nodeSelector: {accelerator: gpu}}";

/// Fields of a pod for which an unknown word is likely meant.
const FIELDS: [&str; 17] = [
    "affinity",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostNetwork",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "volumes",
];

/// What options say of a container that a node of the model runs in, and where to say it.
const SET_BY_OPTIONS: [(&str, &str); 3] = [
    ("image", "image"),
    ("imagePullPolicy", "image-pull-policy"),
    ("resources", "resources"),
];

/// Part of a pod's spec, sound in itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodFields {
    /// All but the containers.
    pub general: Map<String, Json>,
    /// The containers: what those of the model are to have beside what options say, and others beside them.
    pub containers: Vec<Map<String, Json>>,
}

impl PodFields {
    /// The name of a container.
    #[must_use]
    pub fn name(container: &Map<String, Json>) -> &str {
        container.get("name").and_then(Json::as_str).unwrap_or_default()
    }

    /// What is wrong with it for a model whose nodes run in containers of these names.
    pub(crate) fn schema_violation(&self, nodes: &[&str]) -> Option<Violation> {
        (0..).zip(&self.containers).find_map(|(at, container)| {
            let name = Self::name(container);
            if !nodes.contains(&name) {
                // One beside the model's, and nothing else says what it runs.
                let rule = format!(
                    "containers[{at}] has no image, and is none of the model's, which are called {}",
                    nodes.join(", ")
                );
                return (!container.contains_key("image")).then(|| Violation::new(rule, EXAMPLE));
            }
            let said = SET_BY_OPTIONS.iter().find(|(field, _)| container.contains_key(*field));
            said.map(|(field, key)| {
                Violation::new(
                    format!("containers[{at}].{field} must not be set here: {key} says it"),
                    EXAMPLE,
                )
            })
        })
    }
}

/// Part of a pod's spec.
pub(crate) fn pod(value: &Value) -> Result<PodFields, Violation> {
    if !value.is_mapping() {
        let rule = format!("must be a YAML map, not {}", type_name(value));
        return Err(Violation::new(rule, EXAMPLE));
    }
    let mut whole = json(value, "", EXAMPLE)?;
    is_a::<PodSpec>(&whole, "", EXAMPLE).map_err(|violation| with_nearest(violation, &whole))?;
    apply_defaults(&mut whole);
    let mut general = match whole {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    let containers = match general.remove("containers") {
        Some(Json::Array(list)) => list,
        _ => Vec::new(),
    };
    let containers: Vec<Map<String, Json>> = containers
        .into_iter()
        .filter_map(|one| match one {
            Json::Object(map) => Some(map),
            _ => None,
        })
        .collect();
    let fields = PodFields { general, containers };
    names(&fields)?;
    volumes(&fields)?;
    Ok(fields)
}

/// Adds the field that was likely meant, where it is one of the pod itself.
fn with_nearest(violation: Violation, whole: &Json) -> Violation {
    let unknown = whole
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .find(|key| violation.rule.starts_with(&format!("{key} is nothing")));
    match unknown.and_then(|unknown| nearest(unknown, &FIELDS)) {
        Some(near) => Violation {
            rule: format!("{}; the nearest known is {near}", violation.rule),
            ..violation
        },
        None => violation,
    }
}

fn names(fields: &PodFields) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    for (at, container) in fields.containers.iter().enumerate() {
        let name = PodFields::name(container);
        let rule = if name.is_empty() {
            "is not set: which container is meant"
        } else if !seen.insert(name) {
            "is that of an earlier one too"
        } else {
            continue;
        };
        return Err(Violation::new(format!("containers[{at}].name {rule}"), EXAMPLE));
    }
    Ok(())
}

/// A volume that is mounted must be there: Kubernetes would refuse the pods, long after the SeldonDeployment was taken.
fn volumes(fields: &PodFields) -> Result<(), Violation> {
    let list = |map: &Map<String, Json>, key: &str| -> Vec<Json> {
        map.get(key).and_then(Json::as_array).cloned().unwrap_or_default()
    };
    let name = |one: &Json| one.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let known: BTreeSet<String> = list(&fields.general, "volumes").iter().map(name).collect();
    for (at, container) in fields.containers.iter().enumerate() {
        for (which, mount) in list(container, "volumeMounts").iter().enumerate() {
            let desired = name(mount);
            if !known.contains(&desired) {
                let rule = format!(
                    "containers[{at}].volumeMounts[{which}].name is {desired:?}, and volumes has none of that name"
                );
                return Err(Violation::new(rule, EXAMPLE));
            }
        }
    }
    Ok(())
}
