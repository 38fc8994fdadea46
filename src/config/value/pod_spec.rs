//! Further fields of a model's pods, as in a Kubernetes pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::kubernetes::{apply_defaults, check_type, json, unknown_key};
use super::{Violation, either, nearest, not_a_map};

const EXAMPLE: &str = "{nodeSelector: {accelerator: gpu}}";

/// The fields of a pod that an unknown key is compared with.
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

/// Fields of a model's own container, with the option that sets each.
const SET_BY_OPTIONS: [(&str, &str); 3] = [
    ("image", "image"),
    ("imagePullPolicy", "image-pull-policy"),
    ("resources", "resources"),
];

/// A valid part of a pod's spec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodFields {
    /// All fields but the containers.
    pub general: Map<String, Json>,
    /// Further fields of the model's own containers, and additional containers.
    pub containers: Vec<Map<String, Json>>,
}

impl PodFields {
    pub fn name(container: &Map<String, Json>) -> &str {
        container.get("name").and_then(Json::as_str).unwrap_or_default()
    }

    /// Checks it for a model whose nodes run in containers of these names.
    pub(crate) fn schema_violation(&self, nodes: &[&str]) -> Option<Violation> {
        (0..).zip(&self.containers).find_map(|(index, container)| {
            let name = Self::name(container);
            if !nodes.contains(&name) {
                // An additional container, whose image no option sets.
                let violation = || {
                    Violation::new("must have an image", EXAMPLE)
                        .with_detail(format!("the model's own containers are {}", nodes.join(", ")))
                        .in_part(&format!("containers[{index}]"))
                };
                return (!container.contains_key("image")).then(violation);
            }
            let field = SET_BY_OPTIONS.iter().find(|(field, _)| container.contains_key(*field));
            field.map(|(field, option)| {
                Violation::new(format!("use option {option} instead"), EXAMPLE)
                    .in_part(&format!("containers[{index}].{field}"))
            })
        })
    }
}

pub(crate) fn pod(value: &Value) -> Result<PodFields, Violation> {
    if !value.is_mapping() {
        return Err(not_a_map(value, EXAMPLE));
    }
    let mut spec = json(value, "", EXAMPLE)?;
    check_type::<PodSpec>(&spec, "", EXAMPLE).map_err(|violation| with_nearest(violation, &spec))?;
    apply_defaults(&mut spec);
    let mut general = match spec {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    let containers = match general.remove("containers") {
        Some(Json::Array(list)) => list,
        _ => Vec::new(),
    };
    let containers: Vec<Map<String, Json>> = containers
        .into_iter()
        .filter_map(|container| match container {
            Json::Object(map) => Some(map),
            _ => None,
        })
        .collect();
    let fields = PodFields { general, containers };
    names(&fields)?;
    volumes(&fields)?;
    match toleration_violation(fields.general.get("tolerations")) {
        Some((location, rule)) => Err(Violation::new(rule, EXAMPLE).in_part(&location)),
        None => Ok(fields),
    }
}

/// Where a list of tolerations has a word that Kubernetes rejects when the pods are made, and the rule.
pub(crate) fn toleration_violation(tolerations: Option<&Json>) -> Option<(String, String)> {
    const WORDS: [(&str, &[&str]); 2] = [
        ("operator", &["Exists", "Equal"]),
        ("effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    ];
    let tolerations = tolerations.and_then(Json::as_array);
    (0..)
        .zip(tolerations.into_iter().flatten())
        .find_map(|(index, toleration)| {
            WORDS.iter().find_map(|(key, known)| {
                let word = toleration.get(*key)?.as_str().filter(|word| !word.is_empty())?;
                let location = format!("tolerations[{index}].{key}");
                (!known.contains(&word)).then(|| (location, format!("must be {}", either(known))))
            })
        })
}

/// Suggests the nearest field for an unknown one of the pod itself.
fn with_nearest(violation: Violation, spec: &Json) -> Violation {
    let mut keys = spec.as_object().into_iter().flat_map(Map::keys);
    let unknown = keys.find(|key| violation == unknown_key(key, EXAMPLE));
    match unknown.and_then(|unknown| nearest(unknown, &FIELDS)) {
        Some(nearest) => Violation::new(format!("{}, did you mean `{nearest}`?", violation.rule), EXAMPLE),
        None => violation,
    }
}

fn names(fields: &PodFields) -> Result<(), Violation> {
    let mut seen = BTreeSet::new();
    for (index, container) in fields.containers.iter().enumerate() {
        let name = PodFields::name(container);
        let rule = if name.is_empty() {
            "is not set"
        } else if !seen.insert(name) {
            "is used twice"
        } else {
            continue;
        };
        return Err(Violation::new(rule, EXAMPLE).in_part(&format!("containers[{index}].name")));
    }
    Ok(())
}

/// A volume that is mounted must exist: Kubernetes would reject the pods, long after it accepted the SeldonDeployment.
fn volumes(fields: &PodFields) -> Result<(), Violation> {
    let list = |map: &Map<String, Json>, key: &str| -> Vec<Json> {
        map.get(key).and_then(Json::as_array).cloned().unwrap_or_default()
    };
    let name = |part: &Json| part.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
    let known: BTreeSet<String> = list(&fields.general, "volumes").iter().map(name).collect();
    for (index, container) in fields.containers.iter().enumerate() {
        for (which, mount) in list(container, "volumeMounts").iter().enumerate() {
            let desired = name(mount);
            if !known.contains(&desired) {
                return Err(Violation::with_value(desired, "not in volumes", EXAMPLE)
                    .in_part(&format!("containers[{index}].volumeMounts[{which}].name")));
            }
        }
    }
    Ok(())
}
