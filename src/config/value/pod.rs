//! A model's container: environment, resources, labels.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_yaml::Value;

use super::{Violation, name_in, not_a_map};
use crate::config::decimal::decimal;
use crate::config::suggestion::unknown_key;
use crate::config::yaml::{scalars, texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    #[default]
    IfNotPresent,
    Always,
    Never,
}

impl PullPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

pub(crate) fn pull_policy(text: &str) -> Result<PullPolicy, Violation> {
    [PullPolicy::IfNotPresent, PullPolicy::Always, PullPolicy::Never]
        .into_iter()
        .find(|policy| policy.as_str() == text)
        .ok_or_else(|| {
            Violation::with_value(text, "is not a valid pull policy", "IfNotPresent")
                .with_detail("expected IfNotPresent, Always or Never")
        })
}

/// Environment variables. A message never repeats a value: it may be a secret.
pub(crate) fn env(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    const EXAMPLE: &str = "{LOG_LEVEL: INFO}";
    let env = texts(value, EXAMPLE)?;
    let valid = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name != "."
            && !name.starts_with("..")
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    match env.keys().find(|name| !valid(name)) {
        Some(invalid) => Err(
            Violation::new(format!("{:?} is not a valid variable name", name_in(invalid)), EXAMPLE)
                .with_detail("letters, digits and - . _, not starting with a digit"),
        ),
        // A process gets each variable as text that ends with it.
        None => match env.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(Violation::new("must have no NUL character", EXAMPLE).in_part(name_in(name))),
            None => Ok(env),
        },
    }
}

/// Amounts by resource name, such as `cpu` to `50m`.
pub type Amounts = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    pub requests: Amounts,
    pub limits: Amounts,
}

/// Kubernetes' own form: `{requests: {cpu, memory}, limits: {...}}`.
pub(crate) fn resources(value: &Value) -> Result<Resources, Violation> {
    const EXAMPLE: &str = "{requests: {cpu: 100m, memory: 128Mi}}";
    let Value::Mapping(map) = value else {
        return Err(not_a_map(value, EXAMPLE));
    };
    let mut resources = Resources::default();
    for (part, amounts) in map {
        let part = part.as_str().unwrap_or_default();
        let amounts = || parse_amounts(part, amounts);
        match part {
            "requests" => resources.requests = amounts()?,
            "limits" => resources.limits = amounts()?,
            other => return Err(unknown_key(other, &["requests", "limits"], EXAMPLE)),
        }
    }
    // Kubernetes shares no devices (k8s.io/kubernetes, pkg/apis/core/validation, `ValidateResourceRequirements`).
    for (name, request) in resources.requests.iter().filter(|(name, _)| name.contains('/')) {
        if resources.limits.get(name) != Some(request) {
            let example = format!("{{limits: {{{name}: {request}}}}}");
            return Err(
                Violation::new("must be in limits, with the same number", example).in_part(&format!("requests.{name}"))
            );
        }
    }
    for (name, limit) in &resources.limits {
        let request = resources.requests.get(name).and_then(|r| quantity(r));
        if request > quantity(limit) {
            return Err(
                Violation::with_value(limit, "is less than the request", EXAMPLE).in_part(&format!("limits.{name}"))
            );
        }
    }
    Ok(resources)
}

fn parse_amounts(part: &str, value: &Value) -> Result<Amounts, Violation> {
    let amounts = scalars(value, "{requests: {cpu: 100m, memory: 128Mi}}")?;
    for (name, amount) in &amounts {
        let known = ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str())
            || name.contains('/')
            || name.starts_with("hugepages-");
        if !known {
            let rule = format!("{part}: unknown resource `{}`", name_in(name));
            return Err(Violation::new(rule, "{requests: {cpu: 100m, memory: 128Mi}}")
                .with_detail("expected cpu, memory, ephemeral-storage, or one with a domain such as nvidia.com/gpu"));
        }
        if name.contains('/') && !(is_key(name) && amount.bytes().all(|b| b.is_ascii_digit())) {
            return Err(
                Violation::with_value(amount, "must be a whole number", "{limits: {nvidia.com/gpu: 1}}")
                    .in_part(&format!("{part}.{name}")),
            );
        }
        let rule = if quantity(amount).is_none() {
            "is not a valid quantity"
        } else if is_fraction_of_a_byte(name, amount) {
            "is a fraction of a byte"
        } else {
            continue;
        };
        let example = format!("{{{part}: {{{name}: {}}}}}", likely_amount(name, amount));
        return Err(Violation::with_value(amount, rule, example)
            .with_detail("a number with one of m k M G T Ki Mi Gi Ti")
            .in_part(&format!("{part}.{name}")));
    }
    Ok(amounts)
}

/// Kubernetes takes `512m` of memory for half a byte.
fn is_fraction_of_a_byte(name: &str, amount: &str) -> bool {
    !name.contains('/') && name != "cpu" && amount.ends_with(['m', 'u', 'n'])
}

/// What was probably meant: `512M` by `512mb`.
fn likely_amount(name: &str, amount: &str) -> String {
    if name == "cpu" {
        return "100m".to_owned();
    }
    let digits = amount.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = amount.get(digits.len()..).unwrap_or_default().to_ascii_lowercase();
    let unit = match suffix.trim_end_matches('b') {
        "k" => "k",
        "ki" => "Ki",
        "m" => "M",
        "mi" => "Mi",
        "g" => "G",
        "gi" => "Gi",
        "t" => "T",
        "ti" => "Ti",
        _ => "",
    };
    let likely = format!("{digits}{unit}");
    let is_valid = !unit.is_empty() && quantity(&likely).is_some();
    if is_valid { likely } else { "128Mi".to_owned() }
}

/// A quantity (`k8s.io/apimachinery`, `api/resource/quantity.go`) as a number; `None` if it is not valid.
fn quantity(text: &str) -> Option<Decimal> {
    /// A unit, and its number of decimal places if it is less than one.
    const SUFFIXES: [(&str, i64, u32); 15] = [
        ("Ki", 1 << 10, 0),
        ("Mi", 1 << 20, 0),
        ("Gi", 1 << 30, 0),
        ("Ti", 1 << 40, 0),
        ("Pi", 1 << 50, 0),
        ("Ei", 1 << 60, 0),
        ("n", 1, 9),
        ("u", 1, 6),
        ("m", 1, 3),
        ("k", 1_000, 0),
        ("M", 1_000_000, 0),
        ("G", 1_000_000_000, 0),
        ("T", 1_000_000_000_000, 0),
        ("P", 1_000_000_000_000_000, 0),
        ("E", 1_000_000_000_000_000_000, 0),
    ];
    let (number, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit, places)| Some((text.strip_suffix(suffix)?, Decimal::new(*unit, *places))))
        .unwrap_or((text, Decimal::ONE));
    // With an exponent instead of a suffix, as `1e3`.
    let digits = number.replacen(['e', 'E'], "", usize::from(number.len() == text.len()));
    let plain = number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && number.len() <= 20
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    decimal(number).filter(|_| plain)?.checked_mul(unit)
}

/// Keys that Seldon sets itself on the pods (operator v1.17.1, `controllers/labels.go`), or Juju rewrites.
const RESERVED: [&str; 5] = ["app", "fluentd", "version", "seldon-app", "seldon-deployment-id"];
const RESERVED_BEGINNINGS: [&str; 7] = [
    "seldon-model/",
    "seldon.io/",
    "seldon-app-svc",
    "app.kubernetes.io/managed-by",
    // Juju finds its own objects by these (juju/juju, caas/kubernetes/provider/constants).
    "app.kubernetes.io/name",
    "controller.juju.is/",
    "model.juju.is/",
];

/// Annotations that change which Services and Deployments Seldon makes of a model.
const CHARMS_OWN: [&str; 2] = ["seldon.io/svc-name", "seldon.io/engine-separate-pod"];

/// Labels for the objects and pods of a model.
pub(crate) fn labels(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    const EXAMPLE: &str = "{team: vision}";
    let labels = texts(value, EXAMPLE)?;
    for (key, value) in &labels {
        if !is_key(key) {
            return Err(invalid_key(key, EXAMPLE));
        }
        let is_reserved =
            RESERVED.contains(&key.as_str()) || RESERVED_BEGINNINGS.iter().any(|beginning| key.starts_with(beginning));
        if is_reserved {
            return Err(Violation::new(format!("key `{key}` is reserved"), EXAMPLE)
                .with_detail("set by Seldon Core, Juju or this charm"));
        }
        if !(value.is_empty() || is_name(value)) {
            return Err(Violation::new("is not a valid label value", EXAMPLE)
                .with_detail("at most 63 letters, digits and - . _, with a letter or digit at both ends")
                .in_part(key));
        }
    }
    Ok(labels)
}

/// Labels of a manifest's own metadata: only those that this charm sets are reserved.
pub(crate) fn labels_as_written(labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Violation> {
    match labels.keys().find(|key| key.starts_with("seldon-model/")) {
        Some(key) => Err(Violation::new("is set by this charm, remove it", "@manifest.yaml")
            .in_part(&format!("metadata.labels.{key}"))),
        None => Ok(labels),
    }
}

/// Annotations for the pods of a model.
pub(crate) fn annotations(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    const EXAMPLE: &str = "{seldon.io/rest-timeout: \"5000\"}";
    let annotations = texts(value, EXAMPLE)?;
    for (key, value) in &annotations {
        if !is_key(key) {
            return Err(invalid_key(key, EXAMPLE));
        }
        if key.starts_with("seldon-model/") || CHARMS_OWN.contains(&key.as_str()) {
            return Err(Violation::new(format!("key `{key}` is reserved"), EXAMPLE)
                .with_detail("this charm finds a model's pods and Services by it"));
        }
        // Operator v1.17.1, executor/k8s/annotation.go: it splits the pod's annotations at every "=".
        if value.contains('=') {
            return Err(Violation::new("value must not contain =", EXAMPLE)
                .with_detail("Seldon's executor would lose all its settings")
                .in_part(key));
        }
    }
    Ok(annotations)
}

fn invalid_key(key: &str, example: &str) -> Violation {
    Violation::new(format!("{:?} is not a valid key", name_in(key)), example)
        .with_detail("a name of at most 63 characters, optionally with a domain and / in front")
}

/// A key of labels and annotations: `name` or `domain/name`.
fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => {
            let part = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            };
            domain.len() <= 253 && domain.split('.').all(part) && is_name(name)
        }
        None => is_name(key),
    }
}

fn is_name(name: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && end(name.chars().next())
        && end(name.chars().next_back())
}
