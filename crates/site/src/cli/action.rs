//! `site run`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use juju_sim::juju::Given;

use serde_json::json;

use super::site::Site;
use super::{ResultFormat, tell};

/// Runs an action and prints what comes of it as Juju 3 does (juju/juju, cmd/juju/action/common.go); 1 where the action failed.
pub fn run(site: &mut Site, unit: &str, action: &str, given: Given<'_>, format: ResultFormat) -> Result<ExitCode> {
    let params = given.parameters()?;
    let mut ended = None;
    site.hooks(|agent, world| {
        let run = agent.run_action(world, unit, action, params)?;
        ended.clone_from(&run.action);
        Ok(vec![run])
    })?;
    let ended = ended.context("the action has no result, a fault of the site")?;
    // As Juju 3 does; an operation is numbered right before its task.
    let task = site.world.next_task;
    tell(&format!(
        "Running operation {} with 1 task\n  - task {task} on unit-{}\n\nWaiting for task {task}...",
        task - 1,
        unit.replace('/', "-")
    ));
    for line in &ended.log {
        tell(line);
    }
    if format == ResultFormat::Json {
        let task = json!({"id": task.to_string(), "results": ended.results, "status": ended.status, "unit": unit});
        println!("{}", json!({unit: task}));
        return Ok(if ended.status == "failed" {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        });
    }
    let mut results = ended.results.clone();
    let mut printed = |key: &str| results.remove(key).and_then(|text| text.as_str().map(str::to_owned));
    let (stdout, stderr) = (printed("stdout"), printed("stderr"));
    results.remove("return-code");
    if results.is_empty() {
        println!("Task {task} {}", ended.status);
    } else {
        print!("{}", serde_yaml::to_string(&results)?);
    }
    for text in [stdout, stderr].into_iter().flatten() {
        println!("\n{}", text.trim_matches('\n'));
    }
    if ended.status == "failed" {
        tell(&format!("ERROR action failed: {}", ended.message));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
