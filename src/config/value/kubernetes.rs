//! Parts of Kubernetes objects in the form of the Kubernetes API.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::{Violation, name_in, scalar};

/// YAML as the Kubernetes API accepts it: keys are text, and null is unset.
pub(crate) fn json(value: &Value, location: &str, example: &str) -> Result<Json, Violation> {
    let violation = |rule: &str| Violation::new(rule, example).in_part(location);
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Number(_) => serde_json::to_value(value)
            .ok()
            .filter(|number| !number.is_null())
            .ok_or_else(|| violation("is not a number of JSON; for text put it in quotes"))?,
        Value::String(text) => Json::String(text.clone()),
        Value::Sequence(list) => (0..)
            .zip(list)
            .map(|(index, item)| json(item, &format!("{location}[{index}]"), example))
            .collect::<Result<_, _>>()?,
        Value::Mapping(map) => {
            let mut object = Map::new();
            for (key, value) in map {
                let key = scalar(key).ok_or_else(|| violation("keys must be text"))?;
                let value = json(value, &below(location, &key), example)?;
                if !value.is_null() {
                    object.insert(key, value);
                }
            }
            Json::Object(object)
        }
        Value::Tagged(tagged) => json(&tagged.value, location, example)?,
    })
}

/// The one default of Seldon's definition, the protocol of a port: the API server would add it, and the object in the cluster
/// would differ from the desired one for ever.
pub(crate) fn apply_defaults(value: &mut Json) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                if key == "ports" {
                    let ports = value.as_array_mut().into_iter().flatten();
                    let ports = ports.filter_map(Json::as_object_mut);
                    for port in ports.filter(|port| port.contains_key("containerPort")) {
                        port.entry("protocol").or_insert_with(|| "TCP".into());
                    }
                } else {
                    apply_defaults(value);
                }
            }
        }
        Json::Array(list) => list.iter_mut().for_each(apply_defaults),
        _ => {}
    }
}

/// A value has another type than Kubernetes or Seldon define.
pub(crate) fn schema_violation(
    error: &serde_path_to_error::Error<serde_json::Error>,
    location: &str,
    example: &str,
) -> Violation {
    // The library's own text repeats the value.
    let text = error.inner().to_string();
    let expected = text.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    let kind = match expected {
        "i64" | "i32" => "a whole number",
        "a string" => "text, put it in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ => "a map",
    };
    let path = error.path().to_string();
    let location = if path == "." {
        location.to_owned()
    } else {
        joined(location, &path)
    };
    Violation::new(format!("must be {kind}"), example).in_part(&location)
}

/// Checks that Kubernetes knows every key of a value of type `T`.
pub(crate) fn check_type<T>(value: &Json, location: &str, example: &str) -> Result<(), Violation>
where
    T: DeserializeOwned + Serialize,
{
    let read: T =
        serde_path_to_error::deserialize(value).map_err(|error| schema_violation(&error, location, example))?;
    let known = serde_json::to_value(read).unwrap_or_default();
    match unknown(value, &known, location) {
        None => Ok(()),
        Some(location) => Err(unknown_key(&location, example)),
    }
}

/// Kubernetes has no key at that location.
pub(crate) fn unknown_key(location: &str, example: &str) -> Violation {
    Violation::new(format!("unknown key `{location}`"), example).with_detail("not in the Kubernetes API")
}

/// The location of the first key that was not read.
fn unknown(written: &Json, known: &Json, location: &str) -> Option<String> {
    match (written, known) {
        (Json::Object(written), Json::Object(known)) => written.iter().find_map(|(key, value)| {
            let location = below(location, key);
            match known.get(key) {
                Some(known) => unknown(value, known, &location),
                None => Some(location),
            }
        }),
        (Json::Array(written), Json::Array(known)) => (0..)
            .zip(written.iter().zip(known))
            .find_map(|(index, (written, known))| unknown(written, known, &format!("{location}[{index}]"))),
        _ => None,
    }
}

/// The location of a key that somebody typed.
fn below(location: &str, key: &str) -> String {
    joined(location, name_in(key))
}

fn joined(location: &str, key: &str) -> String {
    if location.is_empty() {
        key.to_owned()
    } else {
        format!("{location}.{key}")
    }
}
