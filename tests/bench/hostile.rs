//! What a hook costs next to hostile or large neighbours, and with hostile options: `cargo test --test bench -- hostile`.
//! Fails where one takes more than a hook may.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::Live;
use crate::stopwatch::{Spent, Stopwatch};
use crate::support::kinds::vs;
use crate::{fleet, run as measured};

/// The argument that selects this measurement.
pub const WORD: &str = "hostile";

/// Of one VirtualService, so that 2,000 have 40 MB together.
const RULES: usize = 100;

/// What a hook may cost, in KiB and of CPU time. The API server's own time is in the wall time.
const MOST_MEMORY: i64 = 64 * 1024;
const LONGEST: Duration = Duration::from_secs(2);

pub fn run(dispatch: &Path) {
    println!("| a hook with | CPU | peak memory | wall |");
    println!("|---|---|---|---|");
    let stopwatch = Stopwatch::before(dispatch);
    let mut site = Live::new("hostile");
    site.agent.dispatch = stopwatch.dispatch();
    assert!(site.serves().starts_with("active"));
    let row = |what: &str, spent: &Spent| {
        print(what, spent);
        assert!(spent.memory <= MOST_MEMORY && spent.cpu <= LONGEST, "{what}: {spent:?}");
    };
    row("one model", &measured(&mut site, &stopwatch, "update-status").spent);

    let gateway = "hostile/gate";
    let elsewhere = |at: usize| json!({"prefix": format!("/tenant/{at}/{}/", "x".repeat(60))});
    let undecided = |at: usize| json!({"regex": format!("/model/[a-z]+/({at}|{})", "[a-f]{1,9}".repeat(5))});
    for (routes, what, uri) in [
        (
            200,
            "regular expressions that may match",
            &undecided as &dyn Fn(usize) -> Value,
        ),
        (2000, "other prefixes", &elsewhere),
    ] {
        let tenant = Live::new(&format!("tenant-{routes}"));
        let bytes: usize = (0..routes)
            .map(|at| {
                let rules: Vec<Value> = (0..RULES)
                    .map(|rule| json!({"match": [{"uri": uri(at * RULES + rule)}], "route": destination()}))
                    .collect();
                let route = json!({"spec": {"hosts": ["*"], "gateways": [gateway], "http": rules}});
                tenant.create(&vs(), &format!("theirs-{at}"), &route);
                route.to_string().len()
            })
            .sum();
        let what = format!(
            "{routes} VirtualServices of others, {} MB, of {what}",
            bytes / 1_000_000
        );
        row(&what, &measured(&mut site, &stopwatch, "update-status").spent);
        for at in 0..routes {
            tenant.delete(&vs(), &format!("theirs-{at}"));
        }
    }

    for (models, what, option, value) in [
        (40, "an option of 262,000 brackets", "env", "[".repeat(262_000)),
        (
            200,
            "a default of 246 KB",
            "env",
            format!("{{A: {}}}", "x".repeat(246_000)),
        ),
    ] {
        let mut live = Live::new(&format!("options-{models}"));
        live.agent.dispatch = stopwatch.dispatch();
        live.config(&[("models", &fleet(models, "iris:1")), (option, &value)]);
        let spent = measured(&mut live, &stopwatch, "config-changed").spent;
        assert!(live.says().starts_with("blocked"), "{}", live.says());
        row(&format!("{models} models and {what}"), &spent);
    }

    // Valid, and so not hostile: what as much costs as all models of an application may have.
    let mut live = Live::new("large");
    live.agent.dispatch = stopwatch.dispatch();
    let env = format!("{{A: {}}}", "x".repeat(246_000));
    live.config(&[("models", &fleet(60, "iris:1")), ("env", &env)]);
    for hook in ["first", "quiet"] {
        let spent = measured(&mut live, &stopwatch, "config-changed").spent;
        assert!(live.says().starts_with("waiting"), "{}", live.says());
        print(&format!("60 models and a default of 246 KB, {hook}"), &spent);
    }
}

fn print(what: &str, spent: &Spent) {
    println!(
        "| {what} | {:.1} ms | {:.1} MB | {} ms |",
        spent.cpu.as_secs_f64() * 1e3,
        spent.memory as f64 * 1024.0 / 1e6,
        spent.wall.as_millis()
    );
}

fn destination() -> Value {
    json!([{"destination": {"host": "theirs.tenant.svc.cluster.local", "port": {"number": 80}}}])
}
