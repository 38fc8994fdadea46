//! The entry point: Juju runs this program for every hook and action.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use juju_hooks::{HookContext, HookTools, log};
use seldon_model::hook;
use seldon_model::integrations::security_log::SecurityEvent;
use seldon_model::watcher;
use tokio::runtime::Builder;

/// For a charm file of the architecture of this program.
const DEPLOY: &str = if cfg!(target_arch = "aarch64") {
    "juju deploy ./seldon-model_arm64.charm iris --trust --config image=seldonio/sklearn-iris:0.3"
} else {
    "juju deploy ./seldon-model_amd64.charm iris --trust --config image=seldonio/sklearn-iris:0.3"
};

fn main() -> ExitCode {
    let context = match HookContext::read(|name| std::env::var_os(name)) {
        Ok(context) => context,
        Err(missing) => {
            println!(
                "This is the dispatch of seldon-model, a Juju charm that serves machine-learning models.\n\
                 Juju runs it for every hook; outside a hook it does nothing ({missing}).\n\
                 To use it: {DEPLOY}"
            );
            return ExitCode::SUCCESS;
        }
    };
    run(&context).unwrap_or_else(|error| {
        // One line, as juju-log shows it: what failed, then its causes.
        let why = format!("{error:#}");
        eprintln!("{why}");
        SecurityEvent::Crashed { why }.log(HookTools, &context);
        ExitCode::FAILURE
    })
}

fn run(context: &HookContext) -> Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the async runtime cannot start")?;
    let outcome = runtime.block_on(async {
        // Without logging, as the watcher runs outside hooks.
        if let Some(argument) = std::env::args_os().nth(1)
            && let Some(code) = watcher::run(context, &argument).await
        {
            return Ok(code);
        }
        log::install("seldon_model");
        let panic_context = context.clone();
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let why = panic.to_string();
            SecurityEvent::Crashed { why }.log(HookTools, &panic_context);
            default_hook(panic);
        }));
        hook::run(context).await
    });
    // An exiting watcher does not wait for a triggered hook.
    runtime.shutdown_background();
    outcome
}
