//! A value that a tool prints.

use std::collections::BTreeMap;

use serde_json::Value;

/// A value to print. Maps keep the order they are given in: Go sorts maps but not structs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Node {
    /// nil.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map or struct.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A map in the given order.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Float(number.as_f64().unwrap_or_default()), Self::Int),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                // Sorted here and not by serde_json, whose order depends on a feature any crate may turn on.
                let sorted: BTreeMap<&String, &Value> = map.iter().collect();
                Self::map(sorted.into_iter().map(|(key, value)| (key, Self::from(value))))
            }
        }
    }
}

impl From<&BTreeMap<String, String>> for Node {
    fn from(map: &BTreeMap<String, String>) -> Self {
        Self::map(map.iter().map(|(key, value)| (key, Self::text(value))))
    }
}

/// A number as encoding/json writes a float64: plain digits within 1e-6 and 1e21, else with an exponent.
pub(super) fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    format!("{value}")
}
