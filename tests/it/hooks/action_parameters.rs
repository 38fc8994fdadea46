//! Parameters of actions on a command line: which forms work on every Juju, and what Juju or the charm rejects.

use juju_sim::juju::{ActionSpec, Charm, Given};
use serde_json::{Value, json};

use crate::support::{Edge, assert_contains};

/// A version each of Juju 2.9, 3 and 4.
const VERSIONS: [&str; 3] = ["2.9.42", "3.6.1", "4.0.15"];

struct Parameter {
    action: String,
    spec: ActionSpec,
    name: String,
    schema: Value,
}

impl Parameter {
    fn is_of(&self, kind: &str) -> bool {
        let kinds = &self.schema["type"];
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
    }

    /// Arguments with this parameter as that text, and the others that the action requires.
    fn given(&self, text: &str) -> Vec<String> {
        let needed = match self.action.as_str() {
            "predict" => Some(("data", "{}")),
            "feedback" => Some(("reward", "1")),
            _ => None,
        };
        let needed = needed.filter(|(name, _)| *name != self.name);
        let pairs = needed.into_iter().chain([(self.name.as_str(), text)]);
        pairs.map(|(name, text)| format!("{name}={text}")).collect()
    }
}

fn parameters() -> Vec<Parameter> {
    let charm = Charm::read(env!("CARGO_MANIFEST_DIR").as_ref()).unwrap();
    let mut all = Vec::new();
    for (action, spec) in charm.actions {
        for (name, schema) in spec.params.clone() {
            all.push(Parameter {
                action: action.clone(),
                spec: spec.clone(),
                name,
                schema,
            });
        }
    }
    assert!(all.len() > 15, "{} parameters", all.len());
    all
}

fn edge(version: &str) -> Edge {
    let mut edge = Edge::new("edge");
    edge.world.version = version.parse().unwrap();
    edge
}

/// Why the action failed, with these arguments as text; there is no cluster, so all fail but `report`, which shows that.
fn failure(edge: &mut Edge, action: &str, pairs: &[String]) -> String {
    let given = Given {
        pairs,
        as_text: true,
        file: None,
    };
    let ended = edge.act_given(action, given).unwrap();
    assert!(ended.status == "failed" || action == "report", "{ended:?}");
    ended.message
}

#[test]
fn every_parameter_takes_text_on_every_juju() {
    for parameter in parameters() {
        let Parameter { action, name, .. } = &parameter;
        assert!(parameter.is_of("string"), "{action} {name}: its types lack string");
        for version in VERSIONS {
            let pairs = parameter.given("text");
            let given = Given {
                pairs: &pairs,
                as_text: true,
                file: None,
            };
            let sent = given.parameters().unwrap();
            let accepted = parameter.spec.accept(action, &version.parse().unwrap(), sent);
            assert_eq!(accepted.unwrap()[name], "text", "{action} {name} on {version}");
        }
    }
}

#[test]
fn text_of_wrong_form_is_rejected_with_rule() {
    for version in VERSIONS {
        let mut edge = edge(version);
        for parameter in parameters() {
            let Parameter {
                action, name, schema, ..
            } = &parameter;
            let bound = |key: &str| schema[key].as_i64();
            let (rule, right, mut wrong) = if parameter.is_of("object") {
                (
                    "a map in JSON or YAML".to_owned(),
                    "{}",
                    vec!["x".to_owned(), "[]".to_owned()],
                )
            } else if parameter.is_of("integer") {
                let (least, most) = (bound("minimum").unwrap(), bound("maximum").unwrap());
                (
                    format!("a whole number from {least} to {most}"),
                    "1",
                    vec![(least - 1).to_string(), (most + 1).to_string(), "1.5".to_owned()],
                )
            } else if parameter.is_of("number") {
                ("a number".to_owned(), "-0.5", vec!["nan".to_owned()])
            } else if parameter.is_of("boolean") {
                ("true or false".to_owned(), "true", vec!["2".to_owned()])
            } else {
                continue;
            };
            let rule = format!("parameter {name}: must be {rule}");
            wrong.push("text".to_owned());
            for wrong in wrong {
                let message = failure(&mut edge, action, &parameter.given(&wrong));
                assert_contains(&message, &[&rule, &format!("{name}=")]);
            }
            let message = failure(&mut edge, action, &parameter.given(right));
            assert!(
                !message.contains("must be"),
                "{action} {name}={right} on {version}: {message}"
            );
        }
    }
}

#[test]
fn typed_map_is_rejected_as_by_juju() {
    for version in VERSIONS {
        let mut edge = edge(version);
        let mut typed = |action: &str, pair: &str| {
            let given = Given {
                pairs: &[pair.to_owned()],
                ..Given::default()
            };
            edge.act_given(action, given).unwrap_err()
        };
        for (action, pair) in [
            ("predict", "data={\"data\": {\"ndarray\": [[5.1]]}}"),
            ("feedback", "truth={a: 1}"),
            ("plan", "config={replicas: 2}"),
        ] {
            let message = typed(action, pair);
            assert_eq!(
                message, "json: unsupported type: map[interface {}]interface {}",
                "{version}"
            );
        }
        assert_contains(
            &typed("predict", "timeout=5"),
            &["\"data\" property is missing and required"],
        );
        assert_contains(
            &typed("plan", "confg=x"),
            &["additional property \"confg\" is not allowed"],
        );
    }
}

/// Juju 4 sends it as Go's text form of a map.
#[test]
fn map_of_a_file_works_before_juju_4() {
    for (version, map_is_read) in VERSIONS.into_iter().zip([true, true, false]) {
        let mut edge = edge(version);
        let mut failure = |action: &str, pairs: &[String], file: Option<&str>| {
            let given = Given {
                pairs,
                as_text: false,
                file,
            };
            edge.act_given(action, given).unwrap().message
        };
        let rule = "parameter config: must be a map in JSON or YAML, such as --string-args config='{…}'";
        for message in [
            failure("plan", &[], Some("config: {replicas: 2}")),
            failure("plan", &["config.replicas=2".to_owned()], None),
        ] {
            assert_eq!(message == rule, !map_is_read, "{version}: {message}");
        }
        // Text in a file works everywhere.
        let message = failure("plan", &[], Some("config: |\n  replicas: 2\n"));
        assert!(!message.contains("must be"), "{version}: {message}");
    }
}
