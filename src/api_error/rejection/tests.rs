//! Statuses are those of kube-apiserver 1.34, recorded.

use kube::core::Status;
use serde_json::json;

use super::*;

fn said(code: u16, message: &str, causes: &[(&str, &str)]) -> Option<String> {
    let causes: Vec<_> = causes
        .iter()
        .map(|(field, message)| json!({"field": field, "message": message}))
        .collect();
    let status = json!({"status": "Failure", "code": code, "message": message, "details": {"causes": causes}});
    rejection(&serde_json::from_value::<Status>(status).unwrap())
}

fn typed(errors: &str) -> String {
    let object = "(types/iris; machinelearning.seldon.io/v1, Kind=SeldonDeployment)";
    said(
        500,
        &format!("failed to create typed patch object {object}: {errors}"),
        &[],
    )
    .unwrap()
}

#[test]
fn errors_of_an_apply_name_place_and_rule() {
    for (error, expected) in [
        (
            ".spec.predictors[0].name: expected string, got &value.valueUnstructured{Value:5}",
            "spec.predictors[0].name: must be text, put it in quotes",
        ),
        (
            ".spec.name: expected string, got &value.valueUnstructured{Value:map[string]interface {}{\"x\":\"y\"}}",
            "spec.name: must be text",
        ),
        (
            ".spec.a: expected numeric (int or float), got []interface {}",
            "spec.a: must be a number",
        ),
        (
            ".spec.a: expected boolean, got &{[true]}",
            "spec.a: must be true or false",
        ),
        (".spec.env[0]: expected map, got &{[x]}", "spec.env[0]: must be a map"),
        (
            ".spec.command: expected list, got &{map[x:y]}",
            "spec.command: must be a list",
        ),
        (
            ".spec.predictors[0].hpa: field not declared in schema",
            "spec.predictors[0].hpa: unknown to the installed CRD",
        ),
        (
            ".spec.env: duplicate entries for key [name=\"A\"]",
            "spec.env: name=\"A\" is used twice",
        ),
        (
            ".spec.ports: element 0: associative list with keys has an element that omits all key fields [\"containerPort\"] (and doesn't \
             have default values for any key fields)",
            "spec.ports[0]: must have containerPort",
        ),
        (
            ".spec.ports: element 0: associative list with keys may not have non-map elements",
            "spec.ports[0]: must be a map",
        ),
        (
            "errors:\n  .spec.tty: expected boolean, got &{yes}\n  .spec.image: expected string, got \
             &value.valueUnstructured{Value:5}\n  .spec.nope: field not declared in schema",
            "spec.tty: must be true or false, and 2 more",
        ),
    ] {
        assert_eq!(typed(error), expected);
    }
    let old = "failed to create typed patch object: .spec.replicas: expected numeric (int or float), got string";
    assert_eq!(said(500, old, &[]).unwrap(), "spec.replicas: must be a number");
}

#[test]
fn causes_are_told_without_go_values() {
    let pod = "spec.containers[0]";
    let cpu = "spec.resources.requests.cpu";
    let cases: [(&[(&str, &str)], &str); 9] = [
        (
            &[
                (
                    &format!("{pod}.ports[0].containerPort"),
                    "Invalid value: 99999: must be between 1 and 65535, inclusive",
                ),
                (&format!("{pod}.volumeMounts[0].name"), "Not found: \"no\""),
                (
                    "spec.restartPolicy",
                    "Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"",
                ),
            ],
            "spec.containers[0].ports[0].containerPort: must be between 1 and 65535, inclusive (value: 99999), and 2 more",
        ),
        (
            &[(
                "spec.restartPolicy",
                "Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            )],
            "spec.restartPolicy: must be one of Always, OnFailure, Never (value: Maybe)",
        ),
        (
            &[("spec.volumeMounts[0].name", "Not found: \"no\"")],
            "spec.volumeMounts[0].name: not found (value: no)",
        ),
        (
            &[("spec.env[0].name", "Required value")],
            "spec.env[0].name: is not set",
        ),
        (
            &[(
                "spec.resources",
                "Invalid value: core.ResourceRequirements{Limits:core.ResourceList{\"cpu\":resource.Quantity{i:resource.int64Amount{value:1, \
                 scale:0}, s:\": \"}}}: must be less than the limit",
            )],
            "spec.resources: must be less than the limit",
        ),
        (
            &[(
                "spec.template.metadata.labels",
                "Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
            )],
            "spec.template.metadata.labels: `selector` does not match template `labels`",
        ),
        (
            &[
                (
                    cpu,
                    "Invalid value: \"boolean\": spec.resources.requests.cpu in body must be of type integer,string: \"boolean\"",
                ),
                (
                    "<nil>",
                    "Invalid value: \"\": \"spec.resources.requests.cpu\" must validate at least one schema (anyOf)",
                ),
                (
                    cpu,
                    "Invalid value: \"boolean\": spec.resources.requests.cpu in body must be of type integer: \"boolean\"",
                ),
            ],
            "spec.resources.requests.cpu: must be a number or text",
        ),
        (
            &[(
                cpu,
                "Invalid value: \"lots\": spec.resources.requests.cpu in body should match \
                 '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$'",
            )],
            "spec.resources.requests.cpu: is not a valid quantity (value: lots)",
        ),
        (
            &[(
                "data[a b]",
                "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            )],
            "data[a b]: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (value: a b)",
        ),
    ];
    for (causes, expected) in cases {
        assert_eq!(
            said(422, "SeldonDeployment \"iris\" is invalid: …", causes).unwrap(),
            expected
        );
    }
}

#[test]
fn denial_of_a_webhook_is_told_without_go_values() {
    let denied = |why: &str| {
        said(
            403,
            &format!("admission webhook \"v1.x.io\" denied the request: {why}"),
            &[],
        )
        .unwrap()
    };
    assert_eq!(denied("no changes on Fridays"), "no changes on Fridays");
    let errors = "SeldonDeployment.machinelearning.seldon.io \"iris\" is invalid: [spec.predictors[0]: Invalid value: v1.PredictorSpec{Name:\"a\", \
                  Graph:v1.PredictiveUnit{Name:\"a, b: c\"}}: Duplicate predictor name, spec.predictors[1]: Forbidden: no, not today]";
    assert_eq!(
        denied(errors),
        "spec.predictors[0]: Duplicate predictor name, and 1 more"
    );
    let value = "SeldonDeployment \"iris\" is invalid: spec.predictors[0].traffic: Invalid value: 7: Traffic must sum to 100, not 7";
    assert_eq!(
        denied(value),
        "spec.predictors[0].traffic: Traffic must sum to 100, not 7 (value: 7)"
    );
}

#[test]
fn field_errors_that_another_client_keeps_are_told_in_words() {
    let description = "Deployment.apps \"iris-default-0-iris\" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: \
                       \"2Gi\": must be less than or equal to memory limit of 1Gi";
    assert_eq!(
        field_errors(description).unwrap(),
        "spec.template.spec.containers[0].resources.requests: must be less than or equal to memory limit of 1Gi (value: 2Gi)"
    );
    for other in [
        "",
        "no reason",
        "pods \"iris-1\" is forbidden: exceeded quota: small, requested: memory=1Gi",
    ] {
        assert_eq!(field_errors(other), None);
    }
}

#[test]
fn what_the_decoder_rejects_has_its_place() {
    let strict = "strict decoding error: unknown field \"spec.replica\", duplicate field \"spec.name\"";
    assert_eq!(said(400, strict, &[]).unwrap(), "spec.replica: unknown key, and 1 more");
    let typed = "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field \
                 DeploymentSpec.spec.replicas of type int32";
    assert_eq!(said(400, typed, &[]).unwrap(), "spec.replicas: must be a whole number");
    assert_eq!(said(400, "the body is empty", &[]).unwrap(), "the body is empty");
}

#[test]
fn other_errors_of_the_server_are_no_rejection() {
    for (code, message) in [
        (500, "etcdserver: no leader"),
        (403, "exceeded quota: x"),
        (409, "conflict"),
        (504, "timeout"),
    ] {
        assert_eq!(said(code, message, &[]), None, "{message}");
    }
}

proptest::proptest! {
    #[test]
    fn any_status_is_told(message in ".{0,60}", field in ".{0,9}", begin in "(Invalid value|Forbidden|Too long)?(: )?", text in "[\":{}\\[\\], a-z\\\\]{0,40}") {
        let shown = said(422, &message, &[(&field, &format!("{begin}{text}"))]).unwrap();
        proptest::prop_assert!(!shown.contains(char::is_control));
    }
}
