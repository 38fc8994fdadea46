//! action-get, action-set, action-fail and action-log.

use serde_json::{Map, Value};

use super::value::Node;
use super::{Arguments, Context, Failure, Reply};
use crate::hooktool::ActionView;

/// Keys Juju itself fills in from 3.0 on (juju/juju, …/jujuc/action-set.go).
const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

fn running(context: &mut Context) -> Result<&mut ActionView, Failure> {
    context
        .action
        .as_mut()
        .ok_or_else(|| Failure::Run("not running an action".to_owned()))
}

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(1)?;
    let action = running(context)?;
    let mut value = Some(&action.params);
    for part in arguments
        .parsed
        .at(0)
        .unwrap_or_default()
        .split('.')
        .filter(|part| !part.is_empty())
    {
        value = value.and_then(|value| value.get(part));
    }
    Ok(Reply::Value(match value {
        // An action without parameters has an empty map.
        Some(Value::Null) if arguments.parsed.positional.is_empty() => Node::Map(Vec::new()),
        value => value.map(Node::from).unwrap_or_default(),
    }))
}

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let reserved = context.version.at_least(3, 0, 0);
    let mut settings = Vec::new();
    for argument in &arguments.parsed.positional {
        let Some((key, value)) = argument.split_once('=') else {
            return Err(Failure::Usage(format!(
                "argument {argument:?} must be of the form key...=value"
            )));
        };
        if reserved && RESERVED.contains(&key) {
            return Err(Failure::Usage(format!("cannot set reserved action key {key:?}")));
        }
        if !key.split('.').all(is_key) {
            return Err(Failure::Usage(format!(
                "key {key:?} must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric, hyphens and periods"
            )));
        }
        settings.push((key, value));
    }
    let action = running(context)?;
    for (key, value) in settings {
        insert(&mut action.results, key, value);
    }
    Ok(Reply::Nothing)
}

fn is_key(part: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = part.as_bytes();
    end(bytes.first())
        && end(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// Dots nest; a map takes the place of an earlier plain value, and the other way round.
fn insert(results: &mut Map<String, Value>, key: &str, value: &str) {
    let Some((head, rest)) = key.split_once('.') else {
        results.insert(key.to_owned(), Value::from(value));
        return;
    };
    let inner = results.entry(head).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Some(inner) = inner.as_object_mut() {
        insert(inner, rest, value);
    }
}

pub(super) fn fail(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(1)?;
    let message = arguments
        .parsed
        .at(0)
        .unwrap_or("action failed without reason given, check action for errors");
    running(context)?.failed = Some(message.to_owned());
    Ok(Reply::Nothing)
}

pub(super) fn log(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    if arguments.parsed.positional.is_empty() {
        return Err(Failure::Usage("no message specified".to_owned()));
    }
    let message = arguments.parsed.positional.join(" ");
    running(context)?.log.push(message);
    Ok(Reply::Nothing)
}
