//! Where copies of requests and the traces of them go.

use serde_yaml::Value;

use super::server::is_host_and_port;
use super::{Violation, scalar, type_name};
use crate::config::reader::Reader;

/// Where Seldon's executor sends copies of what a model is asked and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logger {
    /// `all`, `request` or `response`.
    pub mode: &'static str,
    /// Who takes them, in the form of `CloudEvents`; `None` leaves it to Seldon's own setting.
    pub url: Option<String>,
    /// Or a topic of Kafka instead.
    pub kafka: Option<Topic>,
}

/// A topic of Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `host:port`.
    pub broker: String,
    /// Its name.
    pub topic: String,
}

/// A URL, or a map for what more can be said.
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
    let read = Reader::of(value, &["mode", "url", "kafka"], EXAMPLE)?;
    logger.mode = read.one_of("mode", &MODES)?.unwrap_or("all");
    logger.url = read.text("url", url)?;
    if let Some(kafka) = read.map("kafka", &["broker", "topic"])? {
        let need = |key: &str, parse: fn(&str) -> Result<String, Violation>| {
            kafka.text(key, parse)?.ok_or_else(|| kafka.refuse(key, "is not set"))
        };
        logger.kafka = Some(Topic {
            broker: need("broker", host_and_port)?,
            topic: need("topic", topic)?,
        });
    }
    match (&logger.url, &logger.kafka) {
        (Some(_), Some(_)) => Err(read.refuse("kafka", "must not stand beside url: copies go to one place")),
        _ => Ok(logger),
    }
}

/// How requests are traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// Who takes the traces.
    pub to: Collector,
    /// Which requests, in Jaeger's words.
    pub sampler: &'static str,
    /// How many, as the sampler takes it.
    pub parameter: String,
}

/// Who takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collector {
    /// Jaeger's agent, by UDP.
    Agent {
        /// Its host name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Jaeger's collector, by HTTP.
    Endpoint(String),
}

impl Tracing {
    /// All requests, to that collector.
    #[must_use]
    pub fn all(to: Collector) -> Self {
        Self {
            to,
            sampler: "const",
            parameter: "1".to_owned(),
        }
    }
}

/// An agent as `host:port`, a collector's URL, or a map for what more can be said.
pub(crate) fn tracing(value: &Value) -> Result<Tracing, Violation> {
    const EXAMPLE: &str = "jaeger-agent.tracing.svc.cluster.local:6831";
    const SAMPLERS: [&str; 4] = ["const", "probabilistic", "ratelimiting", "remote"];
    if let Value::String(text) = value {
        return collector(text).map(Tracing::all);
    }
    let read = Reader::of(value, &["to", "sampler", "parameter"], EXAMPLE)?;
    let to = read.text("to", collector)?;
    let to = to.ok_or_else(|| read.refuse("to", "is not set: who takes the traces"))?;
    let sampler = read.one_of("sampler", &SAMPLERS)?.unwrap_or("const");
    let parameter = read.yaml("parameter", |value| {
        let text = scalar(value).unwrap_or_default();
        let number = text.parse::<f64>().ok();
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(_) => Ok(text),
            None => Err(Violation::new(
                format!("must be a number, not {}", type_name(value)),
                "0.1",
            )),
        }
    })?;
    let parameter = parameter.unwrap_or_else(|| "1".to_owned());
    let part = parameter.parse::<f64>().unwrap_or_default();
    if ["const", "probabilistic", "remote"].contains(&sampler) && part > 1.0 {
        return Err(read.refuse("parameter", &format!("must be from 0 to 1 for the sampler {sampler}")));
    }
    Ok(Tracing { to, sampler, parameter })
}

fn collector(text: &str) -> Result<Collector, Violation> {
    const EXAMPLE: &str = "jaeger-agent.tracing.svc.cluster.local:6831";
    if text.contains("://") {
        return url(text).map(Collector::Endpoint);
    }
    let parts = text.rsplit_once(':');
    match parts.and_then(|(host, port)| Some((host, port.parse::<u16>().ok().filter(|port| *port > 0)?))) {
        Some((host, port)) if is_host_and_port(text) => Ok(Collector::Agent {
            host: host.to_owned(),
            port,
        }),
        _ => Err(Violation::with_value(
            text,
            "must be the host:port of Jaeger's agent, or the URL of its collector",
            EXAMPLE,
        )),
    }
}

/// The URL of somebody who takes HTTP.
pub(crate) fn url(text: &str) -> Result<String, Violation> {
    const EXAMPLE: &str = "http://broker.logging.svc.cluster.local";
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match authority {
        Some(authority) if plain && is_host_and_port(authority) => Ok(text.to_owned()),
        _ => Err(Violation::with_value(
            text,
            "must be a URL, http:// or https:// and a host",
            EXAMPLE,
        )),
    }
}

fn host_and_port(text: &str) -> Result<String, Violation> {
    if is_host_and_port(text) && text.contains(':') {
        Ok(text.to_owned())
    } else {
        Err(Violation::with_value(text, "must be host:port", "kafka.kafka:9092"))
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
        Err(Violation::with_value(
            text,
            "must be at most 249 letters, digits and . _ -",
            "predictions",
        ))
    }
}
