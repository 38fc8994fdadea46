//! An inference graph as a tree of nodes, shorter than a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_yaml::Value;

use super::Source;
use super::check;
use super::options::{self, Scope};
use super::reader::Reader;
use super::suggestion::unknown_key;
use super::value::{self, Parameter, Protocol, PullPolicy, Resources, Violation, either, with_location};
use super::yaml::yaml;

const EXAMPLE: &str = "@graph.yaml";

/// The greatest depth that Seldon's definition allows (operator v1.16.0, `config/crd/bases`).
const DEEPEST: usize = 10;

/// Longest name of a node, as of a model: Seldon makes the label key `seldon-app-svc-<node>` of it.
const LONGEST_NAME: usize = 48;

/// Seldon's own A/B test, which its executor implements (v1.17.1, `executor/predictor/predictor_process.go`).
const RANDOM_ABTEST: &str = "RANDOM_ABTEST";

/// The role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers requests.
    Model,
    /// Changes requests to its children.
    Transformer,
    /// Changes the answers of its children.
    OutputTransformer,
    /// Chooses one of its children.
    Router,
    /// Combines the answers of its children.
    Combiner,
}

const KINDS: [(&str, Kind, &str); 5] = [
    ("model", Kind::Model, "MODEL"),
    ("transformer", Kind::Transformer, "TRANSFORMER"),
    ("output-transformer", Kind::OutputTransformer, "OUTPUT_TRANSFORMER"),
    ("router", Kind::Router, "ROUTER"),
    ("combiner", Kind::Combiner, "COMBINER"),
];

/// The keys of a node other than its kind and the options of a server.
const GRAPH_KEYS: [&str; 3] = ["image-pull-policy", "own-pod", "children"];

impl Kind {
    /// Seldon's name of it.
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
    /// The name of its container too.
    pub name: String,
    pub kind: Kind,
    pub source: Source,
    pub parameters: Vec<Parameter>,
    pub env: BTreeMap<String, String>,
    pub resources: Option<Resources>,
    /// `None` is that of the option, for all nodes.
    pub image_pull_policy: Option<PullPolicy>,
    pub own_pod: bool,
    pub children: Vec<Node>,
}

impl Node {
    /// This node and all below it, in the order of the text.
    pub fn all(&self) -> Vec<&Node> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Node::all));
        all
    }

    /// Seldon's own A/B test runs in no container.
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
            [child] => write!(f, " > {child}"),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                write!(f, " > ({})", names.join(", "))
            }
        }
    }
}

pub(crate) fn graph(value: &Value, protocol: Option<Protocol>) -> Result<Node, Violation> {
    let node = match value {
        Value::String(text) => node(&yaml(text)?, "", protocol, 1),
        other => node(other, "", protocol, 1),
    }?;
    let mut names = BTreeSet::new();
    match node.all().into_iter().find(|node| !names.insert(&node.name)) {
        Some(duplicate) => Err(Violation::new(
            format!("two nodes are named {}", duplicate.name),
            EXAMPLE,
        )),
        None => Ok(node),
    }
}

fn node(value: &Value, location: &str, protocol: Option<Protocol>, depth: usize) -> Result<Node, Violation> {
    let violation = |rule: &str| Violation::new(rule, EXAMPLE).in_part(location);
    let Value::Mapping(map) = value else {
        return Err(violation("must be a map").with_detail("such as {model: iris, image: seldonio/sklearn-iris:0.3}"));
    };
    if depth > DEEPEST {
        return Err(violation("is too deep").with_detail(format!("Seldon Core supports {DEEPEST} levels of nodes")));
    }
    let kinds: Vec<_> = KINDS.iter().filter(|(key, _, _)| map.contains_key(*key)).collect();
    let [(key, kind, _)] = kinds.as_slice() else {
        return Err(violation("must have one kind and name, such as `model: iris`")
            .with_detail(format!("the kinds are {}", either(&KINDS.map(|(key, _, _)| key)))));
    };
    let reader = Reader::at_location(map, location, EXAMPLE);
    let name = map.get(*key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.len() > LONGEST_NAME || !check::is_service_name(&name) {
        let rule = with_location(&reader.location_of(key), "is not a valid name");
        return Err(Violation::with_value(name, rule, EXAMPLE)
            .with_detail("at most 48 lowercase letters, digits and -, starting with a letter and not ending with -"));
    }
    let mut known = options::names(Scope::Node);
    known.extend(GRAPH_KEYS.iter().chain([key]));
    if let Some(unknown) = map
        .keys()
        .map(|key| key.as_str().unwrap_or_default())
        .find(|key| !known.contains(key))
    {
        return Err(unknown_key(value::name_in(unknown), &known, EXAMPLE).in_part(location));
    }
    let kind = *kind;
    let source = Source {
        image: reader.text("image", value::image)?,
        implementation: reader.text("implementation", value::node_implementation)?,
        model_uri: reader.text("model-uri", value::model_uri)?,
    };
    let children = match map.get("children") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Sequence(list)) => (0..)
            .zip(list)
            .map(|(index, child)| {
                node(
                    child,
                    &reader.location_of(&format!("children[{index}]")),
                    protocol,
                    depth + 1,
                )
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(reader.violation("children", "must be a list of nodes")),
    };
    let node = Node {
        name,
        kind,
        source,
        parameters: reader.yaml("parameters", value::parameters)?.unwrap_or_default(),
        env: reader.yaml("env", value::env)?.unwrap_or_default(),
        resources: reader.yaml("resources", value::resources)?,
        image_pull_policy: reader.text("image-pull-policy", value::pull_policy)?,
        own_pod: reader.flag("own-pod")?,
        children,
    };
    validate(&node, protocol).map_err(|rule| violation(&rule))?;
    Ok(node)
}

/// Checks what Seldon would reject in a node, or accept and then ignore.
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
        return Err(format!("{name} is not supported with protocol tensorflow"));
    }
    if *kind != Kind::Model && children.is_empty() {
        return Err("must have children".to_owned());
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
                    "RANDOM_ABTEST must be a router of two children, with ratioA as its only parameter".to_owned(),
                );
            }
        }
        (None, None, _) => return Err("has neither `image` nor `implementation`".to_owned()),
        (_, Some(server), None) if needs_files => {
            return Err(format!("model-uri is not set, {server} needs it"));
        }
        (image, Some(server), _) => {
            let known = server.protocols().filter(|_| image.is_none());
            let protocol = protocol.unwrap_or(Protocol::Seldon);
            if let Some(known) = known.filter(|known| !known.contains(&protocol)) {
                let options: Vec<_> = known.iter().map(|protocol| protocol.as_str()).collect();
                return Err(format!(
                    "{server} needs protocol {}, not {}",
                    either(&options),
                    protocol.as_str()
                ));
            }
            if *kind != Kind::Model {
                return Err(format!("{server} is for models, and {name} is not a model"));
            }
        }
        _ => {}
    }
    Ok(())
}
