//! status-set, status-get and application-version-set: written at once, and kept when the hook fails.

use super::value::Node;
use super::{Arguments, Context, Failure, Reply};
use crate::juju::Status;

const SETTABLE: [&str; 4] = ["maintenance", "blocked", "waiting", "active"];

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let parsed = &arguments.parsed;
    let Some(word) = parsed.at(0) else {
        return Err(Failure::Usage("invalid args, require <status> [message]".to_owned()));
    };
    if !SETTABLE.contains(&word) {
        let expected = SETTABLE.join(" ");
        return Err(Failure::Usage(format!(
            "invalid status {word:?}, expected one of [{expected}]"
        )));
    }
    arguments.at_most(2)?;
    if let Some(why) = &context.api_error {
        return Err(Failure::Run(why.clone()));
    }
    let status = Status::new(word, parsed.at(1).unwrap_or_default());
    if !parsed.is_set("application") {
        context.units_status.insert(context.unit.clone(), status.clone());
        context.unit_status = status;
        context.status_was_set = true;
    } else if context.leader {
        context.application_status = Some(status);
    } else {
        return Err(Failure::Run("this unit is not the leader".to_owned()));
    }
    Ok(Reply::Nothing)
}

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    let data = arguments.parsed.is_set("include-data");
    let bare = arguments.format == super::print::Format::Smart && !data;
    let value = if arguments.parsed.is_set("application") {
        if !context.leader {
            return Err(Failure::Run(
                "finding application status: this unit is not the leader".to_owned(),
            ));
        }
        let status = context.application_status.as_ref().unwrap_or(&context.unit_status);
        if bare {
            Node::text(&status.status)
        } else {
            let units = context.units_status.iter();
            let units = Node::map(units.map(|(unit, status)| (unit, Node::Map(details(status, data)))));
            let mut entries = details(status, data);
            entries.push(("units".to_owned(), units));
            Node::map([("application-status", Node::Map(entries))])
        }
    } else if bare {
        Node::text(&context.unit_status.status)
    } else {
        Node::Map(details(&context.unit_status, data))
    };
    Ok(Reply::Value(value))
}

fn details(status: &Status, data: bool) -> Vec<(String, Node)> {
    let mut entries = vec![("status".to_owned(), Node::text(&status.status))];
    if data {
        entries.insert(0, ("message".to_owned(), Node::text(&status.message)));
        entries.push(("status-data".to_owned(), Node::from(&status.data)));
    }
    entries
}

pub(super) fn version_set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let Some(version) = arguments.parsed.at(0) else {
        return Err(Failure::Usage("no version specified".to_owned()));
    };
    arguments.at_most(1)?;
    if let Some(why) = &context.api_error {
        return Err(Failure::Run(why.clone()));
    }
    context.workload_version = Some(version.to_owned());
    Ok(Reply::Nothing)
}
