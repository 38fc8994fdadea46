//! A second version of a model: a canary, which gets a share of the requests, or a shadow, which gets copies of them.

use std::collections::BTreeMap;
use std::fmt;

use super::options::{self, Scope};
use super::resolver::OptionResolver;
use super::value::{Protocol, Violation};
use super::yaml::texts;
use super::{ServerOptions, value};
use crate::api::seldon::grpc;
use serde_yaml::Value;

/// A version that gets a share of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    pub server: ServerOptions,
    /// Its share of the requests, in percent.
    pub weight: u8,
    /// Requests with these headers always go to it.
    pub headers: BTreeMap<String, String>,
}

/// A version that gets copies of requests; its answers are discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    pub server: ServerOptions,
    /// The share of requests that are copied, in percent.
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
    pub fn canary(&mut self, protocol: Option<Protocol>) -> Option<Canary> {
        let mut known = options::names(Scope::Predictor);
        known.extend(["weight", "match"]);
        let mut nested = self.nested("canary", &known)?;
        let canary = Canary {
            server: nested.server(protocol, true),
            weight: nested.percent("weight").unwrap_or(0),
            headers: nested.yaml("match", match_headers).unwrap_or_default(),
        };
        self.merge_errors(nested);
        Some(canary)
    }

    pub fn shadow(&mut self, protocol: Option<Protocol>) -> Option<Shadow> {
        let mut known = options::names(Scope::Predictor);
        known.push("weight");
        let mut nested = self.nested("shadow", &known)?;
        let shadow = Shadow {
            server: nested.server(protocol, true),
            weight: nested.percent("weight").unwrap_or(100),
        };
        if shadow.weight == 0 {
            nested.error(
                "weight",
                Violation::new("must be at least 1", "100").with_detail("0 copies nothing: unset shadow instead"),
            );
        }
        self.merge_errors(nested);
        Some(shadow)
    }

    fn percent(&mut self, option: &'static str) -> Option<u8> {
        self.number(option, 0..=100).and_then(|weight| weight.try_into().ok())
    }
}

/// Headers by name, each with the value that it must have. Istio requires lowercase names.
fn match_headers(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    const EXAMPLE: &str = "{x-canary: \"yes\"}";
    let headers = texts(value, EXAMPLE)?;
    for (name, value) in &headers {
        let valid = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !valid {
            let rule = format!("{:?} is not a valid header name", value::name_in(name));
            return Err(Violation::new(rule, EXAMPLE).with_detail("lowercase letters, digits, - and _"));
        }
        if grpc::HEADERS.contains(&name.as_str()) {
            let rule = format!("header {name} is reserved for gRPC calls");
            return Err(Violation::new(rule, EXAMPLE));
        }
        if value.is_empty() || value.contains(|c: char| c.is_control()) {
            return Err(Violation::new("must have a value", EXAMPLE).in_part(name));
        }
    }
    Ok(headers)
}
