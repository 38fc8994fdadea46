//! docs/reference/options.md is generated from config.yaml, actions.yaml and metadata.yaml, so that it cannot differ from
//! the charm.
//!
//! `UPDATE_DOCS=1 cargo test --test it reference`, or `just docs`, writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_yaml::{Mapping, Value};

pub fn read(file: &str) -> Mapping {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A description as Markdown: lines that begin with Form, Default or Example become items, indented ones YAML.
fn markdown(description: &str) -> String {
    let mut text = String::new();
    let mut code = false;
    for line in description.trim_end().lines() {
        let indented = line.strip_prefix("    ");
        if indented.is_some() != code && !line.is_empty() {
            // The blank line before it exists already.
            text.push_str(if code { "```\n" } else { "```yaml\n" });
            code = !code;
        }
        let item = ["Form:", "Default:", "Example:"]
            .iter()
            .find_map(|head| Some((head, line.strip_prefix(head)?)));
        match (item, indented) {
            (Some((head, rest)), _) => writeln!(text, "- **{head}**{rest}"),
            (None, Some(code)) => writeln!(text, "{code}"),
            (None, None) => writeln!(text, "{line}"),
        }
        .unwrap();
    }
    if code {
        text.push_str("```\n");
    }
    text
}

struct Topic {
    name: &'static str,
    /// Separated by blanks.
    options: &'static str,
    /// Texts, and files below examples/models.
    examples: &'static [(&'static str, &'static str)],
}

const TOPICS: [Topic; 8] = [
    Topic {
        name: "what is served",
        options: "image implementation model-uri graph manifest protocol parameters env",
        examples: &[
            ("an image", "image"),
            ("prepackaged servers", "prepackaged-servers"),
            ("a graph", "graph"),
            ("routers", "router"),
            ("manifests", "manifest"),
        ],
    },
    Topic {
        name: "pods",
        options: "resources engine-resources replicas autoscale disruption-budget pod image-pull-policy labels annotations",
        examples: &[("autoscaling", "autoscale"), ("a GPU or a volume", "pod")],
    },
    Topic {
        name: "credentials",
        options: "image-pull-secret storage-secret",
        examples: &[("a private registry", "private-registry")],
    },
    Topic {
        name: "address",
        options: "prefix hosts grpc-host gateway timeout retries headers access",
        examples: &[("a route", "route"), ("tokens only", "access")],
    },
    Topic {
        name: "other versions",
        options: "canary shadow",
        examples: &[
            ("a canary", "canary"),
            ("blue-green by header", "blue-green"),
            ("a shadow", "shadow"),
        ],
    },
    Topic {
        name: "insight",
        options: "logger tracing explainer",
        examples: &[
            ("payload logs and traces", "logging-and-tracing"),
            ("an explainer", "explainer"),
        ],
    },
    Topic {
        name: "[many models](../how-to/multiple-models.md)",
        options: "models",
        examples: &[],
    },
    Topic {
        name: "the charm",
        options: "watch",
        examples: &[],
    },
];

/// The options by topic.
fn topics() -> String {
    let mut table = "| topic | options | examples |\n|---|---|---|\n".to_owned();
    for topic in &TOPICS {
        let names = topic.options.split(' ');
        let options: Vec<String> = names.map(|name| format!("[`{name}`](#{name})")).collect();
        let examples: Vec<String> = topic
            .examples
            .iter()
            .map(|(text, file)| format!("[{text}](../../examples/models/{file}.yaml)"))
            .collect();
        let cells = [topic.name.to_owned(), options.join(", "), examples.join(", ")];
        writeln!(table, "| {} |", cells.join(" | ").trim_end()).unwrap();
    }
    table
}

fn reference() -> String {
    let mut text = format!(
        "# Options\n\n`juju config iris` describes the options too. With `models` set, the options are the defaults of \
        every entry. Below the options are the [actions](#actions) and the [relations](#relations).\n\n\
        Generated from [config.yaml](../../config.yaml), [actions.yaml](../../actions.yaml) and \
        [metadata.yaml](../../metadata.yaml) by `just docs`.\n\n{}\n## Each option\n",
        topics()
    );
    let config = read("config.yaml");
    for (name, option) in config["options"].as_mapping().unwrap() {
        let kind = option["type"].as_str().unwrap();
        write!(text, "\n### `{}`\n\nType: {kind}.\n\n", name.as_str().unwrap()).unwrap();
        text.push_str(&markdown(option["description"].as_str().unwrap()));
    }
    text.push_str("\n## Actions\n");
    for (name, action) in read("actions.yaml") {
        let name = name.as_str().unwrap();
        write!(
            text,
            "\n### `{name}`\n\n{}",
            markdown(action["description"].as_str().unwrap())
        )
        .unwrap();
        for (parameter, value) in action.get("params").and_then(Value::as_mapping).into_iter().flatten() {
            let said = value["description"].as_str().unwrap().trim();
            write!(
                text,
                "\n- **`{}`** ({}): {said}\n",
                parameter.as_str().unwrap(),
                types(&value["type"])
            )
            .unwrap();
        }
    }
    text.push_str("\n## Relations\n");
    let metadata = read("metadata.yaml");
    for role in ["requires", "provides"] {
        for (name, endpoint) in metadata.get(role).and_then(Value::as_mapping).into_iter().flatten() {
            text.push_str(&relation(name.as_str().unwrap(), role, endpoint));
        }
    }
    text
}

/// The types of a parameter; text comes last.
fn types(kinds: &Value) -> String {
    let Value::Sequence(kinds) = kinds else {
        return kinds.as_str().unwrap().to_owned();
    };
    let mut kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str().unwrap()).collect();
    kinds.sort_by_key(|kind| *kind == "string");
    kinds.join(" or ")
}

fn relation(name: &str, role: &str, endpoint: &Value) -> String {
    let limit = endpoint.get("limit").and_then(Value::as_u64);
    let how_many = limit.map_or(String::new(), |limit| match limit {
        1 => ", with one application".to_owned(),
        limit => format!(", with up to {limit} applications"),
    });
    let optional = endpoint.get("optional").and_then(Value::as_bool).unwrap_or_default();
    let need = if optional || role == "provides" {
        "optional"
    } else {
        "needed"
    };
    format!(
        "\n### `{name}`\n\n{} the interface `{}`{how_many}; {need}.\n\n{}",
        if role == "requires" { "Requires" } else { "Provides" },
        endpoint["interface"].as_str().unwrap(),
        markdown(endpoint["description"].as_str().unwrap())
    )
}

#[test]
fn reference_matches_config_actions_and_metadata() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/options.md");
    let reference = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == reference,
        "docs/reference/options.md is not as config.yaml, actions.yaml and metadata.yaml: just docs"
    );
}

#[test]
fn every_option_has_one_topic() {
    let config = read("config.yaml");
    let options = config["options"].as_mapping().unwrap().keys();
    let mut options: Vec<&str> = options.map(|name| name.as_str().unwrap()).collect();
    let mut in_topics: Vec<&str> = TOPICS.iter().flat_map(|topic| topic.options.split(' ')).collect();
    options.sort_unstable();
    in_topics.sort_unstable();
    assert_eq!(in_topics, options);
}

#[test]
fn every_option_documents_form_default_and_example() {
    let config = read("config.yaml");
    for (name, option) in config["options"].as_mapping().unwrap() {
        let said = option["description"].as_str().unwrap();
        for part in ["\nForm: ", "\nDefault: ", "\nExample: "] {
            assert!(said.contains(part), "{name:?} has no{part}");
        }
    }
}
