//! A whole SeldonDeployment: what is kept of it, and every rule of Seldon's that it may break.

use super::*;

pub(super) const VALID: &str = "
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: other, namespace: elsewhere, labels: {team: quality}}
spec:
  predictors:
  - name: main
    traffic: 75
    componentSpecs:
    - spec: {containers: [{name: classifier, image: 'iris:1', ports: [{containerPort: 9000}]}]}
    graph: {name: classifier, type: MODEL, children: []}
  - name: next
    traffic: 25
    graph: {name: files, implementation: SKLEARN_SERVER, modelUri: 'gs://bucket/iris'}
";

pub(super) fn with(from: &str, to: &str) -> String {
    let changed = VALID.replacen(from, to, 1);
    assert_ne!(changed, VALID, "{from}");
    changed
}

pub(super) fn parsed_manifest(text: &str) -> Config {
    let engine_resources = options::find("engine-resources").unwrap().default;
    parsed(json!({"manifest": text, "replicas": 1, "engine-resources": engine_resources}))
}

/// The only error of a manifest, of which nothing is planned.
#[track_caller]
pub(super) fn rejected(text: &str) -> String {
    let config = parsed_manifest(text);
    assert_eq!(config.models, []);
    match config.errors.as_slice() {
        [one] => one.to_string(),
        errors => panic!("{text}: {errors:#?}"),
    }
}

#[test]
fn manifest_is_kept_field_for_field() {
    let config = parsed_manifest(VALID);
    assert_eq!(config.errors, []);
    let model = &config.models[0];
    let manifest = model.manifest.as_ref().unwrap();
    assert_eq!(model.name, "iris");
    assert_eq!(manifest.labels["team"], "quality");
    assert_eq!(
        manifest.spec,
        json!({"predictors": [
            {
                "name": "main", "traffic": 75,
                // Without a count Seldon Core up to 1.16 never changes it again.
                "replicas": 1,
                // The one field that the API server itself would add.
                "componentSpecs": [{"spec": {"containers": [
                    {"name": "classifier", "image": "iris:1", "ports": [{"containerPort": 9000, "protocol": "TCP"}]},
                ]}}],
                "graph": {"name": "classifier", "type": "MODEL", "children": []},
            },
            {
                "name": "next", "traffic": 25, "replicas": 1,
                "graph": {"name": "files", "implementation": "SKLEARN_SERVER", "modelUri": "gs://bucket/iris"},
            },
        ]})
    );
    assert_eq!(
        model.serves(),
        "main (iris:1) and next (gs://bucket/iris with SKLEARN_SERVER)"
    );
}

#[test]
fn every_deployment_has_replicas_or_an_autoscaler() {
    let pod = "spec: {containers: [{name: m, image: 'iris:1'}]}";
    let hpa = "hpaSpec: {minReplicas: 1, maxReplicas: 2}";
    let keda = "kedaSpec: {maxReplicaCount: 2, triggers: []}";
    let graph = "graph: {name: m, type: MODEL}";
    let spec = |predictor: &str, of_spec: &str| {
        let text = format!(
            "{{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {{{of_spec} predictors: [{{name: p, {graph}, {predictor}}}]}}}}"
        );
        let config = parsed_manifest(&text);
        assert_eq!(config.errors, [], "{text}");
        config.models[0].manifest.clone().unwrap().spec
    };
    for (predictor, of_spec, location, expected) in [
        (format!("componentSpecs: [{{{pod}}}]"), "", "/replicas", json!(1)),
        (
            format!("replicas: null, componentSpecs: [{{{pod}}}]"),
            "",
            "/replicas",
            json!(1),
        ),
        (
            format!("replicas: 0, componentSpecs: [{{{pod}}}]"),
            "",
            "/replicas",
            json!(0),
        ),
        (
            format!("componentSpecs: [{{{pod}}}]"),
            "replicas: 3,",
            "/replicas",
            Json::Null,
        ),
        (
            format!("componentSpecs: [{{replicas: 2, {pod}}}]"),
            "",
            "/componentSpecs/0/replicas",
            json!(2),
        ),
        // Seldon accepts no count together with an autoscaler.
        (
            format!("componentSpecs: [{{{hpa}, {pod}}}]"),
            "",
            "/replicas",
            Json::Null,
        ),
        (
            format!("componentSpecs: [{{{keda}, {pod}}}]"),
            "",
            "/replicas",
            Json::Null,
        ),
        (
            format!("componentSpecs: [{{{hpa}, {pod}}}]"),
            "",
            "/componentSpecs/0/replicas",
            Json::Null,
        ),
        (
            format!("componentSpecs: [{{{hpa}, {pod}}}, {{spec: {{containers: [{{name: n, image: 'a:1'}}]}}}}]"),
            "",
            "/componentSpecs/1/replicas",
            json!(1),
        ),
        (
            format!("componentSpecs: [{{{hpa}, {pod}}}]"),
            "annotations: {seldon.io/engine-separate-pod: 'true'},",
            "/svcOrchSpec/replicas",
            json!(1),
        ),
        (
            format!("explainer: {{type: AnchorTabular, modelUri: 'gs://b/e'}}, componentSpecs: [{{{pod}}}]"),
            "",
            "/explainer/replicas",
            json!(1),
        ),
        (
            format!(
                "replicas: 0, explainer: {{type: AnchorTabular, modelUri: 'gs://b/e'}}, componentSpecs: [{{{pod}}}]"
            ),
            "",
            "/explainer/replicas",
            Json::Null,
        ),
    ] {
        let spec = spec(&predictor, of_spec);
        let replicas = spec.pointer(&format!("/predictors/0{location}")).cloned();
        assert_eq!(
            replicas.unwrap_or_default(),
            expected,
            "{predictor} {of_spec} {location}"
        );
    }
}

#[test]
fn json_and_old_api_versions_are_accepted() {
    for text in [
        with("io/v1", "io/v1alpha2"),
        with("io/v1", "io/v1alpha3"),
        format!("---\n{VALID}\n---\n"),
        serde_yaml::from_str::<Json>(VALID).unwrap().to_string(),
    ] {
        assert_eq!(
            parsed_manifest(&text).models[0].manifest,
            parsed_manifest(VALID).models[0].manifest,
            "{text}"
        );
    }
}

#[test]
fn other_kinds_of_manifest_are_rejected() {
    for (text, rule) in [
        (
            with("kind: SeldonDeployment", "kind: Deployment"),
            "kind: must be SeldonDeployment. Run: juju config iris manifest=@manifest.yaml (value: Deployment)",
        ),
        (with("kind: SeldonDeployment\n", ""), "kind: must be SeldonDeployment"),
        (
            with("seldon.io/v1", "seldon.io/v1alpha1"),
            "apiVersion: v1alpha1 is not supported",
        ),
        (
            with("machinelearning.seldon.io/v1", "apps/v1"),
            "apiVersion: must be machinelearning.seldon.io/v1",
        ),
        (format!("{VALID}---\n{VALID}"), "has 2 SeldonDeployments, must be one"),
        (
            "kind: Gateway\n---\nkind: Service\n".to_owned(),
            "has 0 SeldonDeployments, must be one",
        ),
        ("---\n".to_owned(), "is empty"),
        ("- 1".to_owned(), "is not a valid SeldonDeployment"),
        ("a: [".to_owned(), "is not valid YAML"),
        (VALID.split("spec:").next().unwrap().to_owned(), "spec is not set"),
        (
            with("team: quality", "seldon-model/model: x"),
            "metadata.labels.seldon-model/model: is set by this charm",
        ),
        (
            with("team: quality", "line: 3"),
            "metadata.labels.line: must be text, put it in quotes",
        ),
        (
            with("traffic: 75", "traffic: most"),
            "predictors[0].traffic: must be a whole number",
        ),
        (
            with("[{name: classifier, image", "{name: classifier, image").replace("9000}]}]}", "9000}]}}"),
            "predictors[0].componentSpecs[0].spec.containers: must be a list",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
        assert!(error.starts_with("option manifest: "), "{error}");
        assert!(error.contains("juju config iris manifest="), "{error}");
    }
}

#[test]
fn seldons_predictor_rules_name_the_location() {
    let kafka = "env: [{name: KAFKA_BROKER, value: b}, {name: KAFKA_INPUT_TOPIC, value: i}";
    for (text, rule) in [
        (
            with("spec:\n  pred", "spec:\n  protocol: v3\n  pred"),
            "protocol: must be seldon, tensorflow, v2 or kfserving",
        ),
        (
            with("spec:\n  pred", "spec:\n  transport: http\n  pred"),
            "transport: must be rest or grpc",
        ),
        (
            with("spec:\n  pred", "spec:\n  serverType: amqp\n  pred"),
            "serverType: must be rpc or kafka",
        ),
        (
            with("spec:\n  pred", "spec:\n  serverType: kafka\n  pred"),
            "predictors[0].svcOrchSpec.env: KAFKA_BROKER is not set",
        ),
        (
            with("spec:\n  pred", "spec:\n  serverType: kafka\n  pred").replacen(
                "    traffic: 75",
                &format!("    traffic: 75\n    svcOrchSpec: {{{kafka}]}}"),
                1,
            ),
            "predictors[0].svcOrchSpec.env: KAFKA_OUTPUT_TOPIC is not set",
        ),
        (
            "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: []}}".to_owned(),
            "predictors: is empty",
        ),
        (
            with("name: next", "name: main"),
            "predictors[1].name: main is used twice",
        ),
        (
            with("    traffic: 25", "    traffic: 26"),
            "predictors[].traffic: must add up to 100",
        ),
        (
            with("    traffic: 25", "    traffic: -25"),
            "predictors[1].traffic: must be from 0 to 100",
        ),
        (
            with("    traffic: 25", "    traffic: 101\n    shadow: true"),
            "predictors[1].traffic: must be from 0 to 100",
        ),
        (
            with("traffic: 75", "shadow: true").replacen("    traffic: 25", "    shadow: true", 1),
            "predictors[1].shadow: there can be only one shadow",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
    }
}

#[test]
fn seldons_graph_rules_name_the_location() {
    let (classifier, files) = ("graph: {name: classifier", "graph: {name: files");
    for (text, rule) in [
        (
            with(classifier, "graph: {name: clasifier"),
            "predictors[0].graph.name: clasifier has neither a container nor an implementation",
        ),
        (
            with(
                "children: []",
                "children: [{name: a, implementation: SKLEARN_SERVER, modelUri: 'gs://b/a'}, {name: b}]",
            ),
            "predictors[0].graph.children[1].name: b has neither a container",
        ),
        (
            with("type: MODEL", "type: UNKNOWN_TYPE"),
            "predictors[0].graph.methods: must be set with type UNKNOWN_TYPE",
        ),
        (
            with(", modelUri: 'gs://bucket/iris'", ""),
            "predictors[1].graph.modelUri: is not set, SKLEARN_SERVER needs it",
        ),
        (
            with("spec:\n  pred", "spec:\n  protocol: tensorflow\n  pred"),
            "predictors[1].graph.implementation: SKLEARN_SERVER needs protocol seldon or v2",
        ),
        (
            with("SKLEARN_SERVER", "TRITON_SERVER"),
            "predictors[1].graph.implementation: TRITON_SERVER needs protocol v2",
        ),
        (
            with(
                "children: []",
                "children: [{name: ab, type: ROUTER, implementation: RANDOM_ABTEST}]",
            ),
            "predictors[0].graph.children[0].type: must not be ROUTER with RANDOM_ABTEST",
        ),
        (
            with("children: []", "logger: {url: 'http://sink'}"),
            "predictors[0].graph.logger.mode: must be all, request or response",
        ),
        (
            with("children: []", "endpoint: {type: REST}").replacen(
                files,
                "graph: {endpoint: {type: GRPC}, name: files",
                1,
            ),
            "transport: all nodes must have the same endpoint.type",
        ),
        (
            with("children: []", "endpoint: {type: REST}").replacen(
                "spec:\n  pred",
                "spec:\n  transport: grpc\n  pred",
                1,
            ),
            "transport: is grpc, but endpoint.type is REST",
        ),
        (
            with(
                "children: []",
                "children: [{name: a, implementation: SKLEARN_SERVER, modelUri: 'gs://b/a'}]",
            )
            .replacen(
                "    traffic: 75",
                "    traffic: 75\n    annotations: {seldon.io/no-engine: 'true'}",
                1,
            ),
            "predictors[0].graph: must have one node without an executor",
        ),
        (
            with(
                "    traffic: 75",
                "    traffic: 75\n    annotations: {seldon.io/svc-name: one}",
            )
            .replacen(
                "    traffic: 25",
                "    traffic: 25\n    annotations: {seldon.io/svc-name: one}",
                1,
            ),
            "predictors[1].annotations.seldon.io/svc-name: one is used twice",
        ),
        (
            with(
                "    - spec: {containers: [{name: cl",
                "    - spec: {containers: [{name: x, image: 'x:1'}]}\n    - spec: {containers: [{name: cl",
            ),
            "predictors[0].graph: must have a node with its container in componentSpecs[0]",
        ),
        (
            with("name: next", "name: Next"),
            "predictors[1].name: does not give a valid Service name",
        ),
        (
            with("name: next", &format!("name: {}", "x".repeat(60))),
            "predictors[1].name: does not give a valid Service name",
        ),
    ] {
        let error = rejected(&text);
        assert!(error.contains(rule), "{rule}\n{error}");
    }
}

#[test]
fn single_predictor_needs_no_or_full_traffic() {
    let one = VALID.split("  - name: next").next().unwrap();
    assert_eq!(parsed_manifest(&one.replace("    traffic: 75\n", "")).errors, []);
    assert_eq!(parsed_manifest(&one.replace("75", "100")).errors, []);
    let error = rejected(one);
    assert!(
        error.contains("predictors[0].traffic: must be 100 or not set"),
        "{error}"
    );
    let shadow = rejected(&one.replace("traffic: 75", "shadow: true"));
    assert!(
        shadow.contains("predictors[0].shadow: needs another predictor"),
        "{shadow}"
    );
}

#[test]
fn manifest_excludes_options_of_the_server() {
    let both = parsed(json!({"manifest": VALID, "image": "iris:1"}));
    let errors: Vec<String> = both.errors.iter().map(ToString::to_string).collect();
    assert!(
        errors[0].starts_with("option image: cannot be combined with manifest"),
        "{errors:?}"
    );
    let stopped = parsed(json!({"manifest": VALID, "replicas": 0}));
    let error = stopped.errors[0].to_string();
    assert!(
        error.starts_with("option replicas: cannot be combined with manifest. Run: juju config iris replicas=1 ("),
        "{error}"
    );
    // An entry takes precedence over a default.
    let entries = |models: &str| parsed(json!({"manifest": VALID, "models": models}));
    let served = |models: &str| {
        let config = entries(models);
        assert_eq!(config.errors, []);
        config.models[0].serves()
    };
    assert_eq!(served("{a: {image: 'iris:2'}}"), "iris:2");
    assert!(served("{a: {}}").starts_with("main ("));
    let mapping = serde_yaml::to_string(&serde_yaml::from_str::<Value>(VALID).unwrap()).unwrap();
    let nested = format!("a:\n  manifest:\n    {}", mapping.replace('\n', "\n    "));
    let config = parsed(json!({"image": "iris:1", "models": nested}));
    assert_eq!(config.errors, []);
    assert!(config.models[0].serves().starts_with("main ("));
    let config = entries(&format!("{nested}\n  image: iris:1"));
    assert!(
        config.errors[0]
            .to_string()
            .starts_with("models: a: image: cannot be combined with manifest")
    );
}

#[test]
fn two_models_never_share_a_service() {
    let manifest = VALID.replace("name: next", "name: b-main");
    let entry = |name: &str, text: &str| format!("{name}: {{manifest: {}}}\n", json!(text));
    let config = parsed(json!({"models": entry("a", &manifest) + &entry("a-b", VALID)}));
    assert_eq!(config.models.len(), 1);
    let error = config.errors[0].to_string();
    assert!(
        error.contains(
            "models: a-b: would get a Service of a. Run: juju config iris models=@models.yaml (a-b-main: rename"
        ),
        "{error}"
    );
}
