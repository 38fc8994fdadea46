//! The words of a map that is itself the value of a word, each fault with its place in that map.

use serde_yaml::{Mapping, Value};

use super::suggestion;
use super::value::{self, Violation};

/// A map, and where it is in the value of the option.
pub struct Reader<'a> {
    map: &'a Mapping,
    location: String,
    example: &'static str,
}

impl<'a> Reader<'a> {
    /// The map at that place, which is empty for the whole value.
    pub fn at_location(map: &'a Mapping, location: &str, example: &'static str) -> Self {
        Self {
            map,
            location: location.to_owned(),
            example,
        }
    }

    /// A value that must be a map of these words and no others.
    pub fn of(value: &'a Value, known: &[&str], example: &'static str) -> Result<Self, Violation> {
        let Value::Mapping(map) = value else {
            let rule = format!("must be a YAML map, not {}", value::type_name(value));
            return Err(Violation::new(rule, example));
        };
        let reader = Self::at_location(map, "", example);
        reader.knows(known)?;
        Ok(reader)
    }

    /// The map that a word says, of these words and no others.
    pub fn map(&self, key: &str, known: &[&str]) -> Result<Option<Reader<'a>>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::Mapping(map)) => {
                let reader = Self::at_location(map, &self.at(key), self.example);
                reader.knows(known)?;
                Ok(Some(reader))
            }
            Some(other) => Err(self.refuse(key, &format!("must be a map, not {}", value::type_name(other)))),
        }
    }

    fn knows(&self, known: &[&str]) -> Result<(), Violation> {
        match suggestion::unknown_keys(self.map, known).first() {
            None => Ok(()),
            Some(unknown) => {
                let near = suggestion::suggestion(unknown, known);
                let options = known.join(", ");
                Err(Violation::new(
                    format!("{}: is none of {options}{near}", self.at(unknown)),
                    self.example,
                ))
            }
        }
    }

    /// The place of a word.
    pub fn at(&self, key: &str) -> String {
        if self.location.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.location)
        }
    }

    /// The value of a word, if it says something.
    pub fn raw(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// That the word breaks a rule.
    pub fn refuse(&self, key: &str, rule: &str) -> Violation {
        Violation::new(format!("{} {rule}", self.at(key)), self.example)
    }

    /// A text that is parsed.
    pub fn text<T>(&self, key: &str, parse: fn(&str) -> Result<T, Violation>) -> Result<Option<T>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::String(text)) => parse(text.trim()).map(Some).map_err(|rule| self.put(key, rule)),
            Some(_) => Err(self.refuse(key, "must be text: put it in quotes")),
        }
    }

    /// A value of any form that is parsed.
    pub fn yaml<T>(&self, key: &str, parse: fn(&Value) -> Result<T, Violation>) -> Result<Option<T>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(value) => parse(value).map(Some).map_err(|rule| self.put(key, rule)),
        }
    }

    /// A whole number within a range.
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<u16>) -> Result<Option<u16>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(value) => value::number(value, range)
                .map(Some)
                .map_err(|rule| self.put(key, rule)),
        }
    }

    /// One of a few words.
    pub fn one_of(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(value) => {
                let found = known.iter().find(|one| value.as_str() == Some(one));
                let rule = || self.refuse(key, &format!("must be one of {}", known.join(", ")));
                found.copied().map(Some).ok_or_else(rule)
            }
        }
    }

    /// True or false; false where nothing is said.
    pub fn flag(&self, key: &str) -> Result<bool, Violation> {
        match self.raw(key) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(self.refuse(key, "must be true or false")),
        }
    }

    /// A rule for a value, with the value's place.
    fn put(&self, key: &str, violation: Violation) -> Violation {
        let value = violation.value.map(|value| format!("={value:?}")).unwrap_or_default();
        Violation::new(format!("{}{value}: {}", self.at(key), violation.rule), self.example)
    }
}
