//! Values in a manifest that Seldon Core would take without a word, or reject in words of its own.

use super::manifests::{parsed_manifest, rejected, with};

#[test]
fn words_seldon_does_not_know_are_rejected() {
    let graph = |field: &str| with("children: []", field);
    for (text, rule) in [
        (with("type: MODEL", "type: model"), "graph.type: did you mean `MODEL`?"),
        (
            with("type: MODEL", "type: Transfomer"),
            "graph.type: did you mean `TRANSFORMER`?",
        ),
        (
            with("type: MODEL", "type: SERVER"),
            "graph.type: is not known to Seldon Core",
        ),
        (
            graph("methods: [transform_input]"),
            "graph.methods[0]: did you mean `TRANSFORM_INPUT`?",
        ),
        (
            graph("methods: [ROUTE, PREDICT]"),
            "graph.methods[1]: is not known to Seldon Core",
        ),
        (
            graph("endpoint: {type: grpc}"),
            "graph.endpoint.type: did you mean `GRPC`?",
        ),
        (
            graph("endpoint: {type: HTTP2}"),
            "graph.endpoint.type: must be REST or GRPC",
        ),
        (
            graph("parameters: [{name: a, value: '1', type: int}]"),
            "graph.parameters[0].type: did you mean `INT`?",
        ),
        (
            graph("logger: {mode: ALL, url: 'http://sink'}"),
            "graph.logger.mode: did you mean `all`?",
        ),
        (
            graph("children: [{name: classifier, type: leaf}]"),
            "graph.children[0].type: is not known",
        ),
        (
            with("SKLEARN_SERVER", "sklearn_server"),
            "graph.implementation: did you mean `SKLEARN_SERVER`?",
        ),
        (
            with(
                "    traffic: 25",
                "    traffic: 25\n    explainer: {type: anchor_tabular, modelUri: 'gs://b/e'}",
            ),
            "predictors[1].explainer.type: did you mean `AnchorTabular`?",
        ),
        (
            with("spec:\n  pred", "spec:\n  protocol: V2\n  pred"),
            "protocol: did you mean `v2`?",
        ),
        (
            with("spec:\n  pred", "spec:\n  transport: gRPC\n  pred"),
            "transport: did you mean `grpc`?",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
    }
}

#[test]
fn server_of_the_site_is_accepted_in_a_manifest() {
    let config = parsed_manifest(&with("SKLEARN_SERVER", "TRITON_SERVER_24"));
    assert_eq!(config.errors, []);
}

#[test]
fn values_that_kubernetes_wants_as_text_are_named() {
    let container = |field: &str| with("image: 'iris:1'", &format!("image: 'iris:1', {field}"));
    for (text, rule) in [
        (
            container("env: [{name: PORT, value: 8080}]"),
            "predictors[0].componentSpecs[0].spec.containers[0].env[0].value: must be text, put it in quotes",
        ),
        (
            container("env: [{name: DEBUG, value: true}]"),
            "containers[0].env[0].value: must be text, put it in quotes",
        ),
        (
            with("children: []", "parameters: [{name: a, value: 5, type: INT}]"),
            "predictors[0].graph.parameters[0].value: must be text, put it in quotes",
        ),
        (
            with(
                "    traffic: 25",
                "    traffic: 25\n    svcOrchSpec: {env: [{name: LEVEL, value: 1}]}",
            ),
            "predictors[1].svcOrchSpec.env[0].value: must be text, put it in quotes",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
    }
    let referenced = container("env: [{name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}]");
    assert_eq!(parsed_manifest(&referenced).errors, []);
}
