//! Unknown keys, with the known one that was probably meant.

use serde_yaml::{Mapping, Value};

use super::value::{self, Violation};

/// Most keys that a message lists.
const MOST_LISTED: usize = 10;

/// The unknown keys of a map, as far as a message may repeat them.
pub fn unknown_keys(map: &Mapping, known: &[&str]) -> Vec<String> {
    map.keys()
        .map(|key| match key {
            Value::String(key) => value::name_in(key).to_owned(),
            other => value::type_name(other).to_owned(),
        })
        .filter(|key| !known.contains(&key.as_str()))
        .collect()
}

/// `key` is none of the known ones.
pub fn unknown_key(key: &str, known: &[&str], example: &str) -> Violation {
    let violation = Violation::new(unknown("key", key, known), example);
    if value::nearest(key, known).is_some() || known.len() > MOST_LISTED {
        return violation;
    }
    violation.with_detail(format!("expected {}", value::either(known)))
}

/// An unknown key or option, with the nearest known one.
pub fn unknown(what: &str, key: &str, known: &[&str]) -> String {
    let key = value::name_in(key);
    if key == value::HIDDEN_KEY {
        return format!("unknown {what}, not shown as it may be a secret");
    }
    let shown = super::error::shorten(key);
    match value::nearest(key, known) {
        Some(nearest) => format!("unknown {what} `{shown}`, did you mean `{nearest}`?"),
        None => format!("unknown {what} `{shown}`"),
    }
}
