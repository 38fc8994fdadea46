//! The packed charm under a real Juju.
//!
//! `JUJU_CONTROLLER=<controller> cargo test --test juju`; CONTRIBUTING.md has what else it needs. Where there is no `juju`, or no
//! controller is named, every test that needs one is counted as ignored, and the reason is printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod actions;
mod client;
mod cluster;
mod endpoints;
#[path = "../support/kinds.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod kinds;
mod model;
mod neighbour;
mod operations;
#[path = "../support/packed.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod packed;
mod recorded;
mod setup;
mod status;
mod tutorial;

use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};

use setup::Missing;

/// How many tests run at a time: each has a model that starts, and two cores start two.
const THREADS: usize = 2;

/// A test by its function's name.
macro_rules! claims {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        vec![$($((stringify!($module), stringify!($name), $module::$name as fn())),+),+]
    };
}

fn trials(claims: &[(&str, &str, fn())], ignored: bool) -> Vec<Trial> {
    let trial = |(module, name, claim): &(&str, &str, fn())| {
        let (name, claim) = ((*name).to_owned(), *claim);
        Trial::test(format!("{module}::{name}"), move || {
            let start = Instant::now();
            claim();
            eprintln!("{name}: {:.0} s", start.elapsed().as_secs_f64());
            Ok(())
        })
        .with_ignored_flag(ignored)
    };
    claims.iter().map(trial).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    // Each test has a Juju model of its own.
    let own_models = claims! {
        tutorial:
            tutorial_works_with_the_packed_charm;
        endpoints:
            gateway_info_gives_the_model_its_gateway,
            gateway_metadata_names_the_gateway,
            metrics_endpoint_gets_scrape_jobs_and_alerts,
            grafana_dashboard_gets_a_dashboard,
            tracing_sends_traces_to_the_named_receiver,
            seldon_core_relation_needs_its_endpoint_named;
        operations:
            secret_is_read_once_it_is_granted,
            missing_trust_is_named_and_heals,
            refresh_restarts_no_model,
            second_unit_comes_and_goes,
            offered_metrics_reach_another_juju_model;
    };
    // These share a Juju model, of which they change nothing.
    let actions = claims! {
        actions:
            list_models_shows_the_state,
            report_is_json_for_programs,
            endpoints_shows_the_addresses,
            predict_returns_the_models_answer,
            feedback_is_accepted,
            plan_shows_what_an_option_would_change,
            diagnose_finds_nothing_broken,
            promote_needs_a_canary,
            rollback_needs_an_earlier_version;
    };
    let recorded = claims! {
        recorded:
            status_is_read_from_each_juju,
            related_applications_are_read_from_each_juju,
            task_is_read_from_each_juju,
            application_data_is_that_of_the_endpoint,
            versions_are_read_with_and_without_patch,
            neighbour_has_the_other_side_of_each_endpoint,
            neighbour_publishes_what_its_options_say;
    };

    let setup = setup::read();
    match &setup {
        Ok(()) => {}
        Err(Missing::NotRequested(reason)) => {
            eprintln!("these tests are ignored, as there is no Juju to use: {reason}");
        }
        Err(Missing::Unusable(reason)) => {
            eprintln!("JUJU_CONTROLLER names a controller that cannot be used: {reason}");
            return ExitCode::from(101);
        }
    }
    let ignored = setup.is_err();
    let mut trials_of_all = trials(&recorded, false);
    trials_of_all.extend(trials(&own_models, ignored));
    trials_of_all.extend(trials(&actions, ignored));
    let conclusion = libtest_mimic::run(&arguments, trials_of_all);
    actions::finish();
    conclusion.exit_code()
}
