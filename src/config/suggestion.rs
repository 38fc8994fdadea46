//! What a key that is not known may have been meant to be.

use serde_yaml::{Mapping, Value};

use super::value;

/// The keys of a map that are none of these words, as far as a message may repeat them.
pub fn unknown_keys(map: &Mapping, known: &[&str]) -> Vec<String> {
    map.keys()
        .map(|key| match key {
            Value::String(key) => value::name_in(key).to_owned(),
            other => value::type_name(other).to_owned(),
        })
        .filter(|key| !known.contains(&key.as_str()))
        .collect()
}

/// What to say of a word that is not known.
pub fn suggestion(key: &str, known: &[&str]) -> String {
    value::nearest(key, known).map_or_else(String::new, |key| format!("; the nearest known is {key}"))
}
