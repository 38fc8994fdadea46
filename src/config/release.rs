//! A version beside the one that serves: a canary, which gets some of the requests, and a shadow, which gets copies.

use std::collections::BTreeMap;
use std::fmt;

use super::resolver::OptionResolver;
use super::value::{Protocol, Violation};
use super::yaml::scalars;
use super::{ServerOptions, value};
use crate::api::seldon::grpc;
use serde_yaml::Value;

/// The words of either that say what serves it; what one does not say is as the model's own.
const OVERRIDABLE_KEYS: [&str; 17] = [
    "graph",
    "image",
    "implementation",
    "model-uri",
    "parameters",
    "env",
    "resources",
    "engine-resources",
    "replicas",
    "autoscale",
    "disruption-budget",
    "image-pull-policy",
    "image-pull-secret",
    "storage-secret",
    "pod",
    "logger",
    "tracing",
];

/// What gets some of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// What serves it.
    pub server: ServerOptions,
    /// How many of the requests, in percent.
    pub weight: u8,
    /// Requests with these headers go to it in any case.
    pub headers: BTreeMap<String, String>,
}

/// What gets copies of requests, its answers being thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// What serves it.
    pub server: ServerOptions,
    /// Copies of how many of the requests, in percent.
    pub weight: u8,
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let source = &self.server;
        match (self.weight, headers.as_slice()) {
            (0, []) => write!(f, "{source} as a canary without requests"),
            (0, headers) => write!(f, "{source} where {}", headers.join(" and ")),
            (weight, []) => write!(f, "{source} to {weight}%"),
            (weight, headers) => write!(f, "{source} to {weight}% and where {}", headers.join(" and ")),
        }
    }
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copies to {}", self.server)
    }
}

impl OptionResolver<'_> {
    /// Reads `canary`.
    pub fn canary(&mut self, protocol: Option<Protocol>) -> Option<Canary> {
        let known = [&OVERRIDABLE_KEYS[..], &["weight", "match"]].concat();
        let (mut within, _) = self.nested("canary", &known)?;
        let canary = Canary {
            server: within.server(protocol, true),
            weight: within.percent("weight").unwrap_or(0),
            headers: within.yaml("match", matched).unwrap_or_default(),
        };
        self.merge_errors(within);
        Some(canary)
    }

    /// Reads `shadow`.
    pub fn shadow(&mut self, protocol: Option<Protocol>) -> Option<Shadow> {
        let known = [&OVERRIDABLE_KEYS[..], &["weight"]].concat();
        let (mut within, _) = self.nested("shadow", &known)?;
        let shadow = Shadow {
            server: within.server(protocol, true),
            weight: within.percent("weight").unwrap_or(100),
        };
        if shadow.weight == 0 {
            within.error(
                "weight",
                Violation::new("is 0, so that it gets no copies; unset shadow instead", "100"),
            );
        }
        self.merge_errors(within);
        Some(shadow)
    }

    fn percent(&mut self, option: &'static str) -> Option<u8> {
        self.number(option, 0..=100).and_then(|weight| weight.try_into().ok())
    }
}

/// Headers by name, each with the value that it must have. Istio wants names in small letters.
fn matched(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    const EXAMPLE: &str = "{x-canary: \"yes\"}";
    let headers = scalars(value, EXAMPLE)?;
    for (name, value) in &headers {
        let valid = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !valid {
            let rule = format!(
                "{:?} is no name of a header: small letters, digits, - and _",
                value::name_in(name)
            );
            return Err(Violation::new(rule, EXAMPLE));
        }
        if grpc::HEADERS.contains(&name.as_str()) {
            let rule = format!("{name} is what calls over gRPC are told apart by; take another header");
            return Err(Violation::new(rule, EXAMPLE));
        }
        if value.is_empty() || value.contains(|c: char| c.is_control()) {
            return Err(Violation::new(format!("{name} has no value to be equal to"), EXAMPLE));
        }
    }
    Ok(headers)
}
