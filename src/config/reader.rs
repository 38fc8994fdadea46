//! The words of a map that is itself the value of a word, each fault with its place in that map.

use serde_yaml::{Mapping, Value};

use super::suggestion;
use super::value::{self, Rule};

/// A map, and where it is in the value of the option.
pub struct Reader<'a> {
    map: &'a Mapping,
    place: String,
    example: &'static str,
}

impl<'a> Reader<'a> {
    /// The map at that place, which is empty for the whole value.
    pub fn at_place(map: &'a Mapping, place: &str, example: &'static str) -> Self {
        Self {
            map,
            place: place.to_owned(),
            example,
        }
    }

    /// A value that must be a map of these words and no others.
    pub fn of(value: &'a Value, known: &[&str], example: &'static str) -> Result<Self, Rule> {
        let Value::Mapping(map) = value else {
            let rule = format!("must be a YAML map, not {}", value::type_name(value));
            return Err(Rule::new(rule, example));
        };
        let reader = Self::at_place(map, "", example);
        reader.knows(known)?;
        Ok(reader)
    }

    /// The map that a word says, of these words and no others.
    pub fn map(&self, word: &str, known: &[&str]) -> Result<Option<Reader<'a>>, Rule> {
        match self.raw(word) {
            None => Ok(None),
            Some(Value::Mapping(map)) => {
                let reader = Self::at_place(map, &self.at(word), self.example);
                reader.knows(known)?;
                Ok(Some(reader))
            }
            Some(other) => Err(self.refuse(word, &format!("must be a map, not {}", value::type_name(other)))),
        }
    }

    fn knows(&self, known: &[&str]) -> Result<(), Rule> {
        match suggestion::unknown_keys(self.map, known).first() {
            None => Ok(()),
            Some(unknown) => {
                let near = suggestion::near(unknown, known);
                let words = known.join(", ");
                Err(Rule::new(
                    format!("{}: is none of {words}{near}", self.at(unknown)),
                    self.example,
                ))
            }
        }
    }

    /// The place of a word.
    pub fn at(&self, word: &str) -> String {
        if self.place.is_empty() {
            word.to_owned()
        } else {
            format!("{}.{word}", self.place)
        }
    }

    /// The value of a word, if it says something.
    pub fn raw(&self, word: &str) -> Option<&'a Value> {
        self.map.get(word).filter(|value| !value.is_null())
    }

    /// That the word breaks a rule.
    pub fn refuse(&self, word: &str, rule: &str) -> Rule {
        Rule::new(format!("{} {rule}", self.at(word)), self.example)
    }

    /// A text that is parsed.
    pub fn text<T>(&self, word: &str, parse: fn(&str) -> Result<T, Rule>) -> Result<Option<T>, Rule> {
        match self.raw(word) {
            None => Ok(None),
            Some(Value::String(text)) => parse(text.trim()).map(Some).map_err(|rule| self.put(word, rule)),
            Some(_) => Err(self.refuse(word, "must be text: put it in quotes")),
        }
    }

    /// A value of any form that is parsed.
    pub fn yaml<T>(&self, word: &str, parse: fn(&Value) -> Result<T, Rule>) -> Result<Option<T>, Rule> {
        match self.raw(word) {
            None => Ok(None),
            Some(value) => parse(value).map(Some).map_err(|rule| self.put(word, rule)),
        }
    }

    /// A whole number within a range.
    pub fn number(&self, word: &str, range: std::ops::RangeInclusive<u16>) -> Result<Option<u16>, Rule> {
        match self.raw(word) {
            None => Ok(None),
            Some(value) => value::number(value, range)
                .map(Some)
                .map_err(|rule| self.put(word, rule)),
        }
    }

    /// One of a few words.
    pub fn one_of(&self, word: &str, known: &[&'static str]) -> Result<Option<&'static str>, Rule> {
        match self.raw(word) {
            None => Ok(None),
            Some(value) => {
                let found = known.iter().find(|one| value.as_str() == Some(one));
                let rule = || self.refuse(word, &format!("must be one of {}", known.join(", ")));
                found.copied().map(Some).ok_or_else(rule)
            }
        }
    }

    /// True or false; false where nothing is said.
    pub fn flag(&self, word: &str) -> Result<bool, Rule> {
        match self.raw(word) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(self.refuse(word, "must be true or false")),
        }
    }

    /// A rule for a value, with the value's place.
    fn put(&self, word: &str, broken: Rule) -> Rule {
        let value = broken.value.map(|value| format!("={value:?}")).unwrap_or_default();
        Rule::new(format!("{}{value}: {}", self.at(word), broken.rule), self.example)
    }
}
