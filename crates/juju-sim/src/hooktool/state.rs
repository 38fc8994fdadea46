//! state-get, state-set and state-delete: a unit's own keys, kept by the controller.

use super::print::Format;
use super::value::Node;
use super::{Arguments, Context, Failure, Reply, keyvalues};

/// The longest key, in bytes (juju/juju, core/quota).
const MAX_KEY: usize = 256;
/// The longest value, in bytes (the same).
const MAX_VALUE: usize = 65_536;

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(1)?;
    let state = context.state_now();
    let value = match arguments.parsed.at(0) {
        None | Some("" | "-") => {
            // A nil map prints as null in json from 4.0 on.
            if state.is_empty() && arguments.format == Format::Json && context.version.at_least(4, 0, 0) {
                Node::Null
            } else {
                Node::from(state)
            }
        }
        Some(key) => match state.get(key) {
            Some(value) => Node::text(value),
            None if arguments.parsed.is_set("strict") => {
                return Err(Failure::Run(format!("{key:?} not found")));
            }
            // Go's empty string, not nil: json prints "".
            None => Node::text(""),
        },
    };
    Ok(Reply::Value(value))
}

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let pairs = keyvalues::pairs(&arguments.parsed.positional)?;
    let mut settings = keyvalues::file(context, arguments)?;
    settings.extend(pairs);
    let mut state = context.state_now().clone();
    for (key, value) in settings {
        if key.len() > MAX_KEY {
            return Err(Failure::Run(format!("max allowed key length ({MAX_KEY}) exceeded")));
        }
        if value.len() > MAX_VALUE {
            return Err(Failure::Run(format!("max allowed value length ({MAX_VALUE}) exceeded")));
        }
        state.insert(key, value);
    }
    context.pending.state = Some(state);
    Ok(Reply::Nothing)
}

pub(super) fn delete(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let Some(key) = arguments.parsed.at(0) else {
        return Err(Failure::Usage("missing key".to_owned()));
    };
    arguments.at_most(1)?;
    let mut state = context.state_now().clone();
    state.remove(key);
    context.pending.state = Some(state);
    Ok(Reply::Nothing)
}
