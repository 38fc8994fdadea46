//! An entry of `models` over the options: where each value of a model comes from.

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use super::error::{ConfigError, Location};
use super::options::{self, Scope};
use super::suggestion::{unknown_key, unknown_keys};
use super::value::{self, Violation};
use super::yaml::{self, without_tags};

/// The values of one model, and the errors found in them so far.
pub struct OptionResolver<'a> {
    pub application: &'a str,
    pub name: &'a str,
    options: &'a Map<String, Json>,
    entry: Option<&'a Mapping>,
    /// The map of keys that takes precedence over all others, under its own key: `canary` or `shadow`.
    nested: Option<(&'static str, Mapping)>,
    errors: Vec<ConfigError>,
}

impl<'a> OptionResolver<'a> {
    pub fn new(
        application: &'a str,
        name: &'a str,
        options: &'a Map<String, Json>,
        entry: Option<&'a Mapping>,
    ) -> Self {
        Self {
            application,
            name,
            options,
            entry,
            nested: None,
            errors: Vec::new(),
        }
    }

    pub fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// The same model, where the keys of the map under `option` take precedence. Reports the unknown ones.
    pub fn nested(&mut self, option: &'static str, known: &[&'static str]) -> Option<OptionResolver<'a>> {
        let map = self.yaml(option, |value| match value {
            Value::Mapping(map) => Ok(map.clone()),
            other => Err(value::not_a_map(other, "{image: seldonio/sklearn-iris:0.3}")),
        })?;
        for key in unknown_keys(&map, known) {
            self.error(option, unknown_key(&key, known, ""));
        }
        Some(OptionResolver {
            nested: Some((option, map)),
            errors: Vec::new(),
            ..*self
        })
    }

    /// The options of the server as they were set.
    pub(super) fn options(&self) -> Map<String, Json> {
        let other_servers = ["canary", "shadow"];
        options::names(Scope::SeldonDeployment)
            .into_iter()
            .chain(["manifest"])
            .filter(|option| !other_servers.contains(option))
            .filter_map(|option| {
                Some((
                    option.to_owned(),
                    serde_json::to_value(without_tags(option, self.raw(option)?)).ok()?,
                ))
            })
            .collect()
    }

    /// The map under an option, as it was set.
    pub(super) fn map(&self, option: &str) -> Map<String, Json> {
        let map = match self.raw(option) {
            Some(Value::String(text)) => yaml::option(option, &text).ok(),
            other => other,
        };
        match map.and_then(|map| serde_json::to_value(without_tags(option, map)).ok()) {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        }
    }

    pub fn merge_errors(&mut self, nested: OptionResolver<'a>) {
        for error in nested.errors {
            // A key that is not set in the nested map is the model's own, and so is its error.
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// Whether an option that replaces several others is in effect. The innermost map takes precedence, and one map must not have
    /// both.
    pub(super) fn exclusive(&mut self, option: &'static str, others: &[&'static str]) -> bool {
        let maps = [self.nested.as_ref().map(|(_, map)| map), self.entry];
        let innermost = maps.into_iter().flatten().find_map(|map| {
            let other = others.iter().copied().find(|other| map.contains_key(*other));
            let is_set = map.get(option).is_some_and(|value| !value.is_null());
            (is_set || other.is_some()).then_some((is_set, other))
        });
        let (is_set, other) = innermost.unwrap_or_else(|| {
            // Juju reports the default of an option as if it were set.
            let is_set = |name: &str| {
                let default = options::find(name).map(|option| option.default.to_owned());
                let value = self.raw_option(name);
                value.is_some_and(|value| value::scalar(&value) != default)
            };
            (is_set(option), others.iter().copied().find(|other| is_set(other)))
        });
        if let (true, Some(other)) = (is_set, other) {
            let rule = format!("cannot be combined with {option}");
            let detail = format!("{option} includes it: set it there, or unset one of them");
            let default = options::find(other).map_or("", |option| option.default);
            self.error(other, Violation::new(rule, default).with_detail(detail));
        }
        is_set
    }

    /// Where the value of `key` was written.
    pub(super) fn location(&self, key: &'static str) -> Location {
        let in_entry = |key: &str| self.entry.is_some_and(|entry| entry.contains_key(key));
        let model = |key: &str| in_entry(key).then(|| self.name.to_owned());
        match &self.nested {
            Some((option, map)) if map.contains_key(key) => Location::Nested {
                option,
                model: model(option),
            },
            _ => model(key).map_or(Location::Option(key), Location::EntryKey),
        }
    }

    /// Records an error in the value of `key`, where it was written.
    pub fn error(&mut self, key: &'static str, violation: Violation) {
        let location = self.location(key);
        self.errors
            .push(ConfigError::new(self.application, &location, key, violation));
    }

    /// Records an error in what a model as a whole lacks: a `key` of its entry if it has one, an option otherwise.
    pub fn model_error(&mut self, key: &'static str, violation: Violation) {
        let location = match (&self.nested, self.entry) {
            (Some((option, _)), entry) => Location::Nested {
                option,
                model: entry.map(|_| self.name.to_owned()),
            },
            (None, Some(_)) => Location::EntryKey(self.name.to_owned()),
            (None, None) => Location::Option(key),
        };
        self.errors
            .push(ConfigError::new(self.application, &location, key, violation));
    }

    /// Records an error in the entry itself.
    pub fn entry_error(&mut self, violation: Violation) {
        let location = Location::Entry(self.name.to_owned());
        self.errors
            .push(ConfigError::new(self.application, &location, "", violation));
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub fn is_entry(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn check_keys(&mut self) {
        let known = options::names(Scope::Model);
        let unknown = self.entry.map(|entry| unknown_keys(entry, &known));
        for key in unknown.unwrap_or_default() {
            self.entry_error(unknown_key(&key, &known, ""));
        }
    }

    /// The value of a key: the entry's, or else the option's. Empty is unset, in an entry over the option too.
    pub(super) fn raw(&self, key: &str) -> Option<Value> {
        let nested = self.nested.as_ref().and_then(|(_, map)| map.get(key));
        let value = match nested.or_else(|| self.entry?.get(key)) {
            Some(value) => value.clone(),
            None => return self.raw_option(key),
        };
        is_set(value)
    }

    /// The value of an option, if it is not empty.
    fn raw_option(&self, key: &str) -> Option<Value> {
        let value = match self.options.get(key)? {
            Json::String(text) => Value::String(text.clone()),
            Json::Number(number) => serde_yaml::to_value(number).ok()?,
            _ => return None,
        };
        is_set(value)
    }

    pub fn text<T>(&mut self, key: &'static str, parse: fn(&str) -> Result<T, Violation>) -> Option<T> {
        self.take(key, |value| match value {
            Value::String(text) => parse(text.trim()),
            other => Err(
                Violation::new(format!("must be text, not {}", value::type_name(other)), "")
                    .with_detail("put it in quotes"),
            ),
        })
    }

    pub fn yaml<T>(&mut self, key: &'static str, parse: fn(&Value) -> Result<T, Violation>) -> Option<T> {
        self.take(key, |value| match value {
            Value::String(text) => parse(&yaml::option(key, text)?),
            other => parse(other),
        })
    }

    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u16>) -> Option<u16> {
        self.take(key, |value| value::number(value, range.clone()))
    }

    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, Violation>,
    ) -> Option<T> {
        match parse(&self.raw(key)?) {
            Ok(parsed) => Some(parsed),
            Err(violation) => {
                self.error(key, violation);
                None
            }
        }
    }
}

/// Empty is unset.
fn is_set(value: Value) -> Option<Value> {
    match &value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        _ => Some(value),
    }
}
