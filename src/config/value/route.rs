//! The route to a model: prefix, hosts, gateway, timeout.

use std::fmt;

use k8s_openapi::jiff::SignedDuration;
use serde_yaml::Value;

use super::{Violation, scalar, type_name};
use crate::gateway::GatewayName;
use crate::gateway::hosts::{hosts_overlap, is_host};
use crate::gateway::prefix::Prefix;

/// A prefix that matches no request to another one, however a gateway normalizes paths.
pub(crate) fn prefix(text: &str) -> Result<Prefix, Violation> {
    Prefix::new(text).map_err(|rule| Violation::with_value(text, rule, "/model/iris/"))
}

const MOST_HOSTS: usize = 64;

/// Host names, as a list or with commas between them.
pub(crate) fn hosts(value: &Value) -> Result<Vec<String>, Violation> {
    const EXAMPLE: &str = "models.example.com";
    let hosts: Vec<String> = match value {
        Value::Sequence(list) => list
            .iter()
            .map(|host| scalar(host).ok_or_else(|| Violation::new("must be a list of hostnames", EXAMPLE)))
            .collect::<Result<_, _>>()?,
        Value::String(text) => text.split(',').map(|host| host.trim().to_owned()).collect(),
        other => {
            let rule = format!("must be a list of hostnames, not {}", type_name(other));
            return Err(Violation::new(rule, EXAMPLE));
        }
    };
    if hosts.is_empty() {
        return Err(Violation::new("must name a host, or * for all", EXAMPLE));
    }
    if hosts.len() > MOST_HOSTS {
        let rule = format!("has {} names, must be at most {MOST_HOSTS}", hosts.len());
        return Err(Violation::new(rule, EXAMPLE));
    }
    if let Some(invalid) = hosts.iter().find(|host| !is_host(host)) {
        return Err(
            Violation::with_value(invalid, "is not a valid hostname", EXAMPLE).with_detail("a name, *.domain or *")
        );
    }
    for (index, host) in hosts.iter().enumerate() {
        let rest: Vec<String> = hosts.iter().skip(index + 1).cloned().collect();
        if hosts_overlap(std::slice::from_ref(host), &rest) {
            return Err(
                Violation::with_value(host, "includes another host of the list", EXAMPLE)
                    .with_detail("Istio rejects such a list"),
            );
        }
    }
    Ok(hosts)
}

pub(crate) fn host(text: &str) -> Result<String, Violation> {
    let violation = |rule: &str| Err(Violation::with_value(text, rule, "iris.example.com"));
    if text.contains('*') {
        return violation("must be one hostname, without *");
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && is_host(name)
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return violation("must not have a port");
    }
    if !is_host(text) {
        return violation("is not a valid hostname");
    }
    Ok(text.to_owned())
}

/// A gateway as `namespace/name`.
pub(crate) fn gateway(text: &str) -> Result<GatewayName, Violation> {
    GatewayName::parse(text).ok_or_else(|| {
        Violation::with_value(
            text,
            "must be namespace/name of an Istio Gateway",
            "kubeflow/kubeflow-gateway",
        )
    })
}

/// At least one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    /// In seconds, the only form that every Istio reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            write!(f, "{whole}s")
        } else {
            write!(f, "{whole}.{}s", format!("{rest:03}").trim_end_matches('0'))
        }
    }
}

impl Milliseconds {
    /// In whole numbers with their units, as the Gateway API reads it.
    pub fn in_whole_numbers(self) -> String {
        let part = |amount: u64, unit: &str| {
            if amount == 0 {
                String::new()
            } else {
                format!("{amount}{unit}")
            }
        };
        part(self.0 / 1000, "s") + &part(self.0 % 1000, "ms")
    }
}

/// A duration with its unit: `500ms`, `30s`, `1.5s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Milliseconds, Violation> {
    /// In a millisecond.
    const NANOSECONDS: i32 = 1_000_000;
    const LONGEST: SignedDuration = SignedDuration::from_hours(24);
    let violation =
        || Violation::with_value(text, "must be a duration from 1ms to 24h", "30s").with_detail("units: ms, s, m, h");
    let duration: SignedDuration = text.parse().map_err(|_| violation())?;
    let is_whole = duration.subsec_nanos() % NANOSECONDS == 0;
    match u64::try_from(duration.as_millis()) {
        Ok(milliseconds @ 1..) if is_whole && duration <= LONGEST => Ok(Milliseconds(milliseconds)),
        _ => Err(violation()),
    }
}
