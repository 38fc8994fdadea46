//! Parameters of a model server.

use serde_yaml::{Mapping, Value};

use super::{Violation, as_typed, either, not_a_map, untagged};

/// A parameter of a model server in Seldon's form: the value is text, the type says how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub value: String,
    /// INT, FLOAT, DOUBLE, STRING or BOOL.
    pub kind: &'static str,
}

pub(crate) const PARAMETER_TYPES: [&str; 5] = ["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"];

/// A map of name to value, or to `{type, value}` where YAML would infer another type.
pub(crate) fn parameters(value: &Value) -> Result<Vec<Parameter>, Violation> {
    const EXAMPLE: &str = "{method: predict}";
    let Value::Mapping(map) = value else {
        return Err(not_a_map(value, EXAMPLE));
    };
    let mut parameters: Vec<Parameter> = map
        .iter()
        .map(|(name, value)| {
            let name = name
                .as_str()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| Violation::new("keys must be text", EXAMPLE))?;
            parameter(name, value)
        })
        .collect::<Result<_, _>>()?;
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(parameters)
}

fn parameter(name: &str, value: &Value) -> Result<Parameter, Violation> {
    let make = |kind, value| Parameter {
        name: name.to_owned(),
        value,
        kind,
    };
    if let Some(text) = as_typed(value) {
        let kind = parameter_type(value);
        return match parameter_rule(kind, &text) {
            None => Ok(make(kind, text)),
            // Only YAML reads `0x1F` and `.inf` as numbers.
            Some(_) => Err(Violation::new("must be text, put it in quotes", "{method: predict}")
                .with_detail("or a decimal number")
                .in_part(name)),
        };
    }
    if value.is_null() {
        return Err(Violation::new("is empty, for text put it in quotes", "{method: predict}").in_part(name));
    }
    let violation = || {
        let example = format!("{{{name}: {{type: DOUBLE, value: 0.5}}}}");
        Violation::new("must be a value or {type, value}", example)
            .with_detail(format!("type: {}", either(&PARAMETER_TYPES)))
            .in_part(name)
    };
    let map = value.as_mapping().filter(|map| map.len() == 2);
    let kind = map
        .and_then(|map| map.get("type"))
        .and_then(Value::as_str)
        .and_then(|kind| PARAMETER_TYPES.into_iter().find(|known| *known == kind))
        .ok_or_else(violation)?;
    let text = map
        .and_then(|map| map.get("value"))
        .and_then(as_typed)
        .ok_or_else(violation)?;
    match parameter_rule(kind, &text) {
        None => Ok(make(kind, text)),
        Some(rule) => Err(Violation::new(rule, format!("{{{name}: {{type: DOUBLE, value: 0.5}}}}")).in_part(name)),
    }
}

fn parameter_type(value: &Value) -> &'static str {
    match untagged(value) {
        Value::Number(number) if number.is_f64() => "FLOAT",
        Value::Number(_) => "INT",
        Value::Bool(_) => "BOOL",
        _ => "STRING",
    }
}

/// A parameter whose value has the text that was typed, though it is not in the usual form of its type.
pub(crate) fn with_type(parameter: Value) -> Value {
    let text = |value: &Value| as_typed(value).map_or(Value::Null, Value::from);
    let fields: Mapping = match &parameter {
        Value::Tagged(_) => [("type", parameter_type(&parameter).into()), ("value", text(&parameter))]
            .into_iter()
            .map(|(key, value): (&str, Value)| (key.into(), value))
            .collect(),
        Value::Mapping(fields) => fields
            .iter()
            .map(|(key, value)| match value {
                Value::Tagged(_) => (key.clone(), text(value)),
                other => (key.clone(), other.clone()),
            })
            .collect(),
        _ => return parameter,
    };
    fields.into()
}

/// The rule that a parameter's value of this type violates. Seldon's wrapper reads it when the model starts (`python/seldon_core`,
/// `microservice.py`, `parse_parameters`).
pub(crate) fn parameter_rule(kind: &str, text: &str) -> Option<&'static str> {
    match kind {
        "INT" => text
            .parse::<i64>()
            .is_err()
            .then_some("must be a whole number with type INT"),
        "FLOAT" | "DOUBLE" => text
            .parse::<f64>()
            .is_err()
            .then_some("must be a number with that type"),
        _ => None,
    }
}
