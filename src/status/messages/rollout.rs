//! Models that start, change, or make no progress.

use std::time::Duration;

use super::predictor_prefix;
use crate::config::Model;
use crate::plan::PlannedModel;
use crate::shell::{juju_config, juju_status};
use crate::status::fix::{self, Fix};
use crate::status::problem::{Rollout, Stalled};
use crate::status::{Message, StatusInput};

pub fn rollout(input: &StatusInput, planned: &PlannedModel, rollout: &Rollout) -> Message {
    let model = &planned.model;
    let message =
        match rollout {
            Rollout::PartlyApplied => {
                Message::waiting("changes only partly applied; will retry").cause("juju debug-log has more")
            }
            Rollout::NotApplied => Message::waiting("waiting for the leader unit to apply the new configuration"),
            Rollout::NoSeldonDeployment => Message::waiting("waiting for its SeldonDeployment to be created"),
            Rollout::BeingDeleted => Message::waiting("being deleted by another client; will be recreated"),
            Rollout::NoPods => Message::waiting("waiting for Seldon Core to create its pods")
                .cause("if it lasts: juju status seldon-core"),
            Rollout::Stopping => Message::waiting("stopping (replicas=0)"),
            Rollout::Starting => Message::waiting(format!("starting {}", model.serves())),
            Rollout::RollingOut => Message::waiting(format!("rolling out {}", model.serves()))
                .previous_serves(input.previous_serves(planned)),
            Rollout::PredictorStarting(predictor) => {
                Message::waiting(format!("{predictor} is starting; no traffic until it is ready"))
            }
            Rollout::PredictorRollingOut(predictor) => {
                Message::waiting(format!("{predictor} is rolling out")).previous_serves(input.previous_serves(planned))
            }
        };
    message.of_model(&model.name)
}

pub fn stalled(input: &StatusInput, planned: &PlannedModel, stalled: &Stalled) -> Message {
    let model = &planned.model;
    match stalled {
        Stalled::PodsNotCreated { why } => {
            let cause = format!("{why}; or fewer replicas, or a larger quota");
            Message::blocked("pods cannot be created")
                .fix(fix::set(input, model, "resources", "…"), &cause)
                .of_model(&model.name)
        }
        Stalled::SeldonReportsFailed { why } => {
            let why = if why.is_empty() { "no reason given" } else { why };
            Message::blocked("Seldon Core reports Failed")
                .run(input.commands().diagnose())
                .cause(why)
                .of_model(&model.name)
        }
        Stalled::NoProgress { deadline, why } => Message::blocked(format!("no progress in {}", minutes(*deadline)))
            .run(input.commands().diagnose())
            .cause(why)
            .of_model(&model.name),
        Stalled::NoRollout {
            predictor,
            deadline,
            is_autoscaled,
        } => {
            let message = Message::blocked(format!("no rollout in {}", minutes(*deadline)));
            let message = if *is_autoscaled {
                message.fix(
                    without_autoscaler(model, input.application),
                    "Seldon Core up to 1.16 never changes an autoscaled model",
                )
            } else {
                message.run(juju_status("seldon-core")).cause("is Seldon Core active?")
            };
            message.of_model(&predictor_prefix(planned, predictor))
        }
    }
}

fn without_autoscaler(model: &Model, application: &str) -> Fix {
    let (run, edit) = if model.is_entry {
        (
            juju_config(application, "models", "@models.yaml"),
            Some(format!("without autoscale of {}", model.name)),
        )
    } else if model.manifest.is_some() {
        (
            juju_config(application, "manifest", "@manifest.yaml"),
            Some("without hpaSpec and kedaSpec".to_owned()),
        )
    } else {
        (juju_config(application, "autoscale", ""), None)
    };
    Fix { run, edit }
}

fn minutes(time: Duration) -> String {
    format!("{} minutes", time.as_secs() / 60)
}
