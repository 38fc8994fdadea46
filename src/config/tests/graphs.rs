//! Several nodes instead of one server.

use super::*;
use crate::config::graph::Kind;

const THREE: &str = "
transformer: scale
image: scale:1
children:
- combiner: average
  image: average:1
  children:
  - {model: one, image: 'iris:1'}
  - {model: two, implementation: SKLEARN_SERVER, model-uri: 'gs://bucket/two'}
";

#[test]
fn graph_of_three_stages_is_ten_lines() {
    assert!(THREE.trim().lines().count() <= 10);
    let config = parsed(json!({"graph": THREE}));
    assert_eq!(config.errors, []);
    let model = &config.models[0];
    assert_eq!(model.serves(), "the graph scale > average > (one, two)");
    let graph = model.server.graph.as_ref().unwrap();
    let kinds: Vec<Kind> = graph.all().iter().map(|node| node.kind).collect();
    assert_eq!(kinds, [Kind::Transformer, Kind::Combiner, Kind::Model, Kind::Model]);
}

#[test]
fn graph_errors_name_their_location() {
    let with = |from: &str, to: &str| {
        assert!(THREE.contains(from), "{from}");
        THREE.replacen(from, to, 1)
    };
    for (text, rule) in [
        (
            with("transformer: scale\n", ""),
            "option graph: must have one kind and name, such as `model: iris`",
        ),
        (
            with("combiner: average", "combiner: Average"),
            "children[0].combiner: is not a valid name",
        ),
        (with("model: one", "model: two"), "two nodes are named two"),
        (
            with("image: 'iris:1'", "image: IRIS"),
            "children[0].children[0].image: must be lowercase",
        ),
        (
            with(", image: 'iris:1'", ""),
            "children[0].children[0]: has neither `image` nor `implementation`",
        ),
        (
            with(", model-uri: 'gs://bucket/two'", ""),
            "children[0].children[1]: model-uri is not set, SKLEARN_SERVER needs it",
        ),
        (
            with("SKLEARN_SERVER", "TRITON_SERVER"),
            "TRITON_SERVER needs protocol v2, not seldon",
        ),
        (
            with(
                "image: average:1",
                "implementation: SKLEARN_SERVER\n  model-uri: 'gs://b/m'",
            ),
            "children[0]: SKLEARN_SERVER is for models, and average is not a model",
        ),
        (
            with("model: one", "router: one"),
            "children[0].children[0]: must have children",
        ),
        (
            with("'iris:1'}", "'iris:1', wight: 3}"),
            "children[0].children[0]: unknown key `wight`",
        ),
        (
            with("'iris:1'}", "'iris:1', own-pod: 1}"),
            "children[0].children[0].own-pod: must be true or false",
        ),
        (
            with("'iris:1'}", "'iris:1', children: {}}"),
            "children[0].children[0].children: must be a list of nodes",
        ),
        (
            with("'iris:1'}", "'iris:1', env: []}"),
            "children[0].children[0].env: must be a YAML map",
        ),
        (
            with("{model: one, image: 'iris:1'}", "one"),
            "children[0].children[0]: must be a map",
        ),
        (
            with("image: average:1", "implementation: RANDOM_ABTEST"),
            "RANDOM_ABTEST must be a router of two children, with ratioA",
        ),
    ] {
        let config = parsed(json!({"graph": text}));
        let errors: Vec<String> = config.errors.iter().map(ToString::to_string).collect();
        assert!(errors.len() == 1 && errors[0].contains(rule), "{rule}\n{errors:?}");
        assert!(
            errors[0].starts_with("option graph: ") && errors[0].contains("juju config iris graph="),
            "{errors:?}"
        );
    }
    let mut deep = "{model: m11, image: 'x:1'}".to_owned();
    for depth in (1..11).rev() {
        deep = format!("{{model: m{depth}, image: 'x:1', children: [{deep}]}}");
    }
    let error = parsed(json!({"graph": deep})).errors[0].to_string();
    assert!(error.contains("is too deep"), "{error}");
    let routed = "{router: r, image: 'r:1', children: [{model: a, image: 'a:1'}]}";
    let error = parsed(json!({"graph": routed, "protocol": "tensorflow"})).errors[0].to_string();
    assert!(error.contains("r is not supported with protocol tensorflow"), "{error}");
}

#[test]
fn graph_excludes_options_of_a_single_server() {
    let errors = parsed(json!({"graph": THREE, "image": "iris:1"})).errors;
    assert!(
        errors[0]
            .to_string()
            .starts_with("option image: cannot be combined with graph"),
        "{errors:?}"
    );
    let served = |options: Json| {
        let config = parsed(options);
        assert_eq!(config.errors, []);
        config.models[0].serves()
    };
    assert_eq!(
        served(json!({"graph": THREE, "models": "{a: {image: 'iris:2'}}"})),
        "iris:2"
    );
    let nested = format!("{{a: {{graph: {}}}}}", json!(THREE));
    assert!(served(json!({"image": "iris:1", "models": nested})).starts_with("the graph"));
    // A canary of a graph is the graph, another one, or one server.
    let canary = |canary: &str| served(json!({"graph": "{model: m, image: 'm:1'}", "canary": canary}));
    assert_eq!(canary("{weight: 5}"), "the graph m, the graph m to 5%");
    assert_eq!(canary("{weight: 5, image: 'm:2'}"), "the graph m, m:2 to 5%");
    assert_eq!(
        canary("{weight: 5, graph: {model: n, image: 'n:1'}}"),
        "the graph m, the graph n to 5%"
    );
}
