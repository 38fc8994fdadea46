//! The parameters of an action, as `actions.yaml` declares them. Juju checks their types, but every one may arrive as text: with
//! `--string-args` all do (juju/juju, cmd/juju/action/run.go), and Juju 4 stores all as text (domain/operation/state/start.go). So text
//! is parsed, and bounds are checked here: those of a schema apply to numbers only.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use serde_yaml::Value as Yaml;

use crate::config::{without_tags, yaml};

/// The given parameters and Juju's defaults.
pub struct Parameters(Map<String, Value>);

impl Parameters {
    pub fn new(given: Map<String, Value>) -> Self {
        Self(given)
    }

    /// Empty text is unset.
    fn get(&self, name: &str) -> Option<&Value> {
        let is_blank = |value: &Value| value.as_str().is_some_and(|text| text.trim().is_empty());
        self.0.get(name).filter(|value| !value.is_null() && !is_blank(value))
    }

    /// A value, or the rule that it violates with an example.
    fn read<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        example: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| format!("parameter {name}: must be {kind}, such as {name}={example}"))
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        self.read(name, "text", "iris", Value::as_str)
    }

    /// False by default.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
            value => value.as_bool(),
        };
        Ok(self.read(name, "true or false", "true", read)?.unwrap_or_default())
    }

    pub fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_f64(),
        };
        // JSON has neither infinity nor NaN, both of which Rust reads.
        self.read(name, "a number", "1.0", |value| {
            read(value).filter(|number: &f64| number.is_finite())
        })
    }

    pub fn whole(&self, name: &str, range: &RangeInclusive<u32>) -> Result<Option<u32>, String> {
        let kind = format!("a whole number from {} to {}", range.start(), range.end());
        let example = range.end().to_string();
        self.read(name, &kind, &example, |value| {
            let number = match value {
                Value::String(text) => text.trim().parse().ok()?,
                value => u32::try_from(value.as_u64()?).ok()?,
            };
            range.contains(&number).then_some(number)
        })
    }

    /// A map, or text in JSON or YAML.
    pub fn map(&self, name: &str) -> Result<Option<Map<String, Value>>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(Value::String(text)) => read_map(text).map(Some).map_err(|rule| invalid_map(name, &rule)),
            Some(_) => Err(invalid_map(name, NOT_A_MAP)),
        }
    }
}

const NOT_A_MAP: &str = "must be a map in JSON or YAML";

/// No client of Juju sends a map without `--string-args`.
pub fn invalid_map(name: &str, rule: &str) -> String {
    format!("parameter {name}: {rule}, such as --string-args {name}='{{…}}'")
}

/// Reads a map. The error is the rule that the text violates; it never repeats the text, which may be confidential.
fn read_map(text: &str) -> Result<Map<String, Value>, String> {
    // First as JSON alone: it may be longer than YAML is read, and indented by tabs.
    if let Ok(Value::Object(map)) = serde_json::from_str(text) {
        return Ok(map);
    }
    let yaml = yaml(text).map_err(|violation| violation.rule)?;
    if !matches!(yaml, Yaml::Mapping(_)) {
        return Err(NOT_A_MAP.to_owned());
    }
    match serde_json::to_value(without_tags("", yaml)) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err("keys must be text".to_owned()),
    }
}

#[cfg(test)]
mod tests;
