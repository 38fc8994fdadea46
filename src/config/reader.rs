//! Reads the keys of a map inside an option's value; each violation names its location in that map.

use serde_yaml::{Mapping, Value};

use super::suggestion::{unknown_key, unknown_keys};
use super::value::{self, Violation};

/// A map, and its location in the value of the option.
pub struct Reader<'a> {
    map: &'a Mapping,
    location: String,
    example: &'static str,
}

impl<'a> Reader<'a> {
    /// An empty location is the whole value.
    pub fn at_location(map: &'a Mapping, location: &str, example: &'static str) -> Self {
        Self {
            map,
            location: location.to_owned(),
            example,
        }
    }

    /// A value that must be a map of these keys and no others.
    pub fn new(value: &'a Value, known: &[&str], example: &'static str) -> Result<Self, Violation> {
        let Value::Mapping(map) = value else {
            return Err(value::not_a_map(value, example));
        };
        let reader = Self::at_location(map, "", example);
        reader.check_keys(known)?;
        Ok(reader)
    }

    /// The map under a key, which may have these keys and no others.
    pub fn map(&self, key: &str, known: &[&str]) -> Result<Option<Reader<'a>>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::Mapping(map)) => {
                let reader = Self::at_location(map, &self.location_of(key), self.example);
                reader.check_keys(known)?;
                Ok(Some(reader))
            }
            Some(other) => Err(self.violation(key, &format!("must be a map, not {}", value::type_name(other)))),
        }
    }

    fn check_keys(&self, known: &[&str]) -> Result<(), Violation> {
        match unknown_keys(self.map, known).first() {
            None => Ok(()),
            Some(unknown) => Err(unknown_key(unknown, known, self.example).in_part(&self.location)),
        }
    }

    pub fn location_of(&self, key: &str) -> String {
        if self.location.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.location)
        }
    }

    /// The value of a key; null is unset.
    pub fn raw(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub fn violation(&self, key: &str, rule: &str) -> Violation {
        Violation::new(rule, self.example).in_part(&self.location_of(key))
    }

    pub fn text<T>(&self, key: &str, parse: fn(&str) -> Result<T, Violation>) -> Result<Option<T>, Violation> {
        match self.raw(key) {
            None => Ok(None),
            Some(Value::String(text)) => parse(text.trim())
                .map(Some)
                .map_err(|violation| self.located(key, violation)),
            Some(_) => Err(self.violation(key, "must be text, put it in quotes")),
        }
    }

    pub fn yaml<T>(&self, key: &str, parse: fn(&Value) -> Result<T, Violation>) -> Result<Option<T>, Violation> {
        self.raw(key)
            .map(|value| parse(value).map_err(|violation| self.located(key, violation)))
            .transpose()
    }

    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<u16>) -> Result<Option<u16>, Violation> {
        self.raw(key)
            .map(|value| value::number(value, range).map_err(|violation| self.located(key, violation)))
            .transpose()
    }

    pub fn one_of(&self, key: &str, known: &[&'static str]) -> Result<Option<&'static str>, Violation> {
        /// Longest list of values that a rule repeats, in bytes.
        const LONGEST: usize = 32;
        let Some(value) = self.raw(key) else {
            return Ok(None);
        };
        let matching = known.iter().find(|candidate| value.as_str() == Some(candidate));
        let list = value::either(known);
        matching.copied().map(Some).ok_or_else(|| {
            if list.len() <= LONGEST {
                self.violation(key, &format!("must be {list}"))
            } else {
                self.violation(key, &format!("is not a valid {key}"))
                    .with_detail(format!("expected {list}"))
            }
        })
    }

    /// True or false; false where it is unset.
    pub fn flag(&self, key: &str) -> Result<bool, Violation> {
        match self.raw(key).map(value::untagged) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(self.violation(key, "must be true or false")),
        }
    }

    /// The violation of a part's own rule, with the example of the whole value.
    fn located(&self, key: &str, violation: Violation) -> Violation {
        Violation {
            example: self.example.to_owned(),
            ..violation.in_part(&self.location_of(key))
        }
    }
}
