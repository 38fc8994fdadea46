//! The entry: what Juju starts for every hook and action.

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
                 Juju starts it for every hook; by hand it does nothing ({missing}).\n\
                 To use it: juju deploy ./seldon-model_amd64.charm iris --trust --config image=seldonio/sklearn-iris:0.3"
            );
            return ExitCode::SUCCESS;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("this process cannot wait for anything: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        // Without a log, as no hook of Juju's runs there.
        if let Some(argument) = std::env::args_os().nth(1)
            && let Some(code) = watcher::run(&context, &argument).await
        {
            return code;
        }
        log::install("seldon_model");
        let of = context.clone();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let why = panic.to_string();
            SecurityEvent::Crashed { why }.log(HookTools, &of);
            usual(panic);
        }));
        hook::run(&context).await
    });
    // A watcher that ends does not wait for a wake that is on its way.
    runtime.shutdown_background();
    code
}
