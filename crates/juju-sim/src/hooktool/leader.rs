//! is-leader, and the leader settings of Juju before 4.0.

use super::value::Node;
use super::{Arguments, Context, Failure, Reply, keyvalues};

pub(super) fn is_leader(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    if let Some(why) = &context.leader_error {
        return Err(Failure::Run(format!("leadership status unknown: {why}")));
    }
    let leads = context.leader && !context.said_follower;
    context.said_follower = !leads;
    Ok(Reply::Value(Node::Bool(leads)))
}

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let key = arguments.parsed.at(0).unwrap_or_default();
    if key.contains('=') {
        return Err(Failure::Usage(format!("invalid key {key:?}")));
    }
    arguments.at_most(1)?;
    if let Some(why) = &context.leader_settings_error {
        return Err(Failure::Run(format!("cannot read leadership settings: {why}")));
    }
    let value = match key {
        "" | "-" => Node::from(&context.leader_settings),
        key => context.leader_settings.get(key).map(Node::text).unwrap_or_default(),
    };
    Ok(Reply::Value(value))
}

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let pairs = keyvalues::pairs(&arguments.parsed.positional)?;
    let mut settings = keyvalues::file(context, arguments)?;
    settings.extend(pairs);
    if !context.leader {
        return Err(Failure::Run(
            "cannot write leadership settings: cannot write settings: not the leader".to_owned(),
        ));
    }
    // Written at once, unlike relation-set.
    for (key, value) in settings {
        if value.is_empty() {
            context.leader_settings.remove(&key);
        } else {
            context.leader_settings.insert(key, value);
        }
    }
    Ok(Reply::Nothing)
}
