//! Logs the charm's `tracing` events, so that `juju debug-log` shows them.
//!
//! Events above DEBUG go through `juju-log`, which costs one process per line. DEBUG events go to standard output,
//! which Juju logs at DEBUG at no cost.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::HookTools;

/// Installs the log layer for events whose target begins with `target`, the name of the charm's crate. Events of
/// libraries are dropped: they can contain headers, and with them tokens.
pub fn install(target: &'static str) {
    let subscriber = tracing_subscriber::registry().with(JujuLog { target });
    // Fails only if a subscriber is installed already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct JujuLog {
    target: &'static str,
}

impl<S: Subscriber> Layer<S> for JujuLog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with(self.target) && *metadata.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = LogLine(String::new());
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => {
                println!("{}", line.0);
                return;
            }
        };
        // A failing log must not stop the hook. Standard error is logged as WARNING.
        if let Err(error) = HookTools.juju_log(level, &line.0) {
            eprintln!("{} ({error})", line.0);
        }
    }
}

/// Formats an event's message, followed by its fields.
struct LogLine(String);

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}
