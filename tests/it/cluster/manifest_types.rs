//! Manifests with a value of another type than Seldon's definition has, against the real API server.

use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::assert_contains;

/// A valid one with fields of every kind.
const MANIFEST: &str = "
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata:
  labels: {team: vision}
spec:
  annotations: {seldon.io/rest-timeout: '5000'}
  predictors:
  - name: blue
    replicas: 1
    labels: {version: a}
    annotations: {note: b}
    componentSpecs:
    - metadata:
        labels: {tier: model}
      hpaSpec:
        minReplicas: 1
        maxReplicas: 2
      spec:
        terminationGracePeriodSeconds: 5
        nodeSelector: {disk: ssd}
        tolerations: [{key: gpu, operator: Exists}]
        securityContext: {runAsUser: 8888, runAsNonRoot: true}
        volumes:
        - name: files
          configMap: {name: files, defaultMode: 256, optional: false}
        containers:
        - name: classifier
          image: iris:1
          command: [serve]
          env:
          - {name: LEVEL, value: info}
          - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}
          ports: [{name: http, containerPort: 9000}]
          resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}
          readinessProbe: {httpGet: {path: /health, port: 9000}, periodSeconds: 5}
          volumeMounts: [{name: files, mountPath: /files, readOnly: true}]
    graph:
      name: classifier
      type: MODEL
      endpoint: {type: REST, service_port: 9000}
      parameters: [{name: a, value: '1', type: INT}]
      logger: {mode: all, url: 'http://sink'}
      children: []
    svcOrchSpec:
      env: [{name: LEVEL, value: debug}]
      resources: {requests: {cpu: 50m}}
";

/// All values below one, each with its JSON pointer.
fn values(value: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    found.push((pointer.to_owned(), value.clone()));
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                values(value, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                values(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Values of other types.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::String(_) => vec![json!(8080), json!(true), json!(["x"]), json!({"x": "y"})],
        Value::Number(_) => vec![json!("some"), json!(true), json!([1]), json!({"x": 1}), json!(1.5)],
        Value::Bool(_) => vec![json!("some"), json!(1), json!([true])],
        Value::Array(_) => vec![json!("some"), json!(1), json!({"x": "y"})],
        Value::Object(_) => vec![json!("some"), json!(1), json!(["x"])],
        Value::Null => Vec::new(),
    }
}

/// Whether Seldon's definition has a number or text there.
fn is_either(pointer: &str, value: &Value) -> bool {
    let either = ["/port", "/cpu", "/memory"].iter().any(|end| pointer.ends_with(end));
    either && (value.is_string() || value.is_i64())
}

#[test]
fn value_of_another_type_is_blocked_with_its_place() {
    let valid: Value = serde_yaml::from_str(MANIFEST).unwrap();
    let mut live = Live::new("types");
    live.config(&[("image", ""), ("manifest", MANIFEST)]);
    assert_contains(&live.says(), &["waiting: iris: waiting for Seldon Core"]);
    let (mut places, mut wrong) = (Vec::new(), Vec::new());
    values(&valid["spec"], "/spec", &mut places);
    for (pointer, value) in places {
        for other in others(&value).into_iter().filter(|other| !is_either(&pointer, other)) {
            let mut changed = valid.clone();
            *changed.pointer_mut(&pointer).unwrap() = other.clone();
            live.config(&[("manifest", &changed.to_string())]);
            let said = live.says();
            let rule = format!("{}: must be ", place(&pointer));
            let is_right = said.starts_with("blocked: ") && without_items(&said).contains(&rule);
            if !is_right || said.contains("interface {}") || said.contains("valueUnstructured") {
                wrong.push(format!("{pointer} = {other}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `predictors.graph` of `/spec/predictors/0/graph`.
fn place(pointer: &str) -> String {
    let keys = pointer.split('/').skip(2).filter(|key| key.parse::<usize>().is_err());
    keys.map(|key| key.replace("~1", "/")).collect::<Vec<_>>().join(".")
}

/// Without what is in brackets: an item of a list is named by its index or by its keys.
fn without_items(text: &str) -> String {
    let mut depth = 0;
    let outside = text.chars().filter(|c| {
        depth += i32::from(*c == '[');
        let is_outside = depth == 0;
        depth -= i32::from(*c == ']');
        is_outside
    });
    outside.collect()
}
