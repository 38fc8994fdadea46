//! Headers that the gateway changes in requests to a model and in its answers.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{Violation, header_format, name_in, scalar};
use crate::config::reader::Reader;
use crate::config::yaml::texts;

const EXAMPLE: &str = "{request: {set: {x-site: \"12\"}}}";

/// Most headers that are set and added, and the longest value in bytes: beyond these Envoy rejects the route configuration
/// (`envoyproxy/envoy`, `api/envoy/config/route/v3/route_components.proto`, `request_headers_to_add`, and `core/v3/base.proto`,
/// `HeaderValue`).
const MOST_CHANGED: usize = 1000;
const LONGEST_VALUE: usize = 16 * 1024;
/// Longest name in bytes: the Gateway API's limit (`HTTPHeaderName`), far below Envoy's.
const LONGEST_NAME: usize = 256;

/// Longest part of a value that a message repeats, in characters. A value may be a secret.
const LONGEST_PART: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    pub request: HeaderChanges,
    pub response: HeaderChanges,
}

/// The changes, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderChanges {
    /// Replaces the value.
    pub set: BTreeMap<String, String>,
    /// Appends a value.
    pub add: BTreeMap<String, String>,
    pub remove: Vec<String>,
}

impl HeaderChanges {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `{request: {set, add, remove}, response: {…}}`.
pub(crate) fn headers(value: &Value) -> Result<Headers, Violation> {
    let reader = Reader::new(value, &["request", "response"], EXAMPLE)?;
    let changes = |key: &str| -> Result<HeaderChanges, Violation> {
        let Some(reader) = reader.map(key, &["set", "add", "remove"])? else {
            return Ok(HeaderChanges::default());
        };
        let changes = HeaderChanges {
            set: reader.yaml("set", values)?.unwrap_or_default(),
            add: reader.yaml("add", values)?.unwrap_or_default(),
            remove: reader.yaml("remove", names)?.unwrap_or_default(),
        };
        if changes.set.len() + changes.add.len() > MOST_CHANGED {
            let rule = format!("must set and add at most {MOST_CHANGED} headers");
            return Err(Violation::new(rule, EXAMPLE).with_detail("Envoy's limit").in_part(key));
        }
        Ok(changes)
    };
    let headers = Headers {
        request: changes("request")?,
        response: changes("response")?,
    };
    if headers == Headers::default() {
        return Err(Violation::new("must have `set`, `add` or `remove`", EXAMPLE));
    }
    Ok(headers)
}

fn values(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    let values = texts(value, EXAMPLE)?;
    for (name, text) in &values {
        check_name(name)?;
        if text.contains(|c: char| c.is_control()) {
            return Err(Violation::new("must be one line", EXAMPLE).in_part(name));
        }
        if text.len() > LONGEST_VALUE {
            let rule = format!("must be at most {LONGEST_VALUE} bytes");
            return Err(Violation::new(rule, EXAMPLE).with_detail("Envoy's limit").in_part(name));
        }
        header_format::check(text).map_err(|part| not_a_format(name, part))?;
    }
    Ok(values)
}

fn names(value: &Value) -> Result<Vec<String>, Violation> {
    let list = value.as_sequence();
    let list = list.ok_or_else(|| Violation::new("must be a list of header names", EXAMPLE))?;
    list.iter()
        .map(|name| {
            let name = scalar(name).unwrap_or_default();
            check_name(&name)?;
            Ok(name)
        })
        .collect()
}

/// Envoy reads a value as a format.
fn not_a_format(name: &str, part: &str) -> Violation {
    let mut shown: String = part.chars().take(LONGEST_PART).collect();
    if part.chars().nth(LONGEST_PART).is_some() {
        shown.push('…');
    }
    Violation::new("write %% for %", EXAMPLE)
        .with_detail(format!("{shown:?} is not a command that every Envoy supports"))
        .in_part(name)
}

/// Istio accepts a token (RFC 9110) that does not begin with a colon, which would be part of the request itself. With another `Host`
/// the request would match other routes of the gateway.
fn check_name(name: &str) -> Result<(), Violation> {
    if !header_format::is_token(name) {
        let rule = format!("{:?} is not a valid header name", name_in(name));
        return Err(Violation::new(rule, EXAMPLE));
    }
    if name.len() > LONGEST_NAME {
        let begin: String = name.chars().take(LONGEST_PART).collect();
        let rule = format!("name must be at most {LONGEST_NAME} bytes");
        return Err(Violation::new(rule, EXAMPLE).in_part(&format!("{begin}…")));
    }
    if name.eq_ignore_ascii_case("host") {
        return Err(Violation::new("header Host cannot be changed", EXAMPLE));
    }
    Ok(())
}
