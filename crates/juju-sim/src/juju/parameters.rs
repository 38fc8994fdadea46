//! The parameters of an action: what the client makes of a command line, and what the server and the unit make of that.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use super::{ActionSpec, Version};

/// How parameters are given to `juju run`, or to `juju run-action` of Juju 2.9, which reads them alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// `name=value`, where `name.key=value` makes a map.
    pub pairs: &'a [String],
    /// Whether values are text instead of YAML, as with `--string-args`.
    pub as_text: bool,
    /// The content of the file named by `--params`.
    pub file: Option<&'a str>,
}

impl Given<'_> {
    /// What the client sends (juju/juju, cmd/juju/action/run.go of 3.0 to 4.0, runaction.go of 2.9).
    ///
    /// # Errors
    /// What the client refuses, in its words.
    pub fn parameters(self) -> Result<BTreeMap<String, Value>> {
        let mut pairs = Vec::new();
        for pair in self.pairs {
            let (path, text) = pair
                .split_once('=')
                .with_context(|| format!("argument {pair:?} must be of the form key.key.key...=value"))?;
            let keys: Vec<&str> = path.split('.').collect();
            for key in &keys {
                ensure!(
                    is_name(key),
                    "key {key:?} must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens"
                );
            }
            pairs.push((keys, text));
        }
        let mut parameters = self.file.map(read_file).transpose()?.unwrap_or_default();
        for (keys, text) in pairs {
            let value = if self.as_text {
                Value::from(text)
            } else {
                read_value(text)?
            };
            insert(&mut parameters, &keys, value);
        }
        Ok(parameters.into_iter().collect())
    }
}

/// juju/charm, actions.go: `actionNameRule`.
fn is_name(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.bytes().next().is_some_and(is_plain)
        && key.bytes().last().is_some_and(is_plain)
        && key.bytes().all(|byte| is_plain(byte) || byte == b'-')
}

fn read_file(text: &str) -> Result<Map<String, Value>> {
    let yaml: serde_yaml::Value = serde_yaml::from_str(text)?;
    match serde_json::to_value(yaml) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        _ => bail!("params must contain a YAML map with string keys"),
    }
}

/// A value as YAML 1.1. Maps among them are of a type that encoding/json cannot write: the client converts them
/// (`conformantParams`) and then sends those that it has not converted (`actionParams`).
fn read_value(text: &str) -> Result<Value> {
    match text.trim() {
        // An empty document leaves the value as it was.
        "" => return Ok(Value::from(text)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Ok(Value::from(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Ok(Value::from(false)),
        _ => {}
    }
    let yaml: serde_yaml::Value = serde_yaml::from_str(text)?;
    let value = serde_json::to_value(yaml)
        .ok()
        .context("map keyed with non-string value")?;
    ensure!(
        !holds_map(&value),
        "json: unsupported type: map[interface {{}}]interface {{}}"
    );
    Ok(value)
}

fn holds_map(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(values) => values.iter().any(holds_map),
        _ => false,
    }
}

/// juju/juju, cmd/juju/action/common.go: `addValueToMap`.
fn insert(map: &mut Map<String, Value>, keys: &[&str], value: Value) {
    let Some((key, rest)) = keys.split_first() else {
        return;
    };
    if rest.is_empty() {
        map.insert((*key).to_owned(), value);
        return;
    }
    let inner = map.entry(*key).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

impl ActionSpec {
    /// The parameters as the action gets them, with the defaults of the schema.
    ///
    /// Looked at are type, enum, minimum, maximum, required and additionalProperties; other keywords of JSON Schema are not.
    ///
    /// # Errors
    /// What Juju of that version refuses, in its words.
    pub fn accept(
        &self,
        name: &str,
        version: &Version,
        given: BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>> {
        if version.at_least(4, 0, 0) {
            // The server stores every value with `%v` and gives out that text (juju/juju 4.0, domain/operation/state/start.go and
            // task.go); the unit then looks at it (internal/worker/uniter/runner/factory.go).
            let stored = self.with_defaults(given).into_iter();
            let stored = stored
                .map(|(name, value)| (name, Value::from(as_go_prints(&value))))
                .collect();
            let refused = |why: anyhow::Error| anyhow::anyhow!("cannot run {name:?} action: {why:#}");
            self.validate(&stored).map_err(refused)?;
            return Ok(stored);
        }
        self.validate(&given)?;
        // juju/gojsonschema, defaults.go: it steps into a map and takes for granted that its schema has properties.
        let steps_into = |(name, schema): (&String, &Value)| {
            given.get(name).is_some_and(Value::is_object) && schema.get("properties").is_none()
        };
        ensure!(
            !self.params.iter().any(steps_into),
            "schema error caused a panic: interface conversion: interface {{}} is nil, not map[string]interface {{}}"
        );
        Ok(self.with_defaults(given))
    }

    fn with_defaults(&self, given: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let defaults = self.params.iter().filter_map(|(name, schema)| {
            let default = schema.get("default")?;
            Some((name.clone(), default.clone()))
        });
        let mut parameters: BTreeMap<String, Value> = defaults.collect();
        parameters.extend(given);
        parameters
    }

    /// juju/charm, actions.go, `ValidateParams`, by juju/gojsonschema.
    fn validate(&self, given: &BTreeMap<String, Value>) -> Result<()> {
        for (name, value) in given {
            let Some(schema) = self.params.get(name) else {
                ensure!(
                    self.additional_properties != Some(false),
                    "validation failed: (root) : additional property {name:?} is not allowed"
                );
                continue;
            };
            let kinds = kinds(schema);
            ensure!(
                kinds.is_empty() || kinds.iter().any(|kind| is_of(kind, value)),
                "validation failed: (root).{name} : must be of type {}, given {value}",
                match kinds.as_slice() {
                    [one] => (*one).to_owned(),
                    several => format!("[{}]", several.join(",")),
                }
            );
            within_bounds(name, value, schema)?;
        }
        for name in &self.required {
            ensure!(
                given.contains_key(name),
                "validation failed: (root) : {name:?} property is missing and required"
            );
        }
        Ok(())
    }
}

/// The types that a schema allows, one or a list.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// What a schema says of values of the right type: bounds are for numbers alone. The words are the library's, also where they say too
/// little of an inclusive bound.
fn within_bounds(name: &str, value: &Value, schema: &Value) -> Result<()> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    if let Some(number) = value.as_f64() {
        let (least, most) = (bound("minimum"), bound("maximum"));
        if let Some(least) = least.filter(|least| number < *least) {
            bail!("validation failed: (root).{name} : must be greater than {least}, given \"{value}\"");
        }
        if let Some(most) = most.filter(|most| number > *most) {
            bail!("validation failed: (root).{name} : must be lower than {most}, given \"{value}\"");
        }
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        ensure!(
            all.contains(value),
            "validation failed: (root).{name} : must match one of the enum values {}, given {value}",
            Value::from(all.clone())
        );
    }
    Ok(())
}

/// Go's `%v`.
fn as_go_prints(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(as_go_prints).collect();
            format!("[{}]", values.join(" "))
        }
        Value::Object(map) => {
            let mut pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", as_go_prints(value)))
                .collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ActionSpec, Given};

    fn sent(pairs: &[&str], as_text: bool, file: Option<&str>) -> Result<Value, String> {
        let pairs: Vec<String> = pairs.iter().map(ToString::to_string).collect();
        let given = Given {
            pairs: &pairs,
            as_text,
            file,
        };
        given
            .parameters()
            .map(|sent| json!(sent))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn arguments_are_read_as_the_client_reads_them() {
        let pairs = ["a=1", "b=yes", "c=[1, x]", "d.e=f", "d.g=2", "h=", "i=x=y", "j=null"];
        let read = json!({"a": 1, "b": true, "c": [1, "x"], "d": {"e": "f", "g": 2}, "h": "", "i": "x=y", "j": null});
        assert_eq!(sent(&pairs, false, None), Ok(read));
        let text = json!({"a": "1", "b": "yes", "c": "[1, x]", "d": {"e": "f", "g": "2"}, "h": "", "i": "x=y",
            "j": "null"});
        assert_eq!(sent(&pairs, true, None), Ok(text));
        assert_eq!(sent(&["a={b: 1}"], true, None), Ok(json!({"a": "{b: 1}"})));
        let file = Some("a: {b: 1}\nc: x\n");
        assert_eq!(
            sent(&["c=x y", "a.d=2"], false, file),
            Ok(json!({"a": {"b": 1, "d": 2}, "c": "x y"}))
        );
        assert_eq!(sent(&[], false, Some("")), Ok(json!({})));
    }

    #[test]
    fn typed_maps_are_refused_as_the_client_refuses_them() {
        let unsupported = "json: unsupported type: map[interface {}]interface {}";
        for pair in ["a={b: 1}", "a={}", "a=[{b: 1}]", "a={\"data\": {\"ndarray\": [[5.1]]}}"] {
            assert_eq!(sent(&[pair], false, None), Err(unsupported.to_owned()), "{pair}");
        }
        for (pair, why) in [
            ("a={[1]: 2}", "map keyed with non-string value"),
            ("a", "argument \"a\" must be of the form key.key.key...=value"),
            ("A=1", "key \"A\" must start and end with lowercase alphanumeric"),
            ("a.=1", "key \"\" must start"),
        ] {
            let error = sent(&[pair], false, None).unwrap_err();
            assert!(error.starts_with(why), "{pair}: {error}");
        }
        let error = sent(&[], false, Some("- a")).unwrap_err();
        assert_eq!(error, "params must contain a YAML map with string keys");
    }

    fn spec() -> ActionSpec {
        let spec = json!({
            "params": {
                "map": {"type": "object"},
                "either": {"type": ["string", "object"], "properties": {}},
                "count": {"type": ["integer", "string"], "minimum": 1, "maximum": 60, "default": 10},
                "flag": {"type": "boolean"},
            },
            "additionalProperties": false,
        });
        serde_json::from_value(spec).unwrap()
    }

    fn accepted(version: &str, given: &Value) -> Result<Value, String> {
        let given = given.as_object().unwrap().clone().into_iter().collect();
        spec()
            .accept("go", &version.parse().unwrap(), given)
            .map(|accepted| json!(accepted))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn type_lists_and_bounds_hold_up_to_juju_3() {
        for version in ["2.9.42", "3.6.1"] {
            for (given, why) in [
                (
                    json!({"count": 61}),
                    "(root).count : must be lower than 60, given \"61\"",
                ),
                (
                    json!({"count": 0}),
                    "(root).count : must be greater than 1, given \"0\"",
                ),
                (
                    json!({"count": 1.5}),
                    "(root).count : must be of type [integer,string], given 1.5",
                ),
                (
                    json!({"either": 1}),
                    "(root).either : must be of type [string,object], given 1",
                ),
                (
                    json!({"flag": "true"}),
                    "(root).flag : must be of type boolean, given \"true\"",
                ),
            ] {
                assert_eq!(accepted(version, &given), Err(format!("validation failed: {why}")));
            }
            let panic =
                "schema error caused a panic: interface conversion: interface {} is nil, not map[string]interface {}";
            assert_eq!(accepted(version, &json!({"map": {}})), Err(panic.to_owned()));
            for (given, got) in [
                (json!({}), json!({"count": 10})),
                (json!({"count": "61"}), json!({"count": "61"})),
                (json!({"either": {"a": 1}}), json!({"either": {"a": 1}, "count": 10})),
            ] {
                assert_eq!(accepted(version, &given), Ok(got), "{given}");
            }
        }
    }

    #[test]
    fn juju_4_passes_everything_on_as_text() {
        let given = json!({"either": {"b": [1, null], "a": {"x": true}}, "count": 61});
        let got = json!({"either": "map[a:map[x:true] b:[1 <nil>]]", "count": "61"});
        assert_eq!(accepted("4.0.15", &given), Ok(got));
        for (given, kind, text) in [
            (json!({"map": {"a": 1}}), "object", "map[a:1]"),
            (json!({"flag": true}), "boolean", "true"),
        ] {
            let name = given.as_object().unwrap().keys().next().unwrap().clone();
            assert_eq!(
                accepted("4.0.15", &given),
                Err(format!(
                    "cannot run \"go\" action: validation failed: (root).{name} : must be of type {kind}, given \"{text}\""
                ))
            );
        }
    }
}
