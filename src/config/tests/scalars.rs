//! Numbers and flags in places of text, and what kubectl reads otherwise than YAML 1.2.

use super::manifests::{VALID, parsed_manifest, with};
use super::*;

/// What a place of text becomes that has this YAML in it.
type Place = fn(&str) -> Result<String, String>;

/// The model of these options, or its errors.
fn read(options: Json) -> Result<Model, String> {
    let mut config = parsed(options);
    match config.models.pop() {
        Some(model) if config.errors.is_empty() => Ok(model),
        _ => Err(config.errors.first().map_or_else(String::new, ToString::to_string)),
    }
}

/// Every place of text, as an option and as a key of an entry in `models`.
const PLACES: [(&str, Place); 9] = [
    ("env", |typed| {
        let model = read(json!({"image": "iris:1", "env": format!("{{A: {typed}}}")}))?;
        Ok(model.server.env["A"].clone())
    }),
    ("env of an entry", |typed| {
        let model = read(json!({"models": format!("a:\n  image: iris:1\n  env:\n    A: {typed}")}))?;
        Ok(model.server.env["A"].clone())
    }),
    ("headers", |typed| {
        let headers = format!("{{request: {{set: {{x-a: {typed}}}}}}}");
        let model = read(json!({"image": "iris:1", "headers": headers}))?;
        Ok(model.headers.request.set["x-a"].clone())
    }),
    ("match", |typed| {
        let canary = format!("{{image: 'iris:2', match: {{x-a: {typed}}}}}");
        let model = read(json!({"image": "iris:1", "canary": canary}))?;
        Ok(model.canary.unwrap().headers["x-a"].clone())
    }),
    ("labels", |typed| {
        let model = read(json!({"image": "iris:1", "labels": format!("{{a: {typed}}}")}))?;
        Ok(model.labels["a"].clone())
    }),
    ("annotations", |typed| {
        let model = read(json!({"models": format!("{{a: {{image: 'iris:1', annotations: {{a: {typed}}}}}}}")}))?;
        Ok(model.annotations["a"].clone())
    }),
    ("parameters", |typed| {
        let model = read(json!({"image": "iris:1", "parameters": format!("{{a: {typed}}}")}))?;
        Ok(model.server.parameters[0].value.clone())
    }),
    ("explainer config", |typed| {
        let explainer = format!("{{type: AnchorTabular, model-uri: 'gs://b/e', config: {{a: {typed}}}}}");
        let model = read(json!({"image": "iris:1", "explainer": explainer}))?;
        Ok(model.explainer.unwrap().config["a"].clone())
    }),
    ("manifest", |typed| {
        let env = format!("image: 'iris:1', env: [{{name: A, value: {typed}}}]");
        let model = read(json!({"manifest": with("image: 'iris:1'", &env)}))?;
        let value = "/predictors/0/componentSpecs/0/spec/containers/0/env/0/value";
        // Null is unset there, as to kubectl.
        let found = model.manifest.unwrap().spec.pointer(value).cloned();
        Ok(found.map_or(typed.to_owned(), |text| text.as_str().unwrap().to_owned()))
    }),
];

/// Text that has what was typed, or advice to put it in quotes. What is rejected in quotes too has a rule of its own.
fn assert_kept_or_advised(typed: &str) {
    for (name, place) in PLACES {
        match place(typed) {
            Ok(text) => assert_eq!(text, typed, "{name}"),
            Err(error) if place(&format!("'{typed}'")).is_ok() => {
                assert!(error.contains("put it in quotes"), "{name}: {typed}\n{error}");
            }
            Err(_) => {}
        }
    }
}

#[test]
fn text_is_kept_as_typed_or_must_be_in_quotes() {
    for typed in [
        "True",
        "FALSE",
        "true",
        "0x1F",
        "0o17",
        "0b11",
        "+5",
        "-5",
        "1.10",
        "3.10",
        "0.5",
        "1.0",
        "1e3",
        "1E+3",
        ".5",
        "5.",
        "0400",
        "-0400",
        "0899",
        "1_000",
        "yes",
        "No",
        "on",
        "y",
        ".inf",
        "-.INF",
        ".nan",
        "~",
        "null",
        "Null",
        "2024-01-01",
        "1:30",
        "12345678901234567890",
        "123456789012345678901234567890",
        "-123456789012345678901234567890",
        "0.1234567890123456789",
    ] {
        assert_kept_or_advised(typed);
    }
    assert!(error("env", "{VERSION: 3.10}").contains("VERSION: must be text, put it in quotes"));
    assert_eq!(model("env", "{VERSION: '3.10'}").server.env["VERSION"], "3.10");
    assert_eq!(model("env", "{VERSION: 3.9}").server.env["VERSION"], "3.9");
    assert_eq!(model("labels", "{1.10: x}").labels["1.10"], "x");
}

#[test]
fn numbers_and_flags_are_read_in_any_form() {
    let all = json!({
        "image": "iris:1",
        "models": "{a: {replicas: 0x2, resources: {requests: {cpu: 0.50}}, autoscale: '', parameters: {a: 0.10, b: True},
                   disruption-budget: {max-unavailable: +1}}}",
    });
    let server = read(all).unwrap().server;
    assert_eq!(server.replicas, 2);
    assert_eq!(server.resources.unwrap().requests["cpu"], "0.5");
    let parameters: Vec<_> = server
        .parameters
        .iter()
        .map(|one| (one.kind, one.value.as_str()))
        .collect();
    assert_eq!(parameters, [("FLOAT", "0.10"), ("BOOL", "True")]);
    let graph = "{model: iris, image: 'iris:1', own-pod: True}";
    assert!(read(json!({"graph": graph})).unwrap().server.graph.unwrap().own_pod);
}

proptest! {
    #[test]
    fn any_scalar_is_kept_as_typed_or_must_be_in_quotes(
        typed in prop_oneof![
            "[-+]?(0[xob]?)?[0-9_]{1,24}",
            "[-+]?[0-9]{0,3}\\.[0-9]{0,20}([eE][-+]?[0-9]{1,3})?",
            "[-+.a-zA-Z0-9_]{1,6}",
            prop::sample::select(vec!["true", "no", "off", "null", "nan", ".inf"]).prop_flat_map(|word| {
                any::<Vec<bool>>().prop_map(move |capitals| {
                    let capital = |(at, c): (usize, char)| if capitals.get(at) == Some(&true) { c.to_ascii_uppercase() } else { c };
                    word.chars().enumerate().map(capital).collect::<String>()
                })
            }),
        ],
    ) {
        // A dash alone is an item of a list.
        prop_assume!(!["-", "---", "..."].contains(&typed.as_str()));
        assert_kept_or_advised(&typed);
    }
}

#[test]
fn suggested_command_keeps_every_value() {
    let models = "
        a: {image: 'iris:1', parameters: {a: 0.10, b: True, c: {type: STRING, value: 1.10}, d: 5}, replicas: 0x2}
        b:
          image: iris:2
          env: {A: yes, B: 0400, C: 1.5}
          resources: {requests: {cpu: 0.50}}
          pod: {volumes: [{name: v, secret: {secretName: s, defaultMode: 0400, optional: Yes}}]}
          canary: {image: 'iris:3', parameters: {a: 1e3}}
    ";
    let entries = options(json!({"models": models}));
    let before = parse("iris", &entries);
    assert_eq!(before.errors, []);
    let command = command::command("iris", &entries, "a", &vec![("replicas".to_owned(), Some(json!(2)))]).unwrap();
    let typed = shlex::split(&command).unwrap().pop().unwrap();
    let after = parsed(json!({"models": typed.strip_prefix("models=").unwrap()}));
    let servers = |config: &Config| -> Vec<ServerOptions> {
        let canaries = config.models.iter().filter_map(|model| model.canary.as_ref());
        let canaries = canaries.map(|canary| canary.server.clone());
        config
            .models
            .iter()
            .map(|model| model.server.clone())
            .chain(canaries)
            .collect()
    };
    assert_eq!(after.errors, []);
    assert_eq!(servers(&after), servers(&before));
}

#[test]
fn manifest_is_read_as_by_kubectl() {
    let container = |field: &str| with("image: 'iris:1'", &format!("image: 'iris:1', {field}"));
    let spec = |text: &str| {
        let config = parsed_manifest(text);
        assert_eq!(config.errors, [], "{text}");
        config.models[0].manifest.as_ref().unwrap().spec["predictors"][0]["componentSpecs"][0]["spec"].clone()
    };
    let found = spec(&container("tty: yes, stdin: \"off\", command: ['yes', \"no\"]"));
    assert_eq!(found["containers"][0]["tty"], json!(true));
    assert_eq!(found["containers"][0]["stdin"], json!("off"));
    assert_eq!(found["containers"][0]["command"], json!(["yes", "no"]));
    let volumes = "volumes: [{name: v, secret: {secretName: !!str yes, defaultMode: 0400, items: [{key: |-\n      yes\n     , path: a}]}}],";
    let found = spec(&with(
        "- spec: {",
        &format!("- spec: {{{}", &volumes.replace("|-\n      yes\n     ", "'yes'")),
    ));
    assert_eq!(found["volumes"][0]["secret"]["defaultMode"], json!(256));
    assert_eq!(found["volumes"][0]["secret"]["secretName"], json!("yes"));
    // In a map, in an entry of `models` too.
    let pod = "{volumes: [{name: v, secret: {secretName: s, defaultMode: 0400, optional: Yes}}]}";
    for options in [
        json!({"image": "iris:1", "pod": pod}),
        json!({"models": format!("{{a: {{image: 'iris:1', pod: {pod}}}}}")}),
        json!({"image": "iris:1", "canary": format!("{{image: 'iris:2', pod: {pod}}}"), "pod": pod}),
    ] {
        let model = read(options).unwrap();
        let pod = model
            .canary
            .map_or(model.server.pod, |canary| canary.server.pod)
            .unwrap();
        let secret = json!({"secretName": "s", "defaultMode": 256, "optional": true});
        assert_eq!(pod.general["volumes"][0]["secret"], secret);
    }
    assert_eq!(parsed_manifest(&with("traffic: 25", "traffic: 2.5e1")).errors, []);
    assert_eq!(parsed_manifest(VALID).errors, []);
}

#[test]
fn text_of_a_pod_in_another_type_must_be_in_quotes() {
    for word in ["yes", "0400", "1.10", "True"] {
        let pod = error("pod", format!("{{nodeSelector: {{gpu: {word}}}}}"));
        assert!(
            pod.contains("nodeSelector.gpu: must be text, put it in quotes"),
            "{pod}"
        );
    }
}

#[test]
fn mistakes_in_yaml_have_their_place() {
    for (models, rule) in [
        (
            "a:\n  image: x:1\n  env: {A: x}\n  image: x:2\n",
            "a: duplicate key `image` at line 4, column 3",
        ),
        (
            "{a: {graph: {model: x, children: [{env: {B: x, B: y}}]}}}",
            "a.graph.children[0].env: duplicate key `B` at line 1, column 48",
        ),
        ("a: {}\n---\nb: {}\n", "has 2 YAML documents, must be one"),
        (
            "a: {replicas: 123456789012345678901}",
            "a.replicas: has more than 64 bits; for text put it in quotes at line 1, column 15",
        ),
        (
            "a: {image: !secret x}",
            "a.image: must not have a YAML tag at line 1, column 12",
        ),
        ("a: {[b]: x}", "keys must be text at line 1, column 5"),
        ("{a: b", "is not valid YAML at line 2, column 1"),
    ] {
        let config = parsed(json!({"models": models}));
        let error = config.errors[0].to_string();
        assert!(error.contains(rule), "{rule}\n{error}");
    }
    assert_eq!(parsed(json!({"models": "---\na: {image: 'x:1'}\n---\n"})).errors, []);
}
