//! An API server that misbehaves: what the charm makes of it, and that it comes right again.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use site::agent::Fault;

use super::fixture::Live;
use super::proxy::{ALL, Proxy, Rule, WRITES, Weather};
use crate::support::kinds::sdep;
use crate::support::{has, log, status};

/// How long a hook may take: what a leader may rely on (`BUDGET` in src/cluster.rs), and the tools beside it.
const BUDGET: Duration = Duration::from_secs(27);

/// A charm whose model serves, behind a proxy.
fn serving(model: &str) -> (Live, Proxy) {
    let mut live = Live::new(model);
    let proxy = Proxy::before(&mut live, 2000..2100);
    assert!(live.serves().starts_with("active: iris serves"));
    (live, proxy)
}

fn answer(code: u16, header: Option<(&'static str, &'static str)>, body: &str) -> Weather {
    Weather::Answer(code, header, body.to_owned())
}

#[test]
fn what_passes_within_a_hook_is_not_told() {
    let (mut live, proxy) = serving("passing");
    for weather in [
        // As a Kubernetes that sheds load says it.
        answer(
            429,
            Some(("Retry-After", "1")),
            "Too many requests, please try again later.",
        ),
        answer(429, None, ""),
        Weather::error(500, "InternalError", "etcdserver: leader changed"),
        Weather::error(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        answer(502, None, "<html>bad gateway</html>"),
        Weather::Reset,
        Weather::Cut,
        Weather::Slow(Duration::from_secs(2)),
    ] {
        proxy.turns(Rule { times: 2, ..ALL }, weather.clone());
        let says = status(&live.hook("update-status"));
        assert!(says.starts_with("active: iris serves"), "{weather:?}: {says}");
    }
    for (number, weather) in [
        answer(429, None, ""),
        Weather::error(500, "InternalError", "etcdserver: request timed out"),
        Weather::error(409, "Conflict", "the object has been modified"),
        Weather::Reset,
        // It went through, and only the answer to it was lost.
        Weather::Cut,
    ]
    .into_iter()
    .enumerate()
    {
        let image = format!("iris:{number}");
        proxy.turns(Rule { times: 2, ..WRITES }, weather.clone());
        live.config(&[("image", &image)]);
        let says = live.says();
        assert!(
            says.starts_with("waiting: iris is changing over"),
            "{weather:?}: {says}"
        );
        let object = live.sdep("iris").unwrap().to_string();
        assert!(object.contains(&image), "{weather:?}: {object}");
    }
}

#[test]
fn what_stays_is_told_and_heals_by_itself() {
    let (mut live, proxy) = serving("staying");
    for (weather, told) in [
        (
            answer(429, Some(("Retry-After", "1")), ""),
            "the Kubernetes API is overloaded",
        ),
        (
            Weather::error(500, "InternalError", "etcdserver: no leader"),
            "the Kubernetes API is not well (HTTP 500, etcdserver: no leader)",
        ),
        (
            answer(200, None, "<html>Please log in to the hotel's network</html>"),
            "the Kubernetes API is not well (its answer cannot be read",
        ),
        (
            answer(200, None, "{\"kind\": \"List\", \"items\": 3}"),
            "its answer cannot be read",
        ),
        (answer(200, None, ""), "its answer cannot be read"),
        (Weather::Cut, "the Kubernetes API cannot be reached ("),
        (Weather::Reset, "the Kubernetes API cannot be reached ("),
    ] {
        proxy.turns(ALL, weather.clone());
        let run = live.hook("update-status");
        has(&status(&run), &["waiting: ", told, "tried again at the next hook"]);
        assert!(run.wall < BUDGET, "{weather:?}: {:?}", run.wall);
        proxy.clears();
        let says = status(&live.hook("update-status"));
        assert!(says.starts_with("active: "), "{weather:?}: {says}");
    }
}

#[test]
fn an_api_server_that_hardly_answers_costs_a_hook_no_more_than_its_time() {
    let (mut live, proxy) = serving("slow");
    proxy.turns(ALL, Weather::Slow(Duration::from_secs(60)));
    let run = live.hook("update-status");
    has(&status(&run), &["waiting: the Kubernetes API takes too long to answer"]);
    assert!(run.wall < BUDGET, "{:?}", run.wall);
    proxy.clears();
    assert!(status(&live.hook("update-status")).starts_with("active: "));
}

#[test]
fn a_write_that_is_refused_leaves_what_serves_and_is_told_by_its_cause() {
    let (mut live, proxy) = serving("refusing");
    let before = live.versions();
    for (weather, told) in [
        (
            Weather::error(500, "InternalError", "etcdserver: no space"),
            "waiting: iris: the Kubernetes API is not well (HTTP 500, etcdserver: no space)",
        ),
        (answer(429, None, ""), "waiting: iris: the Kubernetes API is overloaded"),
        (
            Weather::error(409, "Conflict", "the object has been modified"),
            "waiting: iris: somebody else changed it at that moment",
        ),
        (
            Weather::error(
                403,
                "Forbidden",
                "admission webhook \"models.factory\" denied the request: no changes on Fridays",
            ),
            "blocked: iris: SeldonDeployment iris is refused: no changes on Fridays",
        ),
        (
            Weather::error(
                500,
                "InternalError",
                "Internal error occurred: failed calling webhook \"v1.vseldondeployment.kb.io\": failed to call webhook: \
                 Post \"https://seldon\": context deadline exceeded",
            ),
            "waiting: iris: the webhook v1.vseldondeployment.kb.io does not answer (context deadline exceeded)",
        ),
        (Weather::Reset, "waiting: iris: the Kubernetes API cannot be reached"),
        (
            answer(200, None, "fine"),
            "waiting: iris: the Kubernetes API is not well (its answer cannot be read",
        ),
    ] {
        proxy.turns(WRITES, weather.clone());
        live.config(&[("image", "iris:2")]);
        let run = live.hook("config-changed");
        has(&status(&run), &[told]);
        assert!(run.wall < BUDGET, "{weather:?}: {:?}", run.wall);
        assert_eq!(live.versions(), before, "{weather:?}");
        proxy.clears();
        live.config(&[("image", "seldonio/sklearn-iris:0.3")]);
        assert!(live.says().starts_with("active: "), "{weather:?}");
    }
    // And in the end it is taken.
    live.config(&[("image", "iris:2")]);
    assert!(live.serves().starts_with("active: iris serves iris:2"));
}

#[test]
fn a_certificate_of_another_time_is_told_with_the_clock() {
    for (name, years) in [("expired", 2000..2001), ("not-yet", 2090..2100)] {
        let mut live = Live::new(name);
        Proxy::before(&mut live, years);
        let run = live.hook("config-changed");
        has(
            &status(&run),
            &[
                "blocked: the Kubernetes API's certificate is of another time",
                "set the clock",
            ],
        );
        assert!(run.wall < Duration::from_secs(5), "{:?}", run.wall);
    }
}

#[test]
fn leadership_that_is_lost_while_it_looks_writes_nothing() {
    let (mut live, proxy) = serving("deposed");
    let before = live.versions();
    // It is asked for when there is something to write, and by then another unit has it.
    live.error("is-leader", Fault::Raw(b"false".to_vec()));
    proxy.turns(ALL, Weather::Slow(Duration::from_millis(200)));
    live.config(&[("image", "iris:2")]);
    let run = live.hook("config-changed");
    has(
        &status(&run),
        &["waiting: iris is not yet as asked: the leader has still to apply it"],
    );
    assert_eq!(run.calls_of("is-leader").count(), 1);
    assert_eq!(live.versions(), before);
    assert!(
        proxy.seen().iter().all(|request| request.starts_with("GET ")),
        "{:#?}",
        proxy.seen()
    );
}

/// Changes the kubeconfig that the charm is given, as Kubernetes changes the files in its pod.
fn edit_kubeconfig(live: &Live, edit: impl FnOnce(&mut Value)) -> String {
    let path = live.agent.kubeconfig.clone().unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let mut kubeconfig = serde_yaml::from_str(&before).unwrap();
    edit(&mut kubeconfig);
    fs::write(&path, serde_yaml::to_string(&kubeconfig).unwrap()).unwrap();
    before
}

#[test]
fn a_certificate_of_nobody_we_know_is_told_and_nothing_is_sent() {
    let mut live = Live::new("stranger");
    let direct = edit_kubeconfig(&live, |_| ());
    let proxy = Proxy::before(&mut live, 2000..2100);
    let known: Value = serde_yaml::from_str(&direct).unwrap();
    edit_kubeconfig(&live, |kubeconfig| {
        let cluster = kubeconfig["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority");
        cluster.insert(
            "certificate-authority-data".to_owned(),
            known["clusters"][0]["cluster"]["certificate-authority-data"].clone(),
        );
    });
    has(
        &live.says(),
        &["waiting: the Kubernetes API's certificate is not of the cluster's authority"],
    );
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[test]
fn a_token_that_was_renewed_is_taken_at_the_next_hook() {
    let mut live = Live::new("renewed");
    assert!(live.serves().starts_with("active: "));
    let good = edit_kubeconfig(&live, |kubeconfig| {
        kubeconfig["users"][0]["user"]["token"] = Value::from("of yesterday");
    });
    has(
        &live.says(),
        &["waiting: the Kubernetes API does not accept this unit's token; tried again at the next hook"],
    );
    fs::write(live.agent.kubeconfig.clone().unwrap(), good).unwrap();
    assert!(live.says().starts_with("active: "));
    assert!(live.get(&sdep(), "iris").is_some());
}

#[test]
fn hook_ends_though_application_version_set_hangs() {
    let mut live = Live::new("version-hangs");
    live.error("application-version-set", Fault::Hang);
    live.hook("config-changed");
    live.seldon_serves("iris");
    let run = live.hook("update-status");
    assert!(status(&run).starts_with("active: iris serves"), "{}", status(&run));
    has(
        &log(&run),
        &["Juju's application-version-set did not answer within 30 s"],
    );
    assert!(run.wall < Duration::from_secs(45), "{:?}", run.wall);
}
