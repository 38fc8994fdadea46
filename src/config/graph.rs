//! Several nodes that a request goes through, as a tree: what is shorter than a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_yaml::Value;

use super::Source;
use super::check;
use super::reader::Reader;
use super::value::{self, Parameter, Protocol, PullPolicy, Resources, Violation};
use super::yaml::yaml;

const EXAMPLE: &str = "@graph.yaml";

/// Deepest that Seldon's definition lets a graph be (operator v1.16.0, `config/crd/bases`).
const DEEPEST: usize = 10;

/// Longest name of a node, as of a model: Seldon makes the label key `seldon-app-svc-<node>` of it.
const LONGEST_NAME: usize = 48;

/// Seldon's own A/B test, which its executor does itself (v1.17.1, `executor/predictor/predictor_process.go`).
const RANDOM_ABTEST: &str = "RANDOM_ABTEST";

/// What a node does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers it.
    Model,
    /// Changes it on its way to the children.
    Transformer,
    /// Changes the children's answer.
    OutputTransformer,
    /// Chooses a child.
    Router,
    /// Makes one answer of all children's.
    Combiner,
}

const KINDS: [(&str, Kind, &str); 5] = [
    ("model", Kind::Model, "MODEL"),
    ("transformer", Kind::Transformer, "TRANSFORMER"),
    ("output-transformer", Kind::OutputTransformer, "OUTPUT_TRANSFORMER"),
    ("router", Kind::Router, "ROUTER"),
    ("combiner", Kind::Combiner, "COMBINER"),
];

/// The words of a node beside its kind.
const GRAPH_KEYS: [&str; 9] = [
    "image",
    "implementation",
    "model-uri",
    "parameters",
    "env",
    "resources",
    "image-pull-policy",
    "own-pod",
    "children",
];

impl Kind {
    /// Seldon's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        KINDS
            .iter()
            .find(|(_, kind, _)| *kind == self)
            .map_or("MODEL", |(_, _, key)| key)
    }
}

/// A node of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, and that of its container.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// What serves it.
    pub source: Source,
    /// Parameters for it.
    pub parameters: Vec<Parameter>,
    /// Environment of its container.
    pub env: BTreeMap<String, String>,
    /// What its container asks for and may take.
    pub resources: Option<Resources>,
    /// When the node pulls its image; `None` where the option says so for all.
    pub image_pull_policy: Option<PullPolicy>,
    /// Whether it has a pod to itself.
    pub own_pod: bool,
    /// What comes behind it.
    pub children: Vec<Node>,
}

impl Node {
    /// It and all below it, in the order of the text.
    #[must_use]
    pub fn all(&self) -> Vec<&Node> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Node::all));
        all
    }

    /// Whether it runs in a container; Seldon's own A/B test does not.
    #[must_use]
    pub fn has_container(&self) -> bool {
        self.source
            .implementation
            .as_ref()
            .is_none_or(|name| name.to_string() != RANDOM_ABTEST)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.children.as_slice() {
            [] => Ok(()),
            [one] => write!(f, " > {one}"),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                write!(f, " > ({})", names.join(", "))
            }
        }
    }
}

/// Reads a graph.
pub(crate) fn graph(value: &Value, protocol: Option<Protocol>) -> Result<Node, Violation> {
    let node = match value {
        Value::String(text) => node(&yaml(text)?, "", protocol, 1),
        other => node(other, "", protocol, 1),
    }?;
    let mut names = BTreeSet::new();
    match node.all().into_iter().find(|node| !names.insert(&node.name)) {
        Some(twice) => Err(Violation::new(
            format!("has two nodes called {}; each needs a name of its own", twice.name),
            EXAMPLE,
        )),
        None => Ok(node),
    }
}

fn node(value: &Value, location: &str, protocol: Option<Protocol>, depth: usize) -> Result<Node, Violation> {
    let here = if location.is_empty() { "the graph" } else { location };
    let refuse = |rule: &str| Violation::new(format!("{here} {rule}"), EXAMPLE);
    let Value::Mapping(map) = value else {
        return Err(refuse(
            "must be a map, such as {model: iris, image: seldonio/sklearn-iris:0.3}",
        ));
    };
    if depth > DEEPEST {
        return Err(refuse(
            "lies deeper than ten nodes, which Seldon's definition does not take",
        ));
    }
    let kinds: Vec<_> = KINDS.iter().filter(|(key, _, _)| map.contains_key(*key)).collect();
    let [(key, kind, _)] = kinds.as_slice() else {
        return Err(refuse(
            "must have one of model, transformer, output-transformer, router and combiner, with the node's name",
        ));
    };
    let name = map.get(*key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.len() > LONGEST_NAME || !check::is_service_name(&name) {
        return Err(refuse(&format!(
            "has the name {key}={name:?}, which must be at most 48 small letters, digits and -, beginning with a letter and ending with none of -"
        )));
    }
    let known = [&GRAPH_KEYS[..], &[key]].concat();
    if let Some(unknown) = map
        .keys()
        .map(|key| key.as_str().unwrap_or_default())
        .find(|key| !known.contains(key))
    {
        let unknown = value::name_in(unknown);
        let near =
            value::nearest(unknown, &known).map_or_else(String::new, |key| format!("; the nearest known is {key}"));
        return Err(refuse(&format!("has {unknown:?}, which is no word of a node{near}")));
    }
    let read = Reader::at_location(map, location, EXAMPLE);
    let kind = *kind;
    let source = Source {
        image: read.text("image", value::image)?,
        implementation: read.text("implementation", value::node_implementation)?,
        model_uri: read.text("model-uri", value::model_uri)?,
    };
    let children = match map.get("children") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Sequence(list)) => (0..)
            .zip(list)
            .map(|(at, child)| node(child, &read.at(&format!("children[{at}]")), protocol, depth + 1))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(read.refuse("children", "must be a list of nodes")),
    };
    let node = Node {
        name,
        kind,
        source,
        parameters: read.yaml("parameters", value::parameters)?.unwrap_or_default(),
        env: read.yaml("env", value::env)?.unwrap_or_default(),
        resources: read.yaml("resources", value::resources)?,
        image_pull_policy: read.text("image-pull-policy", value::pull_policy)?,
        own_pod: read.flag("own-pod")?,
        children,
    };
    validate(&node, protocol).map_err(|rule| refuse(&rule))?;
    Ok(node)
}

/// What Seldon would refuse of a node, or take and then not do.
fn validate(node: &Node, protocol: Option<Protocol>) -> Result<(), String> {
    let Node {
        name,
        kind,
        source,
        children,
        ..
    } = node;
    let chooses = matches!(kind, Kind::Router | Kind::Combiner);
    if chooses && protocol == Some(Protocol::Tensorflow) {
        return Err(format!(
            "has the {name}, and with protocol tensorflow Seldon neither routes nor combines"
        ));
    }
    if *kind != Kind::Model && children.is_empty() {
        return Err(format!("has no children, and {name} does something with those"));
    }
    let needs_files = source
        .implementation
        .as_ref()
        .is_some_and(value::Implementation::needs_files);
    match (&source.image, &source.implementation, &source.model_uri) {
        (_, Some(server), _) if server.to_string() == RANDOM_ABTEST => {
            let only_ratio = node.parameters.iter().all(|parameter| parameter.name == "ratioA");
            if *kind != Kind::Router || children.len() != 2 || !only_ratio {
                return Err(
                    "is RANDOM_ABTEST, which must be a router of two children with ratioA as its only parameter"
                        .to_owned(),
                );
            }
        }
        (None, None, _) => return Err("has neither image nor implementation".to_owned()),
        (_, Some(server), None) if needs_files => {
            return Err(format!("has no model-uri, and {server} serves the files it names"));
        }
        (image, Some(server), _) => {
            let known = server.protocols().filter(|_| image.is_none());
            let inputs = protocol.unwrap_or(Protocol::Seldon);
            if let Some(known) = known.filter(|known| !known.contains(&inputs)) {
                let options: Vec<_> = known.iter().map(|protocol| protocol.as_str()).collect();
                return Err(format!(
                    "has {server}, which speaks {} only, and protocol is {}",
                    options.join(" and "),
                    inputs.as_str()
                ));
            }
            if *kind != Kind::Model {
                return Err(format!("has {server}, which serves models, and {name} is none"));
            }
        }
        _ => {}
    }
    Ok(())
}
