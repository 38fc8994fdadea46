//! The entry point: Juju runs this program for every hook and action.

use std::process::ExitCode;

use juju_hooks::{HookContext, HookTools, log};
use seldon_model::hook;
use seldon_model::integrations::security_log::SecurityEvent;
use seldon_model::watcher;

fn main() -> ExitCode {
    let context = match HookContext::read(|name| std::env::var_os(name)) {
        Ok(context) => context,
        Err(missing) => {
            println!(
                "This is the dispatch of seldon-model, a Juju charm that serves machine-learning models.\n\
                 Juju runs it for every hook; outside a hook it does nothing ({missing}).\n\
                 To use it: juju deploy ./seldon-model_amd64.charm iris --trust --config image=seldonio/sklearn-iris:0.3"
            );
            return ExitCode::SUCCESS;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        // Without logging, as the watcher runs outside hooks.
        if let Some(argument) = std::env::args_os().nth(1)
            && let Some(code) = watcher::run(&context, &argument).await
        {
            return code;
        }
        log::install("seldon_model");
        let panic_context = context.clone();
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let why = panic.to_string();
            SecurityEvent::Crashed { why }.log(HookTools, &panic_context);
            default_hook(panic);
        }));
        hook::run(&context).await
    });
    // An exiting watcher does not wait for a triggered hook.
    runtime.shutdown_background();
    code
}
