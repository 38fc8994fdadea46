//! Who may send requests to a model.

use super::*;
use crate::config::value::Keys;

const KEY: &str = "{kty: EC, crv: P-256, x: AA, y: AA, kid: one}";

fn jwt(rest: &str) -> String {
    format!("{{jwt: {{issuer: 'https://sso.example', audiences: [iris], {rest}}}}}")
}

#[test]
fn keys_are_a_map_or_the_json_that_an_issuer_publishes() {
    let json = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"one"}],"more":1}"#;
    for keys in [format!("jwks: {{keys: [{KEY}]}}"), format!("jwks: '{json}'")] {
        let config = parsed(json!({"image": "iris:1", "access": jwt(&keys)}));
        assert_eq!(config.errors, []);
        let access = config.models[0].access.clone().unwrap();
        let Keys::Inline(keys) = &access.keys else {
            panic!("{access:?}");
        };
        let keys: Json = serde_json::from_str(keys).unwrap();
        assert_eq!(
            keys,
            json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "one"}]})
        );
        assert_eq!(access.header, None);
    }
    let config = parsed(json!({"models": format!(
        "{{a: {{image: 'iris:1', access: {}}}}}",
        jwt("jwks-uri: 'http://dex.auth:5556/keys', header: X-Model-Token")
    )}));
    let access = config.models[0].access.clone().unwrap();
    assert_eq!(access.keys, Keys::Uri("http://dex.auth:5556/keys".into()));
    assert_eq!(access.header.as_deref(), Some("x-model-token"));
    assert_eq!(
        access.to_string(),
        "takes tokens of https://sso.example for iris in the header x-model-token"
    );
}

#[test]
fn authorization_is_the_header_that_is_the_default() {
    let options = json!({"image": "iris:1", "access": jwt("jwks-uri: 'http://a/b', header: Authorization")});
    assert_eq!(parsed(options).models[0].access.clone().unwrap().header, None);
}

#[test]
fn no_token_of_another_kind_would_do() {
    let long = "x".repeat(2000);
    for (value, message) in [
        ("{}".to_owned(), "access: jwt: is not set"),
        (jwt(""), "access: jwt.jwks: is not set"),
        (jwt("jwks-uri: 'ftp://a/b'"), "must be an http:// or https:// URL"),
        (
            jwt(&format!("jwks-uri: 'http://a/b', jwks: {{keys: [{KEY}]}}")),
            "cannot be combined with jwks-uri",
        ),
        (
            "{jwt: {audiences: [a], jwks-uri: 'http://a/b'}}".into(),
            "access: jwt.issuer: is not set",
        ),
        (
            "{jwt: {issuer: a, jwks-uri: 'http://a/b'}}".into(),
            "access: jwt.audiences: is not set",
        ),
        (
            "{jwt: {issuer: a, audiences: [], jwks-uri: 'http://a/b'}}".into(),
            "must have 1 to 16 names",
        ),
        // A wildcard would take the tokens of others.
        (
            "{jwt: {issuer: 'https://*', audiences: [a], jwks-uri: 'http://a/b'}}".into(),
            "must not contain spaces or *",
        ),
        (
            "{jwt: {issuer: a, audiences: ['*'], jwks-uri: 'http://a/b'}}".into(),
            "must not contain spaces or *",
        ),
        (
            format!("{{jwt: {{issuer: {long}, audiences: [a], jwks-uri: 'http://a/b'}}}}"),
            "must be 1 to 1024 characters",
        ),
        (
            jwt("jwks-uri: 'http://a/b', header: Host"),
            "must be the name of a header of its own",
        ),
        // The gateway removes it on the way to the model.
        (
            jwt("jwks-uri: 'http://a/b', header: Content-Length"),
            "must be the name of a header of its own",
        ),
        (
            jwt("jwks-uri: 'http://a/b', header: 'a b'"),
            "must be the name of a header of its own",
        ),
        (jwt("jwks: {keys: []}"), "must have 1 to 16 keys"),
        (jwt("jwks: {key: []}"), "must have a list of keys"),
        (jwt("jwks: '{'"), "must be a JSON Web Key Set"),
        (jwt("jwks: {keys: [{kty: RSA, n: AA}]}"), "has an incomplete key"),
        (jwt("jwks: {keys: [a]}"), "keys must be maps"),
        (jwt("jwks: {keys: [{kty: X}]}"), "keys must have the kty RSA, EC or OKP"),
    ] {
        let error = error("access", value.clone());
        assert!(error.contains(message), "{value}: {error}");
    }
}

#[test]
fn private_key_is_not_taken_and_not_repeated() {
    for member in ["d", "k", "p"] {
        let keys = format!("jwks: {{keys: [{{kty: EC, crv: P-256, x: AA, y: AA, {member}: hunter2}}]}}");
        let error = error("access", jwt(&keys));
        assert!(error.contains("must not have private or symmetric keys"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn wildcard_host_cannot_be_guarded() {
    let options = |hosts: &str| json!({"image": "iris:1", "hosts": hosts, "access": jwt("jwks-uri: 'http://a/b'")});
    let config = parsed(options("*.plant.example"));
    let error = config.errors[0].to_string();
    assert!(
        error.contains("access: cannot be combined with a wildcard in hosts"),
        "{error}"
    );
    for hosts in ["*", "a.example,b.example"] {
        assert_eq!(parsed(options(hosts)).errors, [], "{hosts}");
    }
}

#[test]
fn annotation_that_opens_another_gateway_is_not_combined() {
    let access = jwt("jwks-uri: 'http://a/b'");
    let message = "access: cannot be combined with the annotation seldon.io/istio-gateway";
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {\
        annotations: {seldon.io/istio-gateway: open}, \
        predictors: [{name: default, graph: {name: iris, implementation: SKLEARN_SERVER, modelUri: 'gs://a/b'}}]}}";
    for options in [
        json!({"image": "iris:1", "access": access, "annotations": "{seldon.io/istio-gateway: open}"}),
        json!({"manifest": manifest, "access": access}),
    ] {
        let config = parsed(options.clone());
        assert!(config.errors[0].to_string().contains(message), "{:?}", config.errors);
        let mut without = options.as_object().unwrap().clone();
        without.remove("access");
        assert_eq!(parsed(Json::Object(without)).errors, []);
    }
}

#[test]
fn pasted_secret_is_not_repeated() {
    for value in [
        "hunter2".to_owned(),
        "-----BEGIN PRIVATE KEY----- hunter2".to_owned(),
        "{jwt: hunter2}".to_owned(),
        "{jwt: {hunter2".to_owned(),
        jwt("jwks: hunter2"),
        jwt("jwks: {keys: hunter2}"),
        jwt("jwks: {keys: [hunter2]}"),
        jwt("jwks: {keys: [{kty: hunter2}]}"),
        jwt("jwks: {keys: [{kty: oct, k: hunter2}]}"),
        jwt("jwks: '{\"keys\":[{\"kty\":\"RSA\",\"d\":\"hunter2\"'"),
        jwt("jwks-uri: 'https://user:hunter2@sso.example/keys'"),
        jwt("jwks-uri: 'hunter2'"),
        jwt("header: 'Bearer hunter2', jwks-uri: 'http://a/b'"),
    ] {
        let error = error("access", value.clone());
        assert!(!error.contains("hunter2"), "{value}: {error}");
    }
}
