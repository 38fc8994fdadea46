//! An API server that misbehaves: how the charm reports it, and that it recovers.

use std::fs;
use std::time::Duration;

use juju_sim::agent::Fault;
use serde_json::Value;

use super::fixture::Live;
use super::proxy::{ALL, ApiFault, Proxy, RequestFilter, WRITES};
use crate::support::kinds::sdep;
use crate::support::{assert_contains, log, status};

/// How long a hook may take: the time a leader may rely on (`BUDGET` in src/cluster.rs), and the hook tools.
const BUDGET: Duration = Duration::from_secs(27);

/// A charm whose model serves, behind a proxy.
fn serving(model: &str) -> (Live, Proxy) {
    let mut live = Live::new(model);
    let proxy = Proxy::in_front_of(&mut live, 2000..2100);
    assert!(live.serves().starts_with("active: iris serves"));
    (live, proxy)
}

fn answer(code: u16, header: Option<(&'static str, &'static str)>, body: &str) -> ApiFault {
    ApiFault::Answer(code, header, body.to_owned())
}

#[test]
fn transient_faults_within_a_hook_are_not_reported() {
    let (mut live, proxy) = serving("passing");
    for fault in [
        // The response of a Kubernetes that sheds load.
        answer(
            429,
            Some(("Retry-After", "1")),
            "Too many requests, please try again later.",
        ),
        answer(429, None, ""),
        ApiFault::error(500, "InternalError", "etcdserver: leader changed"),
        ApiFault::error(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        answer(502, None, "<html>bad gateway</html>"),
        ApiFault::Reset,
        ApiFault::Cut,
        ApiFault::Slow(Duration::from_secs(2)),
    ] {
        proxy.inject(RequestFilter { times: 2, ..ALL }, fault.clone());
        let says = status(&live.hook("update-status"));
        assert!(says.starts_with("active: iris serves"), "{fault:?}: {says}");
    }
    for (number, fault) in [
        answer(429, None, ""),
        ApiFault::error(500, "InternalError", "etcdserver: request timed out"),
        ApiFault::error(409, "Conflict", "the object has been modified"),
        ApiFault::Reset,
        // The write succeeded, and only the response was lost.
        ApiFault::Cut,
    ]
    .into_iter()
    .enumerate()
    {
        let image = format!("iris:{number}");
        proxy.inject(RequestFilter { times: 2, ..WRITES }, fault.clone());
        live.config(&[("image", &image)]);
        let says = live.says();
        assert!(
            says.starts_with("waiting: iris: rolling out iris:"),
            "{fault:?}: {says}"
        );
        let object = live.sdep("iris").unwrap().to_string();
        assert!(object.contains(&image), "{fault:?}: {object}");
    }
}

#[test]
fn lasting_faults_are_reported_and_recover() {
    let (mut live, proxy) = serving("staying");
    for (fault, expected) in [
        (
            answer(429, Some(("Retry-After", "1")), ""),
            "Kubernetes API overloaded; will retry",
        ),
        (
            ApiFault::error(500, "InternalError", "etcdserver: no leader"),
            "Kubernetes API error; will retry (HTTP 500: etcdserver: no leader)",
        ),
        (
            answer(200, None, "<html>Please log in to the hotel's network</html>"),
            "Kubernetes API error; will retry (invalid answer: ",
        ),
        (
            answer(200, None, "{\"kind\": \"List\", \"items\": 3}"),
            "Kubernetes API error; will retry (invalid answer: ",
        ),
        (
            answer(200, None, ""),
            "Kubernetes API error; will retry (invalid answer: ",
        ),
        (ApiFault::Cut, "Kubernetes API unreachable; will retry ("),
        (ApiFault::Reset, "Kubernetes API unreachable; will retry ("),
    ] {
        proxy.inject(ALL, fault.clone());
        let run = live.hook("update-status");
        assert_contains(&status(&run), &["waiting: ", expected]);
        assert!(run.wall < BUDGET, "{fault:?}: {:?}", run.wall);
        proxy.clear();
        let says = status(&live.hook("update-status"));
        assert!(says.starts_with("active: "), "{fault:?}: {says}");
    }
}

#[test]
fn slow_api_server_costs_no_more_than_budget() {
    let (mut live, proxy) = serving("slow");
    proxy.inject(ALL, ApiFault::Slow(Duration::from_secs(60)));
    let run = live.hook("update-status");
    assert_contains(&status(&run), &["waiting: Kubernetes API too slow; will retry"]);
    assert!(run.wall < BUDGET, "{:?}", run.wall);
    proxy.clear();
    assert!(status(&live.hook("update-status")).starts_with("active: "));
}

#[test]
fn rejected_write_is_reported_and_changes_nothing() {
    let (mut live, proxy) = serving("refusing");
    let before = live.versions();
    for (fault, expected) in [
        (
            ApiFault::error(500, "InternalError", "etcdserver: no space"),
            "waiting: iris: Kubernetes API error; will retry (HTTP 500: etcdserver: no space)",
        ),
        (answer(429, None, ""), "waiting: Kubernetes API overloaded; will retry"),
        (
            ApiFault::error(409, "Conflict", "the object has been modified"),
            "waiting: iris: changed by another client at the same time; will retry",
        ),
        (
            ApiFault::error(
                403,
                "Forbidden",
                "admission webhook \"models.factory\" denied the request: no changes on Fridays",
            ),
            "blocked: iris: SeldonDeployment rejected by Kubernetes. Run: juju config iris (no changes on Fridays)",
        ),
        (
            ApiFault::error(
                500,
                "InternalError",
                "Internal error occurred: failed calling webhook \"v1.vseldondeployment.kb.io\": failed to call webhook: \
                 Post \"https://seldon\": context deadline exceeded",
            ),
            "waiting: iris: waiting for Seldon Core's webhook; will retry (v1.vseldondeployment.kb.io: context deadline exceeded",
        ),
        (ApiFault::Reset, "waiting: Kubernetes API unreachable; will retry"),
        (
            answer(200, None, "fine"),
            "waiting: iris: Kubernetes API error; will retry (invalid answer: ",
        ),
    ] {
        proxy.inject(WRITES, fault.clone());
        live.config(&[("image", "iris:2")]);
        let run = live.hook("config-changed");
        assert_contains(&status(&run), &[expected]);
        assert!(run.wall < BUDGET, "{fault:?}: {:?}", run.wall);
        assert_eq!(live.versions(), before, "{fault:?}");
        proxy.clear();
        live.config(&[("image", "seldonio/sklearn-iris:0.3")]);
        assert!(live.says().starts_with("active: "), "{fault:?}");
    }
    live.config(&[("image", "iris:2")]);
    assert!(live.serves().starts_with("active: iris serves iris:2"));
}

#[test]
fn certificate_not_valid_now_blocks_naming_the_clock() {
    for (name, years) in [("expired", 2000..2001), ("not-yet", 2090..2100)] {
        let mut live = Live::new(name);
        Proxy::in_front_of(&mut live, years);
        let run = live.hook("config-changed");
        assert_contains(
            &status(&run),
            &["blocked: Kubernetes API certificate not valid now: check the clock. Run: sudo microk8s refresh-certs "],
        );
        assert!(run.wall < Duration::from_secs(5), "{:?}", run.wall);
    }
}

#[test]
fn leadership_lost_during_observation_writes_nothing() {
    let (mut live, proxy) = serving("deposed");
    let before = live.versions();
    // Leadership is checked when there is something to write, and by then another unit has it.
    live.error("is-leader", Fault::Raw(b"false".to_vec()));
    proxy.inject(ALL, ApiFault::Slow(Duration::from_millis(200)));
    live.config(&[("image", "iris:2")]);
    let run = live.hook("config-changed");
    assert_contains(
        &status(&run),
        &["waiting: iris: waiting for the leader unit to apply the new configuration"],
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
fn untrusted_certificate_gets_no_requests() {
    let mut live = Live::new("stranger");
    let direct = edit_kubeconfig(&live, |_| ());
    let proxy = Proxy::in_front_of(&mut live, 2000..2100);
    let known: Value = serde_yaml::from_str(&direct).unwrap();
    edit_kubeconfig(&live, |kubeconfig| {
        let cluster = kubeconfig["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority");
        cluster.insert(
            "certificate-authority-data".to_owned(),
            known["clusters"][0]["cluster"]["certificate-authority-data"].clone(),
        );
    });
    assert_contains(
        &live.says(),
        &["waiting: Kubernetes API certificate not trusted; will retry"],
    );
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[test]
fn renewed_token_is_used_by_next_hook() {
    let mut live = Live::new("renewed");
    assert!(live.serves().starts_with("active: "));
    let good = edit_kubeconfig(&live, |kubeconfig| {
        kubeconfig["users"][0]["user"]["token"] = Value::from("of yesterday");
    });
    assert_contains(
        &live.says(),
        &["waiting: Kubernetes API rejects this unit's token; will retry"],
    );
    fs::write(live.agent.kubeconfig.clone().unwrap(), good).unwrap();
    assert!(live.says().starts_with("active: "));
    assert!(live.get(&sdep(), "iris").is_some());
}

#[test]
fn empty_token_file_is_named() {
    let mut live = Live::new("no-token");
    assert!(live.serves().starts_with("active: "));
    let file = live.agent.kubeconfig.clone().unwrap().with_extension("token");
    fs::write(&file, "\n").unwrap();
    let good = edit_kubeconfig(&live, |kubeconfig| {
        let user = kubeconfig["users"][0]["user"].as_object_mut().unwrap();
        *user = [("tokenFile".to_owned(), Value::from(file.to_str().unwrap()))]
            .into_iter()
            .collect();
    });
    let cause = format!(
        "waiting: waiting for Kubernetes to write the service account's token ({} is empty)",
        file.display()
    );
    assert_contains(&live.says(), &[&cause]);
    fs::write(live.agent.kubeconfig.clone().unwrap(), good).unwrap();
    fs::remove_file(file).unwrap();
    assert!(live.says().starts_with("active: "));
}

/// The API server parses an apply as YAML, which allows fewer characters than JSON.
#[test]
fn any_character_of_an_env_value_reaches_the_model() {
    let mut live = Live::new("odd-characters");
    let text = "a\u{1}b\u{7f}c\u{85}d\u{9b}e\u{2028}f\u{feff}g\u{e9}h\u{1f600}i";
    let env = serde_json::to_string(&serde_json::json!({"MARK": text})).unwrap();
    // As an operator can write them in YAML.
    let escape = |c: char| match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{feff}' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let env: String = env.chars().map(escape).collect();
    live.config(&[("env", &env)]);
    assert_contains(&live.serves(), &["active: iris serves"]);
    let object = live.get(&sdep(), "iris").unwrap();
    let written = object["spec"]["predictors"][0].to_string();
    assert!(
        written.contains(serde_json::to_string(text).unwrap().trim_matches('"')),
        "{written}"
    );
    let version = object["metadata"]["resourceVersion"].clone();
    live.hook("update-status");
    assert_eq!(
        live.get(&sdep(), "iris").unwrap()["metadata"]["resourceVersion"],
        version
    );
}

#[test]
fn hook_ends_when_application_version_set_hangs() {
    let mut live = Live::new("version-hangs");
    live.error("application-version-set", Fault::Hang);
    live.hook("config-changed");
    live.seldon_serves("iris");
    let run = live.hook("update-status");
    assert!(status(&run).starts_with("active: iris serves"), "{}", status(&run));
    assert_contains(
        &log(&run),
        &["Juju's application-version-set did not answer within 30 s"],
    );
    assert!(run.wall < Duration::from_secs(45), "{:?}", run.wall);
}
