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

mod actions;
#[path = "../support/console.rs"]
mod console;
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

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let together = claims! {
        predictions:
            the_blogs_request_is_answered,
            it_is_active_only_once_a_request_would_succeed,
            a_new_version_costs_no_request,
            the_executor_counts_the_requests,
            protocol_v2_is_answered_by_mlserver;
        releases:
            a_canary_is_walked_to_its_promotion_without_a_lost_request,
            promoted_in_one_step_no_request_goes_back_to_the_old_version,
            requests_with_a_header_go_to_the_canary_and_no_others,
            a_shadow_sees_the_requests_and_nobody_its_answers;
        manifests:
            graphs_combine_split_route_and_learn,
            a_manifest_splits_logs_and_explains,
            a_manifest_without_replicas_changes_its_image;
        pod_failures:
            a_bad_image_is_named_and_the_version_before_goes_on,
            a_crash_at_start_is_named,
            a_model_that_outgrows_its_memory_is_named,
            a_model_that_no_node_has_room_for_is_named,
            a_model_uri_that_does_not_exist_is_named;
        actions:
            actions_ask_a_model_through_the_gateway_and_past_it;
        grpc:
            seldons_client_is_led_by_headers_or_host_and_so_is_its_page,
            behind_istio_ingress_k8s_seldons_client_is_led_by_the_same_and_so_is_its_page,
            the_client_of_v2_is_led_by_headers_or_host_and_so_is_its_page,
            the_client_of_tensorflow_is_led_by_headers_or_host;
        ingress:
            a_model_answers_by_an_http_route_and_a_canary_gets_its_part,
            from_istio_pilot_to_istio_ingress_k8s_and_back_costs_no_request,
            what_istiod_says_of_a_route_that_it_does_not_take_is_told;
        multiple_models:
            ten_models_share_a_port_and_one_leaves_without_harm,
            a_taken_prefix_blocks_the_second_and_harms_nobody,
            headers_of_one_model_never_freeze_the_routes_of_all;
        observability:
            every_panel_of_the_dashboard_shows_what_the_models_do;
        ownership:
            what_a_person_changes_is_put_back_and_said,
            what_a_person_deletes_is_made_again_and_said,
            without_rights_it_says_what_to_type_and_heals,
            istio_and_seldon_check_what_is_written,
            removed_leaves_nothing,
            removed_by_force_leaves_nothing;
        watcher:
            the_status_follows_a_model_within_three_seconds_and_no_hook_of_jujus,
            a_refresh_of_the_charm_loses_no_request_and_rolls_no_pod;
    };
    // What takes away a part that others stand on.
    let alone = claims! {
        outages:
            seldons_own_route_and_ours_live_together,
            without_the_api_server_it_waits_and_heals,
            without_seldons_controller_it_never_says_active,
            without_istiod_what_is_routed_goes_on,
            without_the_gateway_who_is_refused_spoils_no_later_connection,
            without_the_kubelet_it_does_not_stay_active;
        docs:
            the_tutorial_is_true;
        site_cleanup:
            down_leaves_nothing_behind,
            a_killed_site_leaves_nothing_behind;
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
    let first = libtest_mimic::run(&arguments, trials(&together, !can));
    arguments.test_threads = Some(1);
    let mut rest = trials(&alone, !can);
    if measuring {
        rest.extend(trials(&measured, true));
    }
    let second = libtest_mimic::run(&arguments, rest);
    if runs {
        fixture::stop();
    }
    if first.has_failed() || second.has_failed() {
        return ExitCode::from(101);
    }
    ExitCode::SUCCESS
}
