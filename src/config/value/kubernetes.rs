//! Parts of Kubernetes objects that are written in Kubernetes' own words.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::{Violation, scalar};

/// YAML as the Kubernetes API takes it: keys are text, and what is null is as good as not there.
pub(crate) fn json(value: &Value, location: &str, example: &str) -> Result<Json, Violation> {
    let refuse = |what: &str| Violation::new(format!("{location} {what}"), example);
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Number(_) => serde_json::to_value(value)
            .ok()
            .filter(|number| !number.is_null())
            .ok_or_else(|| refuse("is a number that JSON cannot say"))?,
        Value::String(text) => Json::String(text.clone()),
        Value::Sequence(list) => (0..)
            .zip(list)
            .map(|(at, item)| json(item, &format!("{location}[{at}]"), example))
            .collect::<Result<_, _>>()?,
        Value::Mapping(map) => {
            let mut object = Map::new();
            for (key, value) in map {
                let key = scalar(key).ok_or_else(|| refuse("has a name that is not text"))?;
                let value = json(value, &below(location, &key), example)?;
                if !value.is_null() {
                    object.insert(key, value);
                }
            }
            Json::Object(object)
        }
        Value::Tagged(_) => return Err(refuse("has a tag of YAML")),
    })
}

/// The one default of Seldon's definition, the protocol of a port: the API server would add it, and the object in the cluster
/// would differ from what was asked for ever.
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

/// That a value is of another kind than Kubernetes or Seldon have there.
pub(crate) fn schema_violation(
    error: &serde_path_to_error::Error<serde_json::Error>,
    location: &str,
    example: &str,
) -> Violation {
    // The library's own words repeat the value.
    let why = error.inner().to_string();
    let expected = why.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    let kind = match expected {
        "i64" | "i32" => "a whole number",
        "a string" => "text, in quotes where YAML would take it for something else",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ => "a map",
    };
    let within = error.path().to_string();
    let location = if within == "." {
        location.to_owned()
    } else {
        below(location, &within)
    };
    Violation::new(format!("{location} must be {kind}"), example)
}

/// Sees that all of a value is what Kubernetes has in a part of that type.
pub(crate) fn is_a<T>(value: &Json, location: &str, example: &str) -> Result<(), Violation>
where
    T: DeserializeOwned + Serialize,
{
    let read: T =
        serde_path_to_error::deserialize(value).map_err(|error| schema_violation(&error, location, example))?;
    let known = serde_json::to_value(read).unwrap_or_default();
    match unknown(value, &known, location) {
        None => Ok(()),
        Some(location) => Err(Violation::new(
            format!("{location} is nothing that Kubernetes knows"),
            example,
        )),
    }
}

/// The place of the first part that was not taken over.
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
            .find_map(|(at, (written, known))| unknown(written, known, &format!("{location}[{at}]"))),
        _ => None,
    }
}

fn below(location: &str, key: &str) -> String {
    if location.is_empty() {
        key.to_owned()
    } else {
        format!("{location}.{key}")
    }
}
