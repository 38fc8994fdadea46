//! How requests reach a model: prefix, hosts, gateway, times.

use std::fmt;

use serde_yaml::Value;

use super::{Violation, scalar, type_name};

/// A path prefix such as `/model/iris/`: it begins and ends with a slash and is not the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix without its last slash.
    #[must_use]
    pub fn bare(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    /// Whether one of the two is equal to, above or below the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.overlaps_path(&other.0)
    }

    /// Whether a path is the prefix, with or without its last slash, or below it.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        path == self.bare() || path.starts_with(&self.0)
    }

    /// For a comparison with one whose case does not count.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        Self(self.0.to_lowercase())
    }

    /// The same for a prefix that somebody else wrote, perhaps without a slash at its end.
    #[must_use]
    pub fn overlaps_path(&self, other: &str) -> bool {
        self.0.starts_with(other) || other.starts_with(self.0.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A prefix that takes no request of another, however a gateway normalises paths.
pub(crate) fn prefix(text: &str) -> Result<Prefix, Violation> {
    const LONGEST: usize = 256;
    let example = "/model/iris/";
    let refuse = |rule: &str| Err(Violation::with_value(text, rule, example));
    if text == "/" {
        return refuse("is every path of the gateway; a model needs one of its own");
    }
    if !text.starts_with('/') || !text.ends_with('/') {
        return refuse("must begin and end with /");
    }
    if text.contains("//") {
        return refuse("must not have // in it");
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return refuse("must not have . or .. as a part: the gateway resolves them first");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if !text.bytes().all(plain) {
        return refuse("must be letters, digits and - . _ ~ between its slashes");
    }
    if text.len() > LONGEST {
        return refuse("has over 256 characters");
    }
    Ok(Prefix(text.to_owned()))
}

/// Most host names of one model.
const MOST_HOSTS: usize = 64;

/// Host names, as a list or with commas between them.
pub(crate) fn hosts(value: &Value) -> Result<Vec<String>, Violation> {
    const EXAMPLE: &str = "models.example.com";
    let hosts: Vec<String> = match value {
        Value::Sequence(list) => list
            .iter()
            .map(|host| scalar(host).ok_or_else(|| Violation::new("must be a list of names", EXAMPLE)))
            .collect::<Result<_, _>>()?,
        Value::String(text) => text.split(',').map(|host| host.trim().to_owned()).collect(),
        other => {
            return Err(Violation::new(
                format!("must be a list of host names, not {}", type_name(other)),
                EXAMPLE,
            ));
        }
    };
    if hosts.is_empty() {
        return Err(Violation::new("must name a host, or * for all", EXAMPLE));
    }
    if hosts.len() > MOST_HOSTS {
        return Err(Violation::new(
            format!("has {} names, at most {MOST_HOSTS} are taken", hosts.len()),
            EXAMPLE,
        ));
    }
    if let Some(bad) = hosts.iter().find(|host| !is_host(host)) {
        return Err(Violation::with_value(
            bad.clone(),
            "is no host name, *.domain or *",
            EXAMPLE,
        ));
    }
    for (at, host) in hosts.iter().enumerate() {
        let rest: Vec<String> = hosts.iter().skip(at + 1).cloned().collect();
        if hosts_overlap(std::slice::from_ref(host), &rest) {
            return Err(Violation::with_value(
                host.clone(),
                "covers another host of the list, and Istio refuses such a list",
                EXAMPLE,
            ));
        }
    }
    Ok(hosts)
}

/// One host name.
pub(crate) fn host(text: &str) -> Result<String, Violation> {
    let refuse = |rule: &str| Err(Violation::with_value(text, rule, "iris.example.com"));
    if text.contains('*') {
        return refuse("must be one host name, without *");
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && is_host(name)
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return refuse("must be without a port: calls on every port are taken");
    }
    if !is_host(text) {
        return refuse("is no host name");
    }
    Ok(text.to_owned())
}

pub(crate) fn is_host(host: &str) -> bool {
    if host == "*" {
        return true;
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// A label of DNS-1123, of at most 63 characters.
fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether one request could be meant for both lists of hosts.
#[must_use]
pub(crate) fn hosts_overlap(ours: &[String], theirs: &[String]) -> bool {
    ours.iter()
        .any(|one| theirs.iter().any(|other| host_overlaps(one, other)))
}

fn host_overlaps(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (None, None) => one.eq_ignore_ascii_case(other),
        (Some(end), None) => other.ends_with(end),
        (None, Some(end)) => one.ends_with(end),
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
    }
}

/// How near the nearest of these hosts is to a name that it covers: a request goes to the routes of the nearest, and to no others
/// (Envoy, `config.route.v3.VirtualHost`, `domains`).
#[must_use]
pub(crate) fn nearest_host(hosts: &[String], name: &str) -> Option<usize> {
    let near = |host: &String| match host.strip_prefix('*') {
        Some(end) => name.ends_with(end).then_some(end.len()),
        None => (host == name).then_some(usize::MAX),
    };
    hosts.iter().filter_map(near).max()
}

/// An Istio Gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayName {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A gateway as `namespace/name`.
pub(crate) fn gateway(text: &str) -> Result<GatewayName, Violation> {
    match text.split_once('/') {
        Some((namespace, name)) if is_dns_label(namespace) && is_dns_label(name) => Ok(GatewayName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(Violation::with_value(
            text,
            "must be namespace/name of an Istio Gateway",
            "kubeflow/kubeflow-gateway",
        )),
    }
}

/// A time in milliseconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    /// In seconds, the one form that every Istio reads.
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
    #[must_use]
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

/// A time with its unit: `500ms`, `30s`, `1.5s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Milliseconds, Violation> {
    const HOUR: f64 = 3_600_000.0;
    let units = [("ms", 1.0), ("s", 1000.0), ("m", 60_000.0), ("h", HOUR)];
    let refuse = || {
        Violation::with_value(
            text,
            "must be a time with its unit, ms, s, m or h, from 1ms to 24h",
            "30s",
        )
    };
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .ok_or_else(refuse)?;
    let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.') && number.len() <= 12;
    let amount: f64 = Some(number)
        .filter(|_| digits)
        .and_then(|number| number.parse().ok())
        .ok_or_else(refuse)?;
    let exact = amount * unit;
    if !(1.0..=24.0 * HOUR).contains(&exact) || (exact - exact.round()).abs() > 1e-6 {
        return Err(refuse());
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within a day"
    )]
    let whole = exact.round() as u64;
    Ok(Milliseconds(whole))
}
