//! New versions in steps, under load, without a lost request.

use std::thread;
use std::time::Duration;

use kube_box::images::{IRIS_1, IRIS_2};

use crate::fixture::{FLOWER, Model, SERVES, until};
use crate::load::{Load, assert_none_failed, send, send_as};
use crate::support::assert_contains;

/// How many of a hundred requests version 2 answered.
fn part_of_2(model: &Model) -> usize {
    let answers: Vec<_> = (0..100).map(|_| model.predict()).collect();
    answers.iter().filter(|answer| answer.version() == "2").count()
}

pub fn stepwise_canary_loses_no_request() {
    let mut model = Model::serving("walk");
    let load = Load::start(&model.predictions("walk"), FLOWER, 3);
    let canary = |weight: u8| format!("{{image: '{IRIS_2}', weight: {weight}}}");
    let steps = [
        (IRIS_1, canary(0), 0..=0),
        // Of a hundred requests; outside of this range once in ten thousand times.
        (IRIS_1, canary(10), 1..=24),
        (IRIS_1, canary(50), 30..=70),
        (IRIS_1, canary(100), 100..=100),
        (IRIS_2, canary(100), 100..=100),
        (IRIS_2, String::new(), 100..=100),
    ];
    for (image, canary, part) in steps {
        model.configure(&[("image", image), ("canary", &canary)]);
        model.until_says(SERVES, &["active: "]);
        let seen = part_of_2(&model);
        assert!(
            part.contains(&seen),
            "{seen} of a hundred after image={image} canary={canary}"
        );
    }
    // Requests still on their way must succeed too.
    thread::sleep(Duration::from_secs(15));
    let answers = load.stop();
    assert_none_failed(&answers, 30.0);
    eprintln!("{} requests while a canary was walked, none failed", answers.len());
}

pub fn promotion_sends_no_request_to_old_version() {
    let mut model = Model::new("step");
    model.configure(&[("canary", &format!("{{image: '{IRIS_2}', weight: 100}}"))]);
    model.until_says(SERVES, &["active: "]);
    assert_eq!(part_of_2(&model), 100);
    let load = Load::start(&model.predictions("step"), FLOWER, 2);
    model.configure(&[("image", IRIS_2), ("canary", "")]);
    model.until_says(SERVES, &["active: "]);
    thread::sleep(Duration::from_secs(15));
    let answers = load.stop();
    assert_none_failed(&answers, 20.0);
    assert!(answers.iter().all(|answer| answer.version() == "2"));
}

pub fn only_requests_with_header_reach_canary() {
    let mut model = Model::new("header");
    model.configure(&[("canary", &format!("{{image: '{IRIS_2}', match: {{x-canary: 'yes'}}}}"))]);
    assert_contains(&model.until_says(SERVES, &["active: "]), &["where x-canary=yes"]);
    let url = model.predictions("header");
    for _ in 0..20 {
        assert_eq!(send(&url, FLOWER).version(), "1");
        assert_eq!(send_as(&url, FLOWER, &[("x-canary", "yes")]).version(), "2");
        assert_eq!(send_as(&url, FLOWER, &[("x-canary", "no")]).version(), "1");
    }
}

pub fn shadow_gets_copies_and_answers_nobody() {
    let mut model = Model::new("shade");
    model.configure(&[("shadow", &format!("{{image: '{IRIS_2}'}}"))]);
    model.until_says(SERVES, &["active: "]);
    let before = model.requests_counted("shadow");
    for _ in 0..20 {
        let answer = model.predict();
        assert_eq!((answer.status, answer.version().as_str()), (200, "1"));
    }
    // Copies are sent after the request, and nothing waits for their responses.
    until(Duration::from_secs(10), "the shadow has seen all of them", || {
        match model.requests_counted("shadow") - before {
            20 => Ok(()),
            other => Err(format!("{other} of 20")),
        }
    });
}
