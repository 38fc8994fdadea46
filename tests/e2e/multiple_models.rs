//! Many models share a gateway.

use std::time::Instant;

use seldon_model::config::value::HEADER_COMMANDS;

use crate::fixture::{FLOWER, Model, SERVES, SOON, until};
use crate::load::{Load, assert_none_failed, header, send};
use crate::support::assert_contains;

pub fn ten_models_share_a_port_and_one_leaves() {
    let mut model = Model::new("fleet");
    let names: Vec<String> = (0..10).map(|number| format!("flower-{number}")).collect();
    // Every other one is of version 2.
    let entries = |names: &[String]| {
        let entry = |name: &String| {
            let version = 1 + name.bytes().last().unwrap() % 2;
            format!("{name}: {{image: 'site.local/iris:{version}'}}")
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        format!("{{{}}}", all.join(", "))
    };
    let start = Instant::now();
    model.configure(&[("image", ""), ("prefix", ""), ("models", &entries(&names))]);
    model.until_says(2 * SERVES, &["active: "]);
    eprintln!("ten models serve after {} s", start.elapsed().as_secs());
    for name in &names {
        let answer = send(&model.predictions(name), FLOWER);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let version = 1 + name.bytes().last().unwrap() % 2;
        assert_eq!(answer.version(), version.to_string(), "{name}");
        // The wrapper returns the name it was called by.
        assert!(
            answer.json()["meta"]["requestPath"].get(name).is_some(),
            "{name}: {answer:?}"
        );
    }

    let (gone, rest) = names.split_last().unwrap();
    let loads: Vec<Load> = rest
        .iter()
        .map(|name| Load::start(&model.predictions(name), FLOWER, 1))
        .collect();
    let says = model.configure(&[("models", &entries(rest))]);
    assert!(says.starts_with("active: "), "{says}");
    until(SOON, &format!("{gone} is gone"), || {
        let answer = send(&model.predictions(gone), FLOWER);
        if answer.status == 404 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    for load in loads {
        assert_none_failed(&load.stop(), 5.0);
    }
}

pub fn taken_prefix_blocks_only_the_second_model() {
    let model = Model::serving("first");
    let load = Load::start(&model.predictions("first"), FLOWER, 3);
    let mut second = Model::new("second");
    let says = second.configure(&[("prefix", "/model/first/"), ("image", "site.local/iris:2")]);
    assert!(says.starts_with("blocked: "), "{says}");
    assert_contains(&says, &["/model/first/", "prefix"]);
    second.configure(&[("prefix", "/model/second/")]);
    second.until_says(SERVES, &["active: "]);
    let answers = load.stop();
    assert_none_failed(&answers, 50.0);
    assert!(answers.iter().all(|answer| answer.version() == "1"));
    assert_eq!(second.predict().version(), "2");
}

/// Envoy rejects the routes of all models for one value that it cannot read.
pub fn headers_of_one_model_freeze_no_routes() {
    let mut model = Model::serving("formats");
    let with_arguments = [
        "REQ(:authority)",
        "REQ(x-a)",
        "START_TIME(%Y-%m-%dT%H:%M:%S)",
        "PER_REQUEST_STATE(a.b)",
        "UPSTREAM_METADATA([\"istio\", \"workload\"])",
    ];
    let commands = HEADER_COMMANDS.iter().chain(&with_arguments).enumerate();
    let all: Vec<String> = commands.map(|(at, command)| format!("x-{at}: '%{command}%'")).collect();
    let all = all.join(", ");
    let headers = format!("{{request: {{set: {{{all}}}}}, response: {{set: {{{all}}}, add: {{x-load: 90%%}}}}}}");
    let says = model.configure(&[("headers", &headers)]);
    assert!(says.starts_with("active: "), "{says}");
    let url = model.predictions("formats");
    until(SOON, "the gateway sets the headers", || {
        match header(&url, FLOWER, "x-load").as_deref() {
            Some("90%") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let says = model.configure(&[("headers", "{response: {set: {x-load: a%20b%20c}}}")]);
    assert_contains(
        &says,
        &["blocked: option headers: response.set: x-load: write %% for %"],
    );
    // Later routes still reach the gateway.
    let mut second = Model::serving("unfrozen");
    second.configure(&[("prefix", "/model/thawed/")]);
    until(SOON, "a route changes", || {
        match send(&second.predictions("thawed"), FLOWER).status {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    assert_eq!(model.predict().status, 200);
}
