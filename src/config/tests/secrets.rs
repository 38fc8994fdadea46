//! References to secrets, and the errors for one that cannot be read or used.

use std::collections::BTreeMap;

use super::*;
use crate::config::secret::{Purpose, SecretContents};
use juju_hooks::{SecretContent, SecretError, Version};

const ONE: &str = "secret:9m4e2mr0ui3e8a215n4g";
const OTHER: &str = "secret:9m4e2mr0ui3e8a215n50";

fn content(pairs: &[(&str, &str)]) -> SecretContent {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// What these options come to where Juju answers the same for every secret.
fn resolved(options: Json, answer: &Result<SecretContent, SecretError>) -> Config {
    let mut config = parsed(options);
    assert_eq!(config.errors, []);
    let answers: SecretContents = config
        .juju_secrets()
        .into_iter()
        .map(|uri| (uri, answer.clone()))
        .collect();
    config.resolve_secrets("iris", "edge", &answers);
    config
}

/// The only error of a model with this secret.
fn rejected(option: &str, answer: &Result<SecretContent, SecretError>) -> String {
    let mut options = json!({"implementation": "SKLEARN_SERVER", "model-uri": "s3://models/iris"});
    options[option] = json!(ONE);
    let config = resolved(options, answer);
    assert_eq!(config.models, [], "a model without its secret is not planned");
    assert!(config.frozen.contains("iris"), "its objects stay unchanged");
    let [error] = config.errors.as_slice() else {
        panic!("{:#?}", config.errors);
    };
    let text = error.to_string();
    assert!(text.chars().count() <= 240, "too long for a status: {text}");
    text
}

/// What the Secret for that holds, by key.
fn made(option: &str, pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut options = json!({"implementation": "SKLEARN_SERVER", "model-uri": "s3://models/iris"});
    options[option] = json!(ONE);
    let config = resolved(options, &Ok(content(pairs)));
    assert_eq!(config.errors, []);
    let data = config.secrets.values().next().unwrap().encoded();
    let text = |(key, value): (String, k8s_openapi::ByteString)| (key, String::from_utf8(value.0).unwrap());
    data.into_iter().map(text).collect()
}

#[test]
fn secret_is_from_juju_or_kubernetes() {
    use value::SecretRef;
    let secret_ref = |text: &str| {
        model("image-pull-secret", text)
            .server
            .image_pull_secret
            .unwrap()
            .reference
    };
    for text in [
        ONE,
        "secret://aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee/9m4e2mr0ui3e8a215n4g",
    ] {
        let SecretRef::Juju(uri) = secret_ref(text) else {
            panic!("{text}");
        };
        assert_eq!((uri.to_string().as_str(), uri.id()), (text, "9m4e2mr0ui3e8a215n4g"));
    }
    assert_eq!(
        secret_ref("kubernetes:plant.registry-1"),
        SecretRef::Kubernetes("plant.registry-1".into())
    );
    for (text, rule) in [
        ("registry", "is not a valid secret reference"),
        ("9m4e2mr0ui3e8a215n4g", "is not a valid secret reference"),
        ("secret:registry", "is not a valid secret ID"),
        ("secret:9m4e2mr0ui3e8a215n4G", "is not a valid secret ID"),
        ("secret://edge/9m4e2mr0ui3e8a215n4g", "the UUID of a Juju model"),
        ("kubernetes:", "is not a valid Secret name"),
        ("kubernetes:Plant", "is not a valid Secret name"),
        ("kubernetes:-a", "is not a valid Secret name"),
        ("hunter2", "is not a valid secret reference"),
    ] {
        let error = error("storage-secret", text);
        assert!(
            error.starts_with("option storage-secret: ") && error.contains(rule),
            "{error}"
        );
        assert!(
            !error.contains("hunter2"),
            "an invalid reference may be the secret: {error}"
        );
    }
}

#[test]
fn unreadable_secret_names_the_command() {
    let old = || Err(SecretError::Unsupported(Version::read("2.9.42").unwrap()));
    for (option, answer, text) in [
        (
            "image-pull-secret",
            Err(SecretError::NotGranted),
            "is not granted. Run: juju grant-secret secret:9m4e2mr0ui3e8a215n4g iris",
        ),
        (
            "image-pull-secret",
            Err(SecretError::NotFound),
            "does not exist. Run: juju add-secret iris-registry registry=… username=… password=… \
             (secret:9m4e2mr0ui3e8a215n4g; then juju grant-secret iris-registry iris, juju config iris image-pull-secret=secret:…)",
        ),
        (
            "storage-secret",
            Err(SecretError::NotFound),
            "does not exist. Run: juju add-secret iris-storage access-key-id=… secret-access-key=… endpoint=… \
             (secret:9m4e2mr0ui3e8a215n4g; then juju grant-secret iris-storage iris, juju config iris storage-secret=secret:…)",
        ),
        (
            "image-pull-secret",
            old(),
            "secrets need Juju 3.0.3 or later. Run: juju config iris image-pull-secret=kubernetes:… \
             (Juju 2.9.42 has no secrets; first kubectl -n edge create secret docker-registry …)",
        ),
        (
            "storage-secret",
            old(),
            "secrets need Juju 3.0.3 or later. Run: juju config iris storage-secret=kubernetes:… \
             (Juju 2.9.42 has no secrets; first kubectl -n edge create secret generic …)",
        ),
    ] {
        assert_eq!(rejected(option, &answer), format!("option {option}: {text}"));
    }
}

#[test]
fn invalid_secret_names_key_and_no_value() {
    for (option, pairs, rule) in [
        (
            "image-pull-secret",
            vec![("username", "hunter2")],
            "missing key `registry`",
        ),
        (
            "image-pull-secret",
            vec![("registry", "r"), ("username", "hunter2")],
            "missing key `password`",
        ),
        (
            "image-pull-secret",
            vec![("registry", "hunter 2")],
            "`registry` is not a valid host",
        ),
        (
            "image-pull-secret",
            vec![("dockerconfigjson", "hunter2")],
            "(must be JSON with a map auths)",
        ),
        (
            "image-pull-secret",
            vec![("dockerconfigjson", r#"{"auths": ["hunter2"]}"#)],
            "`dockerconfigjson` is not valid",
        ),
        (
            "storage-secret",
            vec![("access-key-id", "hunter2")],
            "missing key `secret-access-key`",
        ),
        (
            "storage-secret",
            vec![("endpoint", "hunter2")],
            "missing key `access-key-id`",
        ),
        (
            "storage-secret",
            vec![("password", "hunter2")],
            "nor one that begins with rclone-config-",
        ),
    ] {
        let text = rejected(option, &Ok(content(&pairs)));
        assert!(text.contains(rule), "{text}");
        assert!(text.contains(&format!(". Run: juju update-secret {ONE} ")), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn registry_credentials_become_a_docker_config() {
    for registry in ["registry", "server"] {
        let data = made(
            "image-pull-secret",
            &[
                (registry, "r.example:5000"),
                ("username", "edge"),
                ("password", "hunter2"),
                ("email", "x"),
            ],
        );
        let config: Json = serde_json::from_str(&data[".dockerconfigjson"]).unwrap();
        assert_eq!(
            config,
            json!({"auths": {"r.example:5000": {"username": "edge", "password": "hunter2", "auth": "ZWRnZTpodW50ZXIy"}}})
        );
    }
    let whole = r#"{"auths": {"r.example": {"auth": "eDp5"}}}"#;
    let data = made("image-pull-secret", &[("dockerconfigjson", whole)]);
    assert_eq!(data[".dockerconfigjson"], whole);
}

#[test]
fn storage_credentials_become_rclone_variables() {
    let short = made(
        "storage-secret",
        &[
            ("access-key-id", "edge"),
            ("secret-access-key", "hunter2"),
            ("endpoint", "http://minio:9000"),
        ],
    );
    let pairs: Vec<String> = short.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        pairs,
        [
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID=edge",
            "RCLONE_CONFIG_S3_ENDPOINT=http://minio:9000",
            "RCLONE_CONFIG_S3_ENV_AUTH=false",
            "RCLONE_CONFIG_S3_PROVIDER=Other",
            "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY=hunter2",
            "RCLONE_CONFIG_S3_TYPE=s3",
        ]
    );
    let amazon = made(
        "storage-secret",
        &[
            ("access-key-id", "a"),
            ("secret-access-key", "b"),
            ("region", "eu-west-1"),
            ("rclone-config-s3-acl", "private"),
        ],
    );
    assert_eq!(amazon["RCLONE_CONFIG_S3_PROVIDER"], "AWS");
    assert_eq!(amazon["RCLONE_CONFIG_S3_REGION"], "eu-west-1");
    assert_eq!(amazon["RCLONE_CONFIG_S3_ACL"], "private");
    // Keys of rclone take precedence.
    let full = made(
        "storage-secret",
        &[
            ("access-key-id", "a"),
            ("secret-access-key", "b"),
            ("rclone-config-s3-provider", "Ceph"),
        ],
    );
    assert_eq!(full["RCLONE_CONFIG_S3_PROVIDER"], "Ceph");
    let other = made(
        "storage-secret",
        &[
            ("rclone-config-azure-type", "azureblob"),
            ("rclone-config-azure-key", "k"),
        ],
    );
    assert_eq!(
        other.keys().collect::<Vec<_>>(),
        ["RCLONE_CONFIG_AZURE_KEY", "RCLONE_CONFIG_AZURE_TYPE"]
    );
}

#[test]
fn secret_error_names_its_option_and_freezes_one() {
    let options = json!({
        "image": "iris:1",
        "models": format!("
a: {{}}
b: {{image-pull-secret: '{ONE}'}}
c: {{image-pull-secret: 'kubernetes:mine'}}
d: {{canary: {{image: 'iris:2', image-pull-secret: '{OTHER}'}}}}
"),
    });
    let config = resolved(options, &Err(SecretError::NotGranted));
    let names: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(config.frozen.iter().collect::<Vec<_>>(), ["b", "d"]);
    let errors: Vec<String> = config.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            format!("models: b: image-pull-secret: is not granted. Run: juju grant-secret {ONE} iris"),
            format!("models: d: canary.image-pull-secret: is not granted. Run: juju grant-secret {OTHER} iris"),
        ]
    );
}

#[test]
fn shared_secret_is_read_and_reported_once() {
    let options =
        json!({"image": "iris:1", "image-pull-secret": ONE, "models": "{a: {}, b: {}, c: {image-pull-secret: ''}}"});
    assert_eq!(parsed(options.clone()).juju_secrets().len(), 1);
    let config = resolved(options, &Err(SecretError::NotFound));
    assert_eq!(config.errors.len(), 1);
    assert_eq!(config.models.len(), 1, "one that unsets it needs none");
}

#[test]
fn storage_secret_is_read_only_with_model_files() {
    let none = json!({"image": "iris:1", "storage-secret": ONE});
    assert!(parsed(none).juju_secrets().is_empty());
    let graph =
        "{transformer: t, image: 't:1', children: [{model: m, implementation: SKLEARN_SERVER, model-uri: 's3://m/m'}]}";
    let config = resolved(
        json!({"graph": graph, "storage-secret": ONE, "image-pull-secret": ONE}),
        &Ok(content(&[
            ("access-key-id", "a"),
            ("secret-access-key", "b"),
            ("registry", "r.example"),
            ("username", "u"),
            ("password", "p"),
        ])),
    );
    assert_eq!(config.errors, []);
    let purposes: Vec<Purpose> = config.secrets.keys().map(|(purpose, _)| *purpose).collect();
    assert_eq!(
        purposes,
        [Purpose::ImagePull, Purpose::Storage],
        "one secret may be both"
    );
}

#[test]
fn manifest_names_its_own_secrets() {
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: default, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}";
    let config = parsed(json!({"manifest": manifest, "image-pull-secret": ONE}));
    assert!(
        config.errors[0]
            .to_string()
            .contains("image-pull-secret: cannot be combined with manifest")
    );
}

#[test]
fn debug_output_of_config_hides_secret_values() {
    let pairs = [("access-key-id", "hunter1"), ("secret-access-key", "hunter2")];
    let config = resolved(
        json!({"image": "iris:1", "model-uri": "s3://m/m", "storage-secret": ONE}),
        &Ok(content(&pairs)),
    );
    assert_eq!(config.secrets.len(), 1);
    let shown = format!("{config:?}");
    assert!(
        shown.contains("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY") && !shown.contains("hunter"),
        "{shown}"
    );
}
