//! Reads the documents of a text into values that know how their scalars were typed.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess};
use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};

use super::{kubectl, syntax_violation};
use crate::config::value::{Violation, name_in};

/// The rules by which a plain scalar is text, a number, true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.2, for options of this charm.
    Options,
    /// YAML 1.1 as kubectl reads it, for Kubernetes' own objects.
    Kubectl,
}

/// Keys of this charm's options whose values are parts of Kubernetes' objects.
const OF_KUBERNETES: [&str; 4] = ["manifest", "pod", "metrics", "keda"];

impl Dialect {
    /// That of the value of a key.
    pub fn under(self, key: &str) -> Self {
        if OF_KUBERNETES.contains(&key) {
            Self::Kubectl
        } else {
            self
        }
    }
}

/// The documents of a text. A number, true or false that was typed in another form than its usual one (`1.10`, `0x1F`, `True`) has
/// that form as its tag; there are no other tags.
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Value>, Violation> {
    let file = File {
        text,
        violation: RefCell::new(None),
    };
    let read = |document| {
        let root = Node {
            file: &file,
            dialect,
            place: Place::Root,
        };
        root.deserialize(document).map_err(|error| file.violation(&error))
    };
    let documents: Result<Vec<Value>, Violation> = serde_yaml::Deserializer::from_str(text).map(read).collect();
    // The library tells either the value of a scalar or its text: the text is read once the types are known.
    let mut documents = documents?;
    for (value, document) in documents.iter_mut().zip(serde_yaml::Deserializer::from_str(text)) {
        AsTyped(value)
            .deserialize(document)
            .map_err(|error| syntax_violation(&error))?;
    }
    Ok(documents)
}

struct File<'a> {
    text: &'a str,
    /// What this module rejects; the library's errors hold text only.
    violation: RefCell<Option<Violation>>,
}

impl File<'_> {
    /// What is wrong, with its line and column.
    fn violation(&self, error: &serde_yaml::Error) -> Violation {
        match self.violation.take() {
            Some(violation) => Violation {
                rule: violation.rule + &super::line_and_column(error),
                ..violation
            },
            None => syntax_violation(error),
        }
    }

    /// Whether a part of the text is a scalar without quotes and without a tag.
    fn is_plain(&self, part: &str) -> bool {
        let begin = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let before = begin.and_then(|begin| self.text.get(..begin));
        before.is_some_and(|before| !before.ends_with(['"', '\'']) && !before.trim_end().ends_with("!!str"))
    }
}

/// Where a value is.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(name_in(key)),
            Self::Key(above, key) => write!(f, "{above}.{}", name_in(key)),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    file: &'a File<'a>,
    dialect: Dialect,
    place: Place<'a>,
}

impl Node<'_> {
    fn reject<E: de::Error>(&self, violation: Violation) -> E {
        *self.file.violation.borrow_mut() = Some(violation.in_part(&self.place.to_string()));
        E::custom("")
    }

    fn too_large<E: de::Error>(&self) -> E {
        let violation = Violation::new("has more than 64 bits; for text put it in quotes", "");
        self.reject(violation)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Value, E> {
        Err(self.too_large())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Value, E> {
        Err(self.too_large())
    }

    /// kubectl sends `1e3` and `2.0` as whole numbers.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        let whole = number.to_string().parse::<i64>().ok();
        let whole = whole.filter(|_| self.dialect == Dialect::Kubectl);
        Ok(whole.map_or_else(|| number.into(), Value::from))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    /// What is in quotes or plain, without escapes and on one line.
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Value, E> {
        let read = match self.dialect {
            Dialect::Kubectl if self.file.is_plain(text) => kubectl::scalar(text),
            _ => None,
        };
        Ok(read.unwrap_or_else(|| text.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Node {
            place: Place::Item(&self.place, list.len()),
            ..self
        })? {
            list.push(item);
        }
        Ok(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Mapping::new();
        while let Some(key) = entries.next_key_seed(Key {
            node: self,
            earlier: &map,
        })? {
            let value = entries.next_value_seed(Node {
                dialect: self.dialect.under(&key),
                place: Place::Key(&self.place, &key),
                ..self
            })?;
            map.insert(Value::String(key), value);
        }
        Ok(Value::Mapping(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.reject(Violation::new("must not have a YAML tag", "")))
    }
}

/// A key of a map, as it was typed.
struct Key<'a> {
    node: Node<'a>,
    earlier: &'a Mapping,
}

/// What the library expected where a key is a list or a map.
pub(super) const A_KEY: &str = "a key as text";

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl de::Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(A_KEY)
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.earlier.contains_key(key) {
            let violation = Violation::new(format!("duplicate key `{}`", name_in(key)), "");
            return Err(self.node.reject(violation));
        }
        Ok(key.to_owned())
    }
}

/// Tags the numbers and flags in a value that were not typed in their usual form.
struct AsTyped<'a>(&'a mut Value);

impl<'de> DeserializeSeed<'de> for AsTyped<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Value::Bool(_) | Value::Number(_) => deserializer.deserialize_str(self),
            Value::Sequence(_) => deserializer.deserialize_seq(self),
            Value::Mapping(_) => deserializer.deserialize_map(self),
            Value::Null | Value::String(_) | Value::Tagged(_) => IgnoredAny::deserialize(deserializer).map(drop),
        }
    }
}

impl<'de> de::Visitor<'de> for AsTyped<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same value")
    }

    fn visit_str<E: de::Error>(self, typed: &str) -> Result<(), E> {
        let usual = match &*self.0 {
            Value::Bool(yes) => yes.to_string(),
            Value::Number(number) => number.to_string(),
            _ => return Ok(()),
        };
        if typed != usual && !typed.is_empty() {
            let value = std::mem::take(self.0);
            *self.0 = Value::Tagged(Box::new(TaggedValue {
                tag: Tag::new(typed),
                value,
            }));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for item in self.0.as_sequence_mut().into_iter().flatten() {
            items.next_element_seed(AsTyped(item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        for (_, value) in self.0.as_mapping_mut().into_iter().flatten() {
            entries.next_key::<IgnoredAny>()?;
            entries.next_value_seed(AsTyped(value))?;
        }
        Ok(())
    }
}
