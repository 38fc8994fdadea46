//! juju-log.

use super::{Arguments, Context, Failure, Reply};
use crate::juju::LogLine;

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

pub(super) fn log(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let parsed = &arguments.parsed;
    if parsed.positional.is_empty() {
        return Err(Failure::Usage("no message specified".to_owned()));
    }
    let module = format!("unit.{}.juju-log", context.unit);
    let requested = parsed.text("log-level").unwrap_or("INFO");
    let level = if parsed.is_set("debug") {
        "DEBUG"
    } else if let Some(level) = LEVELS.iter().find(|level| level.eq_ignore_ascii_case(requested)) {
        level
    } else {
        let complaint = format!("Specified log level of {requested:?} is not valid");
        context.log.push(LogLine::new("WARNING", module.clone(), complaint));
        "INFO"
    };
    let prefix = context
        .relation
        .and_then(|id| {
            context
                .relations
                .get(&id)
                .map(|relation| format!("{}:{id}: ", relation.endpoint))
        })
        .unwrap_or_default();
    let message = format!("{prefix}{}", parsed.positional.join(" "));
    context.log.push(LogLine::new(level, module, message));
    Ok(Reply::Nothing)
}
