//! network-get and unit-get.

use super::print::Format;
use super::value::Node;
use super::{Arguments, Binding, Context, Failure, Reply};

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let parsed = &arguments.parsed;
    let Some(name) = parsed.at(0) else {
        return Err(Failure::Usage("no arguments specified".to_owned()));
    };
    if name.is_empty() {
        return Err(Failure::Usage("no binding name specified".to_owned()));
    }
    arguments.at_most(1)?;
    let binding = context
        .bindings
        .get(name)
        .filter(|binding| !binding.interfaces.is_empty())
        .ok_or_else(|| Failure::Run(format!("no network config found for binding {name:?}")))?;
    let bound = binding
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .map(|(address, _)| address.as_str())
        .next()
        .unwrap_or_default();
    if parsed.is_set("primary-address") {
        return Ok(Reply::Value(Node::text(bound)));
    }
    let ingress = binding.ingress.first().map_or(bound, String::as_str);
    let mut requested = Vec::new();
    if parsed.is_set("bind-address") {
        requested.push(("bind-address".to_owned(), Node::text(bound)));
    }
    if parsed.is_set("egress-subnets") {
        requested.push(("egress-subnets".to_owned(), Node::texts(&binding.egress)));
    }
    if parsed.is_set("ingress-address") {
        requested.push(("ingress-address".to_owned(), Node::text(ingress)));
    }
    Ok(Reply::Value(match requested.len() {
        0 => everything(binding, arguments.format != Format::Json),
        1 => requested.pop().map(|(_, value)| value).unwrap_or_default(),
        _ => Node::Map(requested),
    }))
}

/// The whole, in the order of Juju's structs. YAML repeats three values under their names of Juju 1 (`legacy`).
fn everything(binding: &Binding, legacy: bool) -> Node {
    let interface = |interface: &super::Interface| {
        let addresses = interface.addresses.iter().map(|(value, cidr)| {
            let mut entries = vec![
                ("hostname".to_owned(), Node::text("")),
                ("value".to_owned(), Node::text(value)),
                ("cidr".to_owned(), Node::text(cidr)),
            ];
            if legacy {
                entries.push(("address".to_owned(), Node::text(value)));
            }
            Node::Map(entries)
        });
        let mut entries = vec![
            ("mac-address".to_owned(), Node::text(&interface.mac)),
            ("interface-name".to_owned(), Node::text(&interface.name)),
            ("addresses".to_owned(), Node::List(addresses.collect())),
        ];
        if legacy {
            entries.push(("macaddress".to_owned(), Node::text(&interface.mac)));
            entries.push(("interfacename".to_owned(), Node::text(&interface.name)));
        }
        Node::Map(entries)
    };
    let mut entries = vec![(
        "bind-addresses".to_owned(),
        Node::List(binding.interfaces.iter().map(interface).collect()),
    )];
    for (name, list) in [
        ("egress-subnets", &binding.egress),
        ("ingress-addresses", &binding.ingress),
    ] {
        if !list.is_empty() {
            entries.push((name.to_owned(), Node::texts(list)));
        }
    }
    Node::Map(entries)
}

pub(super) fn unit_get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let value = match arguments.parsed.at(0) {
        None => return Err(Failure::Usage("no setting specified".to_owned())),
        Some("private-address") => &context.private_address,
        Some("public-address") => &context.public_address,
        Some(other) => return Err(Failure::Usage(format!("unknown setting {other:?}"))),
    };
    arguments.at_most(1)?;
    Ok(Reply::Value(Node::text(value)))
}
