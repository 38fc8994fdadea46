//! The charm's log, as `juju debug-log` shows it.
//!
//! What an operator may want to read goes through `juju-log`, one call a line, so a quiet hook has no line. Detail
//! for developers goes to standard output, which Juju logs at DEBUG and which costs nothing.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::HookTools;

/// Sends this program's events to Juju from here on: those whose target begins with `target`, the name of the charm's crate. Those of
/// libraries are left out: they speak of connections and headers, and tokens are among those.
pub fn install(target: &'static str) {
    let subscriber = tracing_subscriber::registry().with(JujuLog { target });
    // Only a second call could fail, and the first one's way of logging then stays.
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
        // A log that cannot be written must not stop the hook; standard error is logged as WARNING.
        if let Err(error) = HookTools.juju_log(level, &line.0) {
            eprintln!("{} ({error})", line.0);
        }
    }
}

/// Collects an event's message, and its other fields behind it.
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
