//! Headers that the gateway changes on the way to a model and back.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{Violation, header_format, name_in, scalar};
use crate::config::reader::Reader;
use crate::config::yaml::scalars;

const EXAMPLE: &str = "{request: {set: {x-site: \"12\"}}}";

/// Most headers that are set and added, longest value in bytes: one more, and Envoy rejects the route configuration
/// (`envoyproxy/envoy`, `api/envoy/config/route/v3/route_components.proto`, `request_headers_to_add`, and `core/v3/base.proto`,
/// `HeaderValue`).
const MOST_CHANGED: usize = 1000;
const LONGEST_VALUE: usize = 16 * 1024;
/// Longest name in bytes: the Gateway API's limit (`HTTPHeaderName`), far below Envoy's.
const LONGEST_NAME: usize = 256;

/// Longest part of a value that a message repeats, in characters. A value may be a secret.
const LONGEST_PART: usize = 24;

/// What becomes of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// Of requests.
    pub request: HeaderChanges,
    /// Of answers.
    pub response: HeaderChanges,
}

/// The changes, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderChanges {
    /// Set to a value, whatever it was.
    pub set: BTreeMap<String, String>,
    /// Given one more value.
    pub add: BTreeMap<String, String>,
    /// Taken out.
    pub remove: Vec<String>,
}

impl HeaderChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `{request: {set, add, remove}, response: {…}}`.
pub(crate) fn headers(value: &Value) -> Result<Headers, Violation> {
    let read = Reader::of(value, &["request", "response"], EXAMPLE)?;
    let changes = |key: &str| -> Result<HeaderChanges, Violation> {
        let Some(read) = read.map(key, &["set", "add", "remove"])? else {
            return Ok(HeaderChanges::default());
        };
        let changes = HeaderChanges {
            set: read.yaml("set", texts)?.unwrap_or_default(),
            add: read.yaml("add", texts)?.unwrap_or_default(),
            remove: read.yaml("remove", names)?.unwrap_or_default(),
        };
        if changes.set.len() + changes.add.len() > MOST_CHANGED {
            let rule = format!("{key} sets and adds over {MOST_CHANGED} headers, more than Envoy takes");
            return Err(Violation::new(rule, EXAMPLE));
        }
        Ok(changes)
    };
    let headers = Headers {
        request: changes("request")?,
        response: changes("response")?,
    };
    if headers == Headers::default() {
        return Err(Violation::new(
            "changes nothing: write set, add or remove in it",
            EXAMPLE,
        ));
    }
    Ok(headers)
}

fn texts(value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    let texts = scalars(value, EXAMPLE)?;
    for (name, text) in &texts {
        is_name(name)?;
        if text.contains(|c: char| c.is_control()) {
            return Err(Violation::new(format!("the value of {name} must be one line"), EXAMPLE));
        }
        if text.len() > LONGEST_VALUE {
            let rule = format!("the value of {name} has over {LONGEST_VALUE} bytes, more than Envoy takes");
            return Err(Violation::new(rule, EXAMPLE));
        }
        header_format::check(text).map_err(|part| not_a_format(name, part))?;
    }
    Ok(texts)
}

fn names(value: &Value) -> Result<Vec<String>, Violation> {
    let list = value.as_sequence();
    let list = list.ok_or_else(|| Violation::new("must be a list of names of headers", EXAMPLE))?;
    list.iter()
        .map(|name| {
            let name = scalar(name).unwrap_or_default();
            is_name(&name)?;
            Ok(name)
        })
        .collect()
}

/// A value is a format to Envoy.
fn not_a_format(name: &str, part: &str) -> Violation {
    let mut shown: String = part.chars().take(LONGEST_PART).collect();
    if part.chars().nth(LONGEST_PART).is_some() {
        shown.push('…');
    }
    Violation::new(
        format!("{name}: {shown:?} is not a command that every Envoy knows; write %% for %"),
        EXAMPLE,
    )
}

/// Istio takes a token (RFC 9110) that does not begin with a colon, which would be part of the request itself; and a `Host`
/// that is changed here would be another request for the gateway's own routes.
fn is_name(name: &str) -> Result<(), Violation> {
    if !header_format::is_token(name) {
        return Err(Violation::new(
            format!("{:?} is no name of a header", name_in(name)),
            EXAMPLE,
        ));
    }
    if name.len() > LONGEST_NAME {
        let begin: String = name.chars().take(LONGEST_PART).collect();
        let rule = format!("the name {begin}… has over {LONGEST_NAME} bytes, more than a gateway takes");
        return Err(Violation::new(rule, EXAMPLE));
    }
    if name.eq_ignore_ascii_case("host") {
        return Err(Violation::new("must not change the header Host", EXAMPLE));
    }
    Ok(())
}
