//! The values of options: parsed here once, valid from then on.

mod access;
mod header_format;
mod headers;
pub(crate) mod kubernetes;
mod parameters;
mod pod;
mod pod_spec;
mod route;
mod scale;
mod secret;
mod server;
mod telemetry;

use std::ops::RangeInclusive;

use serde_yaml::Value;

pub(crate) use access::access;
pub use access::{Access, Keys};
pub use header_format::COMMANDS as HEADER_COMMANDS;
pub(crate) use headers::headers;
pub use headers::{HeaderChanges, Headers};
pub use parameters::Parameter;
pub(crate) use parameters::{PARAMETER_TYPES, parameter_rule, parameters, with_type};
pub use pod::{Amounts, PullPolicy, Resources};
pub(crate) use pod::{annotations, env, labels, labels_as_written, pull_policy, resources};
pub use pod_spec::PodFields;
pub(crate) use pod_spec::{pod, toleration_violation};
pub use route::Milliseconds;
pub(crate) use route::{duration, gateway, host, hosts, prefix};
pub use scale::{Autoscale, DisruptionBudget, Scaler};
pub(crate) use scale::{autoscale, disruption_budget};
pub(crate) use secret::secret;
pub use secret::{SecretRef, SecretUri};
pub use server::{Image, Implementation, Protocol};
pub(crate) use server::{
    PROTOCOLS, has_credentials, image, implementation, model_uri, node_implementation, protocol, server_protocols,
    servers,
};
pub use telemetry::{Collector, Logger, Topic, Tracing};
pub(crate) use telemetry::{logger, tracing, url};

/// A rule that a value violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The value as written; omitted where it is long or may be a secret.
    pub value: Option<String>,
    /// The rule in a few words, read behind the name of the option: `juju status` has room for no more.
    pub rule: String,
    /// The rest of the rule, for the end of the message; may be empty.
    pub detail: String,
    /// A valid value; may be empty.
    pub example: String,
}

impl Violation {
    pub(super) fn new(rule: impl Into<String>, example: impl Into<String>) -> Self {
        Self {
            value: None,
            rule: rule.into(),
            detail: String::new(),
            example: example.into(),
        }
    }

    pub(super) fn with_value(value: impl Into<String>, rule: impl Into<String>, example: impl Into<String>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::new(rule, example)
        }
    }

    pub(super) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }

    /// The same violation of a part of the value, such as `kafka.broker`; an empty location is the whole value.
    pub(super) fn in_part(self, location: &str) -> Self {
        Self {
            rule: with_location(location, &self.rule),
            ..self
        }
    }
}

/// A rule behind the part of a value that it applies to.
pub(super) fn with_location(location: &str, rule: &str) -> String {
    if location.is_empty() {
        rule.to_owned()
    } else {
        format!("{location}: {rule}")
    }
}

/// `a, b or c`.
pub(crate) fn either(known: &[&str]) -> String {
    match known {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A whole number within a range.
pub(super) fn number(value: &Value, range: RangeInclusive<u16>) -> Result<u16, Violation> {
    let rule = format!("must be a whole number from {} to {}", range.start(), range.end());
    let example = "1";
    match untagged(value) {
        Value::Number(number) => number
            .as_u64()
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| range.contains(n))
            .ok_or_else(|| Violation::with_value(number.to_string(), rule, example)),
        other => Err(Violation::new(rule, example).with_detail(format!("not {}", type_name(other)))),
    }
}

/// A value must be a map.
pub(super) fn not_a_map(value: &Value, example: &str) -> Violation {
    Violation::new(format!("must be a YAML map, not {}", type_name(value)), example)
}

/// The value of a scalar, whichever form it was typed in.
pub(super) fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => &tagged.value,
        other => other,
    }
}

/// A scalar as it was typed; `None` for a list, a map or nothing.
pub(super) fn as_typed(value: &Value) -> Option<String> {
    match value {
        Value::Tagged(tagged) => tagged.tag.to_string().strip_prefix('!').map(str::to_owned),
        other => scalar(other),
    }
}

/// A scalar as text; `None` for a list, a map or nothing, and for what was not typed in its usual form.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// Stands for a key that a message does not repeat.
pub(super) const HIDDEN_KEY: &str = "…";
/// Longest key that a message repeats, in bytes.
const LONGEST_KEY: usize = 40;

/// The part of a key that is safe to repeat: `PASSWORD=secret` is a slip for `PASSWORD: secret`. What does not look like
/// a key may be a secret that was pasted in the wrong place.
pub(super) fn name_in(key: &str) -> &str {
    let name = key.split(['=', ':', ' ']).next().unwrap_or_default();
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    if name.len() <= LONGEST_KEY && name.bytes().all(is_key) {
        name
    } else {
        HIDDEN_KEY
    }
}

/// The type of a value, as YAML's users call it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match untagged(value) {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
        Value::Tagged(_) => "a tagged value",
    }
}

/// The known key nearest to an unknown one, if any is near.
pub(super) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    const FAR: usize = 3;
    // A key much longer than any known one is near to none, and costly to compare.
    const LONGEST: usize = 64;
    if key.len() > LONGEST {
        return None;
    }
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= FAR && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}
