//! The Terraform module: it has the charm's endpoints, and uses what the Juju provider has.
//!
//! `tests/terraform.rs` validates it with the provider, where that is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hcl::{Body, Expression};

use super::reference;

/// Of the resource `juju_application` (provider juju 1.x, docs/reference/terraform-provider/resources/application.md).
const ATTRIBUTES: [&str; 7] = [
    "config",
    "constraints",
    "model_uuid",
    "name",
    "trust",
    "units",
    "storage_directives",
];
/// Of its block `charm`.
const OF_CHARM: [&str; 4] = ["base", "channel", "name", "revision"];

fn read(file: &str) -> Body {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("terraform").join(file);
    hcl::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn outputs_are_the_endpoints_of_metadata_yaml() {
    let outputs = read("outputs.tf");
    let metadata = reference::read("metadata.yaml");
    for role in ["provides", "requires"] {
        let endpoints = metadata[role].as_mapping().unwrap().keys();
        let endpoints = endpoints.map(|name| name.as_str().unwrap().to_owned());
        let expected: BTreeMap<String, String> = endpoints.map(|name| (name.replace('-', "_"), name)).collect();
        let output = outputs
            .blocks()
            .find(|block| block.labels.iter().any(|label| label.as_str() == role));
        let value = output
            .unwrap()
            .body
            .attributes()
            .find(|one| one.key.as_str() == "value");
        let Expression::Object(value) = &value.unwrap().expr else {
            panic!("{role} is no map");
        };
        let entry = |(key, value): (&hcl::ObjectKey, &Expression)| {
            let Expression::String(value) = value else {
                panic!("{value:?}");
            };
            (key.to_string(), value.clone())
        };
        assert_eq!(value.iter().map(entry).collect::<BTreeMap<_, _>>(), expected);
    }
}

#[test]
fn application_uses_every_variable() {
    let main = read("main.tf");
    let [application] = main.blocks().collect::<Vec<_>>()[..] else {
        panic!("one resource was expected");
    };
    let [charm] = application.body.blocks().collect::<Vec<_>>()[..] else {
        panic!("one block was expected");
    };
    let keys = |body: &Body| -> BTreeSet<String> { body.attributes().map(|one| one.key.to_string()).collect() };
    let known = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
    assert!(keys(&application.body).is_subset(&known(&ATTRIBUTES)), "{main:?}");
    assert!(keys(&charm.body).is_subset(&known(&OF_CHARM)), "{charm:?}");

    let text = hcl::to_string(&main).unwrap();
    let variables = read("variables.tf");
    for variable in variables.blocks() {
        let name = variable.labels[0].as_str();
        assert!(text.contains(&format!("var.{name}\n")), "nothing uses {name}");
        for key in ["description", "type"] {
            assert!(keys(&variable.body).contains(key), "{name} has no {key}");
        }
    }
    let declared = variables.blocks().count();
    assert_eq!(
        text.matches("var.").count(),
        declared,
        "each is declared, and used once"
    );
}
