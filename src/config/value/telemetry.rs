//! Destinations of payload logs and traces.

use http::Uri;
use rust_decimal::Decimal;
use serde_yaml::Value;

use super::{Violation, scalar, server, type_name, untagged};
use crate::config::decimal::decimal;
use crate::config::reader::Reader;

/// Where Seldon's executor sends copies of requests and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logger {
    /// `all`, `request` or `response`.
    pub mode: &'static str,
    /// A receiver of `CloudEvents`; `None` leaves it to Seldon's own setting.
    pub url: Option<String>,
    /// Used instead of the URL.
    pub kafka: Option<Topic>,
}

/// A Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `host:port`.
    pub broker: String,
    pub topic: String,
}

/// A URL, or a map.
pub(crate) fn logger(value: &Value) -> Result<Logger, Violation> {
    const EXAMPLE: &str = "http://broker.logging.svc.cluster.local";
    const MODES: [&str; 3] = ["all", "request", "response"];
    let mut logger = Logger {
        mode: "all",
        url: None,
        kafka: None,
    };
    if let Value::String(text) = value {
        logger.url = Some(url(text)?);
        return Ok(logger);
    }
    let reader = Reader::new(value, &["mode", "url", "kafka"], EXAMPLE)?;
    logger.mode = reader.one_of("mode", &MODES)?.unwrap_or("all");
    logger.url = reader.text("url", url)?;
    if let Some(kafka) = reader.map("kafka", &["broker", "topic"])? {
        let required = |key: &str, parse: fn(&str) -> Result<String, Violation>| {
            kafka
                .text(key, parse)?
                .ok_or_else(|| kafka.violation(key, "is not set"))
        };
        logger.kafka = Some(Topic {
            broker: required("broker", host_and_port)?,
            topic: required("topic", topic)?,
        });
    }
    match (&logger.url, &logger.kafka) {
        (Some(_), Some(_)) => Err(reader.violation("kafka", "cannot be combined with url")),
        _ => Ok(logger),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    pub to: Collector,
    /// Jaeger's name of the sampler.
    pub sampler: &'static str,
    /// The sampler's parameter.
    pub parameter: String,
}

/// The receiver of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collector {
    /// Jaeger's agent, by UDP.
    Agent { host: String, port: u16 },
    /// Jaeger's collector, by HTTP.
    Endpoint(String),
}

impl Tracing {
    /// Traces all requests.
    pub fn all(to: Collector) -> Self {
        Self {
            to,
            sampler: "const",
            parameter: "1".to_owned(),
        }
    }
}

/// An agent as `host:port`, a collector's URL, or a map.
pub(crate) fn tracing(value: &Value) -> Result<Tracing, Violation> {
    const EXAMPLE: &str = "jaeger-agent.tracing.svc.cluster.local:6831";
    const SAMPLERS: [&str; 4] = ["const", "probabilistic", "ratelimiting", "remote"];
    if let Value::String(text) = value {
        return collector(text).map(Tracing::all);
    }
    let reader = Reader::new(value, &["to", "sampler", "parameter"], EXAMPLE)?;
    let to = reader.text("to", collector)?;
    let to = to.ok_or_else(|| reader.violation("to", "is not set"))?;
    let sampler = reader.one_of("sampler", &SAMPLERS)?.unwrap_or("const");
    let parameter = reader.yaml("parameter", |value| {
        let text = scalar(untagged(value)).unwrap_or_default();
        match decimal(&text) {
            Some(number) if number >= Decimal::ZERO => Ok(text),
            _ => Err(Violation::new(
                format!("must be a number, not {}", type_name(value)),
                "0.1",
            )),
        }
    })?;
    let parameter = parameter.unwrap_or_else(|| "1".to_owned());
    let is_above_one = decimal(&parameter) > Some(Decimal::ONE);
    if ["const", "probabilistic", "remote"].contains(&sampler) && is_above_one {
        let rule = format!("must be from 0 to 1 for sampler {sampler}");
        return Err(reader.violation("parameter", &rule));
    }
    Ok(Tracing { to, sampler, parameter })
}

fn collector(text: &str) -> Result<Collector, Violation> {
    const EXAMPLE: &str = "jaeger-agent.tracing.svc.cluster.local:6831";
    if text.contains("://") {
        return url(text).map(Collector::Endpoint);
    }
    let agent = server::host_and_port(text);
    match agent.and_then(|agent| Some((agent.host().to_owned(), agent.port_u16().filter(|port| *port > 0)?))) {
        Some((host, port)) => Ok(Collector::Agent { host, port }),
        None => Err(
            Violation::with_value(text, "must be an agent's host:port, or a URL", EXAMPLE)
                .with_detail("host:port of Jaeger's agent, or the URL of its collector"),
        ),
    }
}

/// An HTTP URL.
pub(crate) fn url(text: &str) -> Result<String, Violation> {
    const EXAMPLE: &str = "http://broker.logging.svc.cluster.local";
    // `Uri` reads neither a fragment nor what is beyond ASCII.
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let uri: Option<Uri> = text.parse().ok().filter(|_| plain);
    let is_http = |uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(server::is_host_and_port)
    };
    if uri.is_some_and(is_http) {
        Ok(text.to_owned())
    } else {
        Err(Violation::with_value(
            text,
            "must be an http:// or https:// URL",
            EXAMPLE,
        ))
    }
}

fn host_and_port(text: &str) -> Result<String, Violation> {
    match server::host_and_port(text) {
        Some(authority) if authority.port().is_some() => Ok(text.to_owned()),
        _ => Err(Violation::with_value(text, "must be host:port", "kafka.kafka:9092")),
    }
}

/// A topic's name (`apache/kafka`, `Topic.java`).
fn topic(text: &str) -> Result<String, Violation> {
    let valid = (1..=249).contains(&text.len())
        && ![".", ".."].contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(Violation::with_value(text, "is not a valid topic name", "predictions")
            .with_detail("at most 249 letters, digits and . _ -"))
    }
}
