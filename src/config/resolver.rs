//! An entry of `models` over the options: where each word of a model comes from.

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use super::error::{ConfigError, Location};
use super::options::{ENTRY_KEYS, SERVER_KEYS, WITH_DEFAULT};
use super::suggestion::{suggestion, unknown_keys};
use super::value::{self, Violation};
use super::yaml::yaml;

/// The values of one model, and the faults found in them so far.
pub struct OptionResolver<'a> {
    pub application: &'a str,
    pub name: &'a str,
    options: &'a Map<String, Json>,
    entry: Option<&'a Mapping>,
    /// The value of a word that is itself a map of words, which go before all others.
    inside: Option<(&'static str, Mapping)>,
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
            inside: None,
            errors: Vec::new(),
        }
    }

    /// The faults found while reading.
    pub fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// The same model with the words of a map, the value of that word, before all others; and the map, without faults of its keys.
    pub fn nested(&mut self, option: &'static str, known: &[&'static str]) -> Option<(OptionResolver<'a>, Mapping)> {
        let map = self.yaml(option, |value| match value {
            Value::Mapping(map) => Ok(map.clone()),
            other => Err(Violation::new(
                format!("must be a YAML map, not {}", value::type_name(other)),
                "{image: seldonio/sklearn-iris:0.3}",
            )),
        })?;
        let within = OptionResolver {
            inside: Some((option, map.clone())),
            errors: Vec::new(),
            ..*self
        };
        let mut unknown = within.location(option);
        if let Location::Option(_) = unknown {
            unknown = Location::Nested { option, model: None };
        }
        for key in unknown_keys(&map, known) {
            let rule = format!("is no word of {option}{}", suggestion(&key, known));
            self.errors.push(ConfigError::new(
                self.application,
                &unknown,
                &key,
                Violation::new(rule, ""),
            ));
        }
        Some((within, map))
    }

    /// All that is said of the server, as it was set.
    pub(super) fn options(&self) -> Map<String, Json> {
        let of_others = ["canary", "shadow"];
        ["manifest"]
            .iter()
            .chain(&SERVER_KEYS)
            .filter(|option| !of_others.contains(*option))
            .filter_map(|option| Some(((*option).to_owned(), serde_json::to_value(self.raw(option)?).ok()?)))
            .collect()
    }

    /// The map that a word says, as it was set.
    pub(super) fn map(&self, option: &str) -> Map<String, Json> {
        let map = match self.raw(option) {
            Some(Value::String(text)) => yaml(&text).ok(),
            other => other,
        };
        match map.and_then(|map| serde_json::to_value(map).ok()) {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Takes over the faults that were found inside.
    pub fn merge_errors(&mut self, within: OptionResolver<'a>) {
        for error in within.errors {
            // A word that is not said inside is the model's own, and so is the fault.
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    /// Whether a word that stands for several others counts. What is said nearer to the model goes before what is said farther
    /// away, and in one place there must not be both.
    pub(super) fn exclusive(&mut self, option: &'static str, others: &[&'static str]) -> bool {
        let maps = [self.inside.as_ref().map(|(_, map)| map), self.entry];
        let said = maps.into_iter().flatten().find_map(|map| {
            let other = others.iter().copied().find(|other| map.contains_key(*other));
            let here = map.get(option).is_some_and(|value| !value.is_null());
            (here || other.is_some()).then_some((here, other))
        });
        let (here, other) = said.unwrap_or_else(|| {
            // An option that has a default cannot be told from one that was set.
            let mut others = others.iter().copied().filter(|other| !WITH_DEFAULT.contains(other));
            let other = others.find(|other| self.raw_option(other).is_some());
            (self.raw_option(option).is_some(), other)
        });
        if let (true, Some(other)) = (here, other) {
            self.excluded_by(option, other);
        }
        here
    }

    pub(super) fn excluded_by(&mut self, option: &'static str, other: &'static str) {
        let rule = format!("must not be set beside {option}, which says it; write it there, or unset one of the two");
        self.error(other, Violation::new(rule, ""));
    }

    /// Where the word `key` was written.
    pub(super) fn location(&self, key: &'static str) -> Location {
        let in_entry = |key: &str| self.entry.is_some_and(|entry| entry.contains_key(key));
        let model = |key: &str| in_entry(key).then(|| self.name.to_owned());
        match &self.inside {
            Some((option, map)) if map.contains_key(key) => Location::Nested {
                option,
                model: model(option),
            },
            _ => model(key).map_or(Location::Option(key), Location::Entry),
        }
    }

    /// Records a fault in the word `key`, where it was written.
    pub fn error(&mut self, key: &'static str, violation: Violation) {
        let location = self.location(key);
        self.errors
            .push(ConfigError::new(self.application, &location, key, violation));
    }

    /// Records a fault in the model as a whole: in its entry if it has one, in `key` if not.
    pub fn model_error(&mut self, key: &'static str, violation: Violation) {
        let location = match (&self.inside, self.entry) {
            (Some((option, _)), entry) => Location::Nested {
                option,
                model: entry.map(|_| self.name.to_owned()),
            },
            (None, Some(_)) => Location::Entry(self.name.to_owned()),
            (None, None) => Location::Option(key),
        };
        self.errors
            .push(ConfigError::new(self.application, &location, key, violation));
    }

    /// Whether anything was found to be wrong so far.
    pub fn is_faulty(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether the model has an entry, and so a name that can be changed there.
    pub fn is_entry(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn unknown_keys(&mut self) {
        for key in self
            .entry
            .map(|entry| unknown_keys(entry, &ENTRY_KEYS))
            .unwrap_or_default()
        {
            let violation = Violation::new(format!("is no word of a model{}", suggestion(&key, &ENTRY_KEYS)), "");
            let location = Location::Entry(self.name.to_owned());
            self.errors
                .push(ConfigError::new(self.application, &location, &key, violation));
        }
    }

    /// The value of a word: the entry's, or else the option's. Empty is unset, in an entry over the option too.
    pub(super) fn raw(&self, key: &str) -> Option<Value> {
        let inside = self.inside.as_ref().and_then(|(_, map)| map.get(key));
        let value = match inside.or_else(|| self.entry?.get(key)) {
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
            other => Err(Violation::new(
                format!("must be text, not {}: put it in quotes", value::type_name(other)),
                "",
            )),
        })
    }

    pub fn yaml<T>(&mut self, key: &'static str, parse: fn(&Value) -> Result<T, Violation>) -> Option<T> {
        self.take(key, |value| match value {
            Value::String(text) => parse(&yaml(text)?),
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

/// A value that says something: empty is unset.
fn is_set(value: Value) -> Option<Value> {
    match &value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        _ => Some(value),
    }
}
