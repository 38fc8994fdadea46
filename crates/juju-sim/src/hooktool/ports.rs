//! open-port, close-port and opened-ports.

use std::collections::BTreeSet;

use super::value::Node;
use super::{Arguments, Context, Failure, Reply};

pub(super) fn open(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    change(context, arguments, |ports, range| {
        ports.insert(range);
    })
}

pub(super) fn close(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    change(context, arguments, |ports, range| {
        ports.remove(&range);
    })
}

fn change(
    context: &mut Context,
    arguments: &Arguments<'_>,
    with: impl Fn(&mut BTreeSet<String>, String),
) -> Result<Reply, Failure> {
    let Some(text) = arguments.parsed.at(0) else {
        return Err(Failure::Usage("no port or range specified".to_owned()));
    };
    let range = normal(text).ok_or_else(|| {
        Failure::Usage(format!(
            "invalid port or range {text:?}, expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp"
        ))
    })?;
    arguments.at_most(1)?;
    let mut ports = context.ports_now().clone();
    with(&mut ports, range);
    context.pending.ports = Some(ports);
    Ok(Reply::Nothing)
}

/// `80`, `80/TCP`, `100-200/udp` or `icmp` in the one form that is kept.
fn normal(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if lower == "icmp" {
        return Some(lower);
    }
    let (range, protocol) = lower.split_once('/').unwrap_or((&lower, "tcp"));
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, to): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
    if from == 0 || to < from || !matches!(protocol, "tcp" | "udp") {
        return None;
    }
    Some(if from == to {
        format!("{from}/{protocol}")
    } else {
        format!("{from}-{to}/{protocol}")
    })
}

pub(super) fn opened(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    let mut ports: Vec<&String> = context.ports_now().iter().collect();
    // By protocol, then by number.
    ports.sort_by_key(|range| {
        let (numbers, protocol) = range.split_once('/').unwrap_or(("0", range));
        let from = numbers.split('-').next().and_then(|number| number.parse::<u16>().ok());
        (protocol.to_owned(), from)
    });
    Ok(Reply::Value(Node::texts(ports)))
}
