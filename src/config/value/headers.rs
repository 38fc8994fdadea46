//! Headers that the gateway changes on the way to a model and back.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{Rule, name_in, scalar};
use crate::config::reader::Reader;
use crate::config::yaml::scalars;

const EXAMPLE: &str = "{request: {set: {x-site: \"12\"}}}";

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
pub(crate) fn headers(value: &Value) -> Result<Headers, Rule> {
    let read = Reader::of(value, &["request", "response"], EXAMPLE)?;
    let changes = |word: &str| -> Result<HeaderChanges, Rule> {
        let Some(read) = read.map(word, &["set", "add", "remove"])? else {
            return Ok(HeaderChanges::default());
        };
        Ok(HeaderChanges {
            set: read.yaml("set", texts)?.unwrap_or_default(),
            add: read.yaml("add", texts)?.unwrap_or_default(),
            remove: read.yaml("remove", names)?.unwrap_or_default(),
        })
    };
    let headers = Headers {
        request: changes("request")?,
        response: changes("response")?,
    };
    if headers == Headers::default() {
        return Err(Rule::new("changes nothing: write set, add or remove in it", EXAMPLE));
    }
    Ok(headers)
}

fn texts(value: &Value) -> Result<BTreeMap<String, String>, Rule> {
    let texts = scalars(value, EXAMPLE)?;
    for (name, text) in &texts {
        is_name(name)?;
        if text.contains(|c: char| c.is_control()) {
            return Err(Rule::new(format!("the value of {name} must be one line"), EXAMPLE));
        }
    }
    Ok(texts)
}

fn names(value: &Value) -> Result<Vec<String>, Rule> {
    let list = value.as_sequence();
    let list = list.ok_or_else(|| Rule::new("must be a list of names of headers", EXAMPLE))?;
    list.iter()
        .map(|name| {
            let name = scalar(name).unwrap_or_default();
            is_name(&name)?;
            Ok(name)
        })
        .collect()
}

/// Istio takes a token (RFC 9110) that does not begin with a colon, which would be part of the request itself; and a `Host`
/// that is changed here would be another request for the gateway's own routes.
fn is_name(name: &str) -> Result<(), Rule> {
    let token = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !token {
        return Err(Rule::new(
            format!("{:?} is no name of a header", name_in(name)),
            EXAMPLE,
        ));
    }
    if name.eq_ignore_ascii_case("host") {
        return Err(Rule::new("must not change the header Host", EXAMPLE));
    }
    Ok(())
}
