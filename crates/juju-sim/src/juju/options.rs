//! Charm options: their types, and what Juju refuses (juju/charm@v12:config.go).

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionType {
    /// Text; also what an option without a type is.
    #[default]
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A secret's URI, from Juju 3 on.
    Secret,
}

impl OptionType {
    /// The word in config.yaml.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Secret => "secret",
        }
    }
}

/// An option as config.yaml declares it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptionSpec {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: OptionType,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Its value when the operator set none; `None` is a nil in Juju.
    #[serde(default)]
    pub default: Option<Value>,
}

impl OptionSpec {
    /// Reads a value as `juju config <application> name=text` does.
    ///
    /// # Errors
    /// The text is not of the option's type; the wording is Juju's.
    pub fn parse(&self, name: &str, text: &str) -> Result<Value> {
        let parsed = match self.kind {
            OptionType::String => Some(Value::from(text)),
            OptionType::Int => text.parse::<i64>().ok().map(Value::from),
            OptionType::Float => text.parse::<f64>().ok().map(Value::from),
            OptionType::Boolean => parse_bool(text).map(Value::from),
            OptionType::Secret => (text.is_empty() || text.starts_with("secret:")).then(|| Value::from(text)),
        };
        let Some(value) = parsed else {
            bail!("option {name:?} expected {}, got {text:?}", self.kind.word());
        };
        Ok(value)
    }

    /// Takes a value that a YAML file gave, as `options` of a bundle.
    ///
    /// # Errors
    /// The value is not of the option's type; the wording is Juju's.
    pub fn accept(&self, name: &str, value: &Value) -> Result<Value> {
        let fits = match self.kind {
            OptionType::String => value.is_string(),
            OptionType::Int => value.is_i64(),
            OptionType::Float => value.is_number(),
            OptionType::Boolean => value.is_boolean(),
            OptionType::Secret => value
                .as_str()
                .is_some_and(|text| text.is_empty() || text.starts_with("secret:")),
        };
        if fits {
            return Ok(value.clone());
        }
        bail!("option {name:?} expected {}, got {value}", self.kind.word());
    }
}

/// Go's strconv.ParseBool.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{OptionSpec, OptionType};
    use serde_json::json;

    fn of(kind: OptionType) -> OptionSpec {
        OptionSpec {
            kind,
            ..OptionSpec::default()
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_in_jujus_words() {
        let error = of(OptionType::Int).parse("replicas", "many").unwrap_err();
        assert_eq!(error.to_string(), r#"option "replicas" expected int, got "many""#);
        let error = of(OptionType::String).accept("image", &json!(3)).unwrap_err();
        assert_eq!(error.to_string(), r#"option "image" expected string, got 3"#);
    }

    #[test]
    fn values_keep_their_type() {
        assert_eq!(of(OptionType::Int).parse("n", "3").unwrap(), json!(3));
        assert_eq!(of(OptionType::Boolean).parse("b", "True").unwrap(), json!(true));
        assert_eq!(of(OptionType::Float).parse("f", "0.5").unwrap(), json!(0.5));
        assert_eq!(of(OptionType::String).parse("s", "3").unwrap(), json!("3"));
    }
}
