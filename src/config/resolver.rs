//! An entry of `models` over the options: where each word of a model comes from.

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use super::fault::{Fault, Place};
use super::suggestion::{near, unknown_keys};
use super::value::{self, Rule};
use super::words::{OF_A_SERVER, WITH_DEFAULT, WORDS};
use super::yaml::yaml;

/// The values of one model, and the faults found in them so far.
pub struct Layers<'a> {
    pub application: &'a str,
    pub name: &'a str,
    options: &'a Map<String, Json>,
    entry: Option<&'a Mapping>,
    /// The value of a word that is itself a map of words, which go before all others.
    inside: Option<(&'static str, Mapping)>,
    faults: Vec<Fault>,
}

impl<'a> Layers<'a> {
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
            faults: Vec::new(),
        }
    }

    /// The faults found while reading.
    pub fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// The same model with the words of a map, the value of that word, before all others; and the map, without faults of its keys.
    pub fn inside(&mut self, word: &'static str, known: &[&'static str]) -> Option<(Layers<'a>, Mapping)> {
        let map = self.yaml(word, |value| match value {
            Value::Mapping(map) => Ok(map.clone()),
            other => Err(Rule::new(
                format!("must be a YAML map, not {}", value::type_name(other)),
                "{image: seldonio/sklearn-iris:0.3}",
            )),
        })?;
        let within = Layers {
            inside: Some((word, map.clone())),
            faults: Vec::new(),
            ..*self
        };
        let mut unknown = within.place(word);
        if let Place::Option(_) = unknown {
            unknown = Place::Inside { word, model: None };
        }
        for key in unknown_keys(&map, known) {
            let rule = format!("is no word of {word}{}", near(&key, known));
            self.faults
                .push(Fault::new(self.application, &unknown, &key, Rule::new(rule, "")));
        }
        Some((within, map))
    }

    /// All that is said of the server, as it was set.
    pub(super) fn words(&self) -> Map<String, Json> {
        let of_others = ["canary", "shadow"];
        ["manifest"]
            .iter()
            .chain(&OF_A_SERVER)
            .filter(|word| !of_others.contains(*word))
            .filter_map(|word| Some(((*word).to_owned(), serde_json::to_value(self.raw(word)?).ok()?)))
            .collect()
    }

    /// The map that a word says, as it was set.
    pub(super) fn map(&self, word: &str) -> Map<String, Json> {
        let map = match self.raw(word) {
            Some(Value::String(text)) => yaml(&text).ok(),
            other => other,
        };
        match map.and_then(|map| serde_json::to_value(map).ok()) {
            Some(Json::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Takes over the faults that were found inside.
    pub fn found(&mut self, within: Layers<'a>) {
        for fault in within.faults {
            // A word that is not said inside is the model's own, and so is the fault.
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// Whether a word that stands for several others counts. What is said nearer to the model goes before what is said farther
    /// away, and in one place there must not be both.
    pub(super) fn says_all(&mut self, word: &'static str, others: &[&'static str]) -> bool {
        let maps = [self.inside.as_ref().map(|(_, map)| map), self.entry];
        let said = maps.into_iter().flatten().find_map(|map| {
            let other = others.iter().copied().find(|other| map.contains_key(*other));
            let here = map.get(word).is_some_and(|value| !value.is_null());
            (here || other.is_some()).then_some((here, other))
        });
        let (here, other) = said.unwrap_or_else(|| {
            // An option that has a default cannot be told from one that was set.
            let mut others = others.iter().copied().filter(|other| !WITH_DEFAULT.contains(other));
            let other = others.find(|other| self.raw_option(other).is_some());
            (self.raw_option(word).is_some(), other)
        });
        if let (true, Some(other)) = (here, other) {
            self.beside(word, other);
        }
        here
    }

    pub(super) fn beside(&mut self, word: &'static str, other: &'static str) {
        let rule = format!("must not be set beside {word}, which says it; write it there, or unset one of the two");
        self.fault(other, Rule::new(rule, ""));
    }

    /// Where the word `key` was written.
    pub(super) fn place(&self, key: &'static str) -> Place {
        let in_entry = |key: &str| self.entry.is_some_and(|entry| entry.contains_key(key));
        let model = |key: &str| in_entry(key).then(|| self.name.to_owned());
        match &self.inside {
            Some((word, map)) if map.contains_key(key) => Place::Inside {
                word,
                model: model(word),
            },
            _ => model(key).map_or(Place::Option(key), Place::Entry),
        }
    }

    /// Records a fault in the word `key`, where it was written.
    pub fn fault(&mut self, key: &'static str, broken: Rule) {
        let place = self.place(key);
        self.faults.push(Fault::new(self.application, &place, key, broken));
    }

    /// Records a fault in the model as a whole: in its entry if it has one, in `key` if not.
    pub fn fault_of_model(&mut self, key: &'static str, broken: Rule) {
        let place = match (&self.inside, self.entry) {
            (Some((word, _)), entry) => Place::Inside {
                word,
                model: entry.map(|_| self.name.to_owned()),
            },
            (None, Some(_)) => Place::Entry(self.name.to_owned()),
            (None, None) => Place::Option(key),
        };
        self.faults.push(Fault::new(self.application, &place, key, broken));
    }

    /// Whether anything was found to be wrong so far.
    pub fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Whether the model has an entry, and so a name that can be changed there.
    pub fn is_entry(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn unknown_words(&mut self) {
        for key in self.entry.map(|entry| unknown_keys(entry, &WORDS)).unwrap_or_default() {
            let broken = Rule::new(format!("is no word of a model{}", near(&key, &WORDS)), "");
            let place = Place::Entry(self.name.to_owned());
            self.faults.push(Fault::new(self.application, &place, &key, broken));
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

    pub fn text<T>(&mut self, key: &'static str, parse: fn(&str) -> Result<T, Rule>) -> Option<T> {
        self.take(key, |value| match value {
            Value::String(text) => parse(text.trim()),
            other => Err(Rule::new(
                format!("must be text, not {}: put it in quotes", value::type_name(other)),
                "",
            )),
        })
    }

    pub fn yaml<T>(&mut self, key: &'static str, parse: fn(&Value) -> Result<T, Rule>) -> Option<T> {
        self.take(key, |value| match value {
            Value::String(text) => parse(&yaml(text)?),
            other => parse(other),
        })
    }

    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u16>) -> Option<u16> {
        self.take(key, |value| value::number(value, range.clone()))
    }

    pub(super) fn take<T>(&mut self, key: &'static str, parse: impl FnOnce(&Value) -> Result<T, Rule>) -> Option<T> {
        match parse(&self.raw(key)?) {
            Ok(parsed) => Some(parsed),
            Err(broken) => {
                self.fault(key, broken);
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
