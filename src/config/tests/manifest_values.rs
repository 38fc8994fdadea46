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

#[test]
fn what_kubectl_takes_is_taken() {
    let expected = parsed_manifest(super::manifests::VALID);
    let spec = |config: &super::Config| config.models[0].manifest.as_ref().unwrap().spec.clone();
    let json = serde_json::to_string(&serde_yaml::from_str::<super::Value>(super::manifests::VALID).unwrap()).unwrap();
    let merged = with("    traffic: 25\n", "    <<: {traffic: 25}\n");
    let others = format!(
        "kind: Service\nmetadata: {{name: front}}\n---\n{}---\nkind: Gateway\n",
        super::manifests::VALID
    );
    for text in [
        format!("\u{feff}{}", super::manifests::VALID),
        format!("{json}\n\t\n\t"),
        merged,
        others.clone(),
    ] {
        let config = parsed_manifest(&text);
        assert_eq!(config.errors, [], "{text}");
        assert_eq!(spec(&config), spec(&expected), "{text}");
    }
    let manifest = parsed_manifest(&others).models.remove(0).manifest.unwrap();
    assert_eq!(manifest.left_out, ["Service front", "Gateway"]);
}

#[test]
fn merge_keys_work_in_models_too() {
    let models = "{a: &a {image: 'iris:1', replicas: 2}, b: {<<: *a, replicas: 3}}";
    let config = super::parsed(serde_json::json!({"models": models}));
    assert_eq!(config.errors, []);
    let found: Vec<(String, u16)> = config
        .models
        .iter()
        .map(|model| (model.serves(), model.server.replicas))
        .collect();
    assert_eq!(found, [("iris:1".to_owned(), 2), ("iris:1".to_owned(), 3)]);
}

#[test]
fn credentials_in_a_uri_are_rejected_and_never_repeated() {
    for uri in [
        "s3://key:hunter2@minio.example/models/iris",
        ":s3,access_key_id=key,secret_access_key=hunter2:models/iris",
        "minio,secret_access_key=hunter2:models/iris",
        "https://me:hunter2@web.example/iris",
    ] {
        let config = super::parsed(serde_json::json!({"implementation": "SKLEARN_SERVER", "model-uri": uri}));
        let error = config.errors[0].to_string();
        assert!(
            error.starts_with("option model-uri: must not contain credentials."),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        let config = parsed_manifest(&with("'gs://bucket/iris'", &format!("'{uri}'")));
        assert!(!config.models[0].serves().contains("hunter2"), "{uri}");
    }
    let fine = super::parsed(serde_json::json!({
        "implementation": "SKLEARN_SERVER", "model-uri": "gs://bucket/iris@2026,01",
    }));
    assert_eq!(fine.errors, []);
}

#[test]
fn what_kubernetes_would_reject_later_is_rejected_now() {
    let pods = |field: &str| with("spec: {containers", &format!("spec: {{{field}, containers"));
    for (text, rule) in [
        (
            pods("tolerations: [{key: gpu, operator: exists}]"),
            "predictors[0].componentSpecs[0].spec.tolerations[0].operator: must be Exists or Equal",
        ),
        (
            with("    traffic: 75", "    traffic: 75\n    replicas: -1"),
            "predictors[0].replicas: must be 0 or more",
        ),
        (
            with("name: files", "name: My_Files"),
            "predictors[1].graph.name: My_Files is not a valid name",
        ),
        (
            with("children: []", "parameters: [{name: a, value: '0.5', type: INT}]"),
            "predictors[0].graph.parameters[0].value: must be a whole number with type INT",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
    }
    for (option, value, rule) in [
        (
            "pod",
            "{tolerations: [{key: gpu, operator: Exists, effect: noschedule}]}",
            "tolerations[0].effect: must be NoSchedule, PreferNoSchedule or NoExecute",
        ),
        (
            "parameters",
            "{n: {type: INT, value: 0.5}}",
            "n: must be a whole number with type INT",
        ),
        (
            "resources",
            "{requests: {nvidia.com/gpu: 1}}",
            "requests.nvidia.com/gpu: must be in limits, with the same number",
        ),
        (
            "resources",
            "{limits: {memory: 512m}}",
            "limits.memory: is a fraction of a byte",
        ),
        ("model-uri", "pvc:///", "must name a claim"),
    ] {
        let config = super::parsed(serde_json::json!({"image": "iris:1", option: value}));
        let error = config.errors[0].to_string();
        assert!(error.contains(rule), "{rule}\n{error}");
    }
}

#[test]
fn advice_about_a_quantity_removes_the_fault() {
    for (amount, likely) in [
        ("512mb", "512M"),
        ("512m", "512M"),
        ("1gb", "1G"),
        ("2GiB", "2Gi"),
        ("64 MB", "128Mi"),
        ("lots", "128Mi"),
        ("1.5g", "1.5G"),
    ] {
        let with_amount = |amount: &str| {
            super::parsed(serde_json::json!({
                "image": "iris:1", "resources": format!("{{limits: {{memory: '{amount}'}}}}"),
            }))
        };
        let error = with_amount(amount).errors[0].to_string();
        assert!(error.contains(&format!("memory: {likely}")), "{amount}: {error}");
        assert_eq!(with_amount(likely).errors, [], "{likely}");
    }
}
