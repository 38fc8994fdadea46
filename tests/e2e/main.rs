//! The charm on a full site: a real node, Seldon Core's own controller, Istio's own control plane and gateway, models
//! that answer.
//!
//! `cargo test --test e2e`, as root. Where the machine cannot run a site, every test is counted as ignored, and the reason
//! is printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc
)]

mod access;
mod actions;
#[path = "../support/console.rs"]
mod console;
mod demo;
mod docs;
mod fixture;
mod grpc;
mod ingress;
mod load;
mod manifests;
mod measure;
mod multiple_models;
mod observability;
mod outages;
mod ownership;
mod pod_failures;
mod predictions;
mod releases;
mod site_cleanup;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod watcher;

use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};
use site::full::Full;

/// How many tests run at a time: they wait for probes most of the time, and two cores start four models at once.
const THREADS: usize = 4;

/// A test by its function's name.
macro_rules! claims {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        vec![$($((stringify!($module), stringify!($name), $module::$name as fn())),+),+]
    };
}

fn trials(claims: &[(&str, &'static str, fn())], ignored: bool) -> Vec<Trial> {
    let trial = |(module, name, claim): &(&str, &'static str, fn())| {
        let (name, claim) = (*name, *claim);
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

/// The tests that share a site at the same time.
fn together() -> Vec<(&'static str, &'static str, fn())> {
    claims! {
        predictions:
            request_of_the_blog_is_answered,
            active_means_a_request_succeeds,
            new_version_loses_no_request,
            executor_counts_the_requests,
            mlserver_answers_protocol_v2;
        releases:
            stepwise_canary_loses_no_request,
            promotion_sends_no_request_to_old_version,
            only_requests_with_header_reach_canary,
            shadow_gets_copies_and_answers_nobody;
        manifests:
            graphs_combine_split_route_and_learn,
            manifest_splits_logs_and_explains,
            manifest_without_replicas_changes_its_image;
        pod_failures:
            bad_image_is_named_and_previous_version_serves,
            crash_at_start_is_named,
            out_of_memory_model_is_named,
            unschedulable_model_is_named,
            missing_model_uri_is_named;
        actions:
            predict_works_through_gateway_and_directly;
        grpc:
            seldon_client_is_routed_by_headers_or_host,
            seldon_client_is_routed_behind_istio_ingress_k8s,
            v2_client_is_routed_by_headers_or_host,
            tensorflow_client_is_routed_by_headers_or_host;
        ingress:
            http_route_serves_model_and_canary_share,
            changing_gateways_and_back_loses_no_request,
            rejected_route_is_reported_with_istiods_reason;
        access:
            tokens_open_their_model_and_nothing_else,
            login_comes_before_tokens;
        multiple_models:
            ten_models_share_a_port_and_one_leaves,
            taken_prefix_blocks_only_the_second_model,
            headers_of_one_model_freeze_no_routes;
        observability:
            every_dashboard_panel_shows_data;
        ownership:
            manual_change_is_reverted_and_logged,
            manually_deleted_object_is_recreated_and_logged,
            missing_permissions_block_and_recover,
            istio_and_seldon_webhooks_accept_the_objects,
            removed_application_leaves_nothing,
            force_removed_application_leaves_nothing;
        watcher:
            status_follows_a_model_within_three_seconds,
            refresh_loses_no_request_and_rolls_no_pod;
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // These stop a part that other tests on the same site need, so they run one after the other.
    let outages = claims! {
        outages:
            seldons_own_route_and_ours_coexist,
            api_server_outage_is_waited_for_and_recovers,
            missing_seldon_controller_is_never_active,
            routes_keep_working_without_istiod,
            gateway_outage_spoils_no_later_connection,
            route_that_envoy_rejects_is_noticed,
            kubelet_outage_does_not_stay_active;
    };
    // These have sites of their own.
    let own_sites = claims! {
        docs:
            tutorial_works_as_written;
        demo:
            demo_ends_with_the_models_answer,
            demo_without_root_shows_the_small_site;
    };
    // These compare the whole machine before and after, so nothing else may come and go.
    let alone = claims! {
        site_cleanup:
            site_down_leaves_nothing_behind,
            killed_site_leaves_nothing_behind;
    };
    let measured = claims! { measure: measure; };

    let possible = Full::possible();
    if let Err(why) = &possible {
        eprintln!("these tests are ignored, as this machine cannot run a full site: {why}");
    }
    let can = possible.is_ok();
    let runs = !arguments.list && can;
    if runs {
        fixture::start();
    }
    let measuring = arguments.ignored || arguments.include_ignored;
    arguments.test_threads.get_or_insert(THREADS);
    let mut conclusions = vec![libtest_mimic::run(&arguments, trials(&together(), !can))];
    arguments.test_threads = Some(1);
    conclusions.extend(std::thread::scope(|scope| {
        let beside = scope.spawn(|| libtest_mimic::run(&arguments, trials(&own_sites, !can)));
        let outages = libtest_mimic::run(&arguments, trials(&outages, !can));
        [outages, beside.join().unwrap()]
    }));
    let mut rest = trials(&alone, !can);
    if measuring {
        rest.extend(trials(&measured, true));
    }
    conclusions.push(libtest_mimic::run(&arguments, rest));
    if runs {
        fixture::stop();
    }
    if conclusions.iter().any(libtest_mimic::Conclusion::has_failed) {
        return ExitCode::from(101);
    }
    ExitCode::SUCCESS
}
