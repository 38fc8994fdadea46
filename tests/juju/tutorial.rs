//! The way of docs/tutorial.md, from the packed charm to nothing left. Its own bundle needs Charmhub; here the gateway is a neighbour's.

use crate::model::{FLOWER, Model, SERVES, SOON, poll};
use crate::setup::setup;

pub fn tutorial_works_with_the_packed_charm() {
    let [first, second] = &setup().images;
    let model = Model::with_iris("tutorial");
    model.until_says(SOON, &["blocked: ", "Run: juju config iris image="]);

    model.configure(&[&format!("image={first}")]);
    model.until_says(SOON, &["blocked: iris: no gateway. Run: juju", "iris:gateway-info"]);
    model.deploy_gateway("gate");
    model.integrate("iris:gateway-info", "gate:gateway-info");
    model.until_serves(first);
    model.assert_answers(first);

    model.configure(&[&format!("image={second}")]);
    model.until_serves(second);
    model.assert_answers(second);

    // A fault of form, which also keeps actions from running.
    model.configure(&["replicas=-1"]);
    model.until_says(SOON, &["blocked: option replicas", "Run: juju config iris replicas=1"]);
    let answer = setup().cluster.answer(&model.name, "iris-default:8000", FLOWER);
    assert!(answer.contains(second.as_str()), "{answer}");
    model.paste("juju config iris replicas=1");
    model.until_serves(second);

    // A version that nobody can pull.
    model.configure(&[&format!("image={second}-missing")]);
    model.until_says(SERVES, &["blocked: iris: image cannot be pulled"]);
    model.assert_answers(second);
    pasted_from(&model, "rollback");
    model.until_serves(second);

    model.configure(&[&format!("canary={{image: {first}, weight: 50}}")]);
    model.until_says(SERVES, &["active: ", &format!("{first} to 50%")]);
    pasted_from(&model, "promote");
    model.until_serves(first);
    model.assert_answers(first);

    model.juju(setup().juju.remove_application(), &["iris"]);
    model.until(SOON, "iris is gone", |status| !status.has("iris"));
    poll(SOON, "nothing of iris is left", || {
        let left = setup().cluster.of_the_charm(&model.name);
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    });
}

/// Runs the command that an action prints.
#[track_caller]
fn pasted_from(model: &Model, action: &str) {
    let results = model.completed(action, &[]);
    model.paste(results["command"].as_str().unwrap());
}
