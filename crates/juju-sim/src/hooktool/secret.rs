//! The secret tools (Juju 3.0 and later). secret-get stays at the revision a unit has read, but with `--refresh`, which takes the
//! latest from then on, and `--peek`, which shows it (juju/juju, …/jujuc/secret-get.go).

use std::collections::BTreeMap;

use super::value::Node;
use super::{Arguments, Context, Failure, Reply, keyvalues, relation};
use crate::juju::{MODEL, Secret, Tracked};

const ROTATIONS: [&str; 7] = ["never", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"];

pub(super) fn add(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    if arguments.parsed.positional.is_empty() && arguments.parsed.text("file").is_none() {
        return Err(Failure::Usage("missing secret value or filename".to_owned()));
    }
    check_metadata(arguments)?;
    let values = values(context, arguments, &arguments.parsed.positional)?;
    let owner = arguments.parsed.text("owner").unwrap_or("application");
    if owner == "application" && !context.leader {
        return Err(Failure::Run("this unit is not the leader".to_owned()));
    }
    let mut secrets = context.secrets_now().clone();
    let id = new_id(&context.unit, &secrets);
    let mut secret = Secret {
        owner: owner.to_owned(),
        revision: 1,
        content: values,
        ..Secret::default()
    };
    describe(&mut secret, arguments);
    secrets.insert(id.clone(), secret);
    context.pending.secrets = Some(secrets);
    Ok(Reply::Raw(format!("secret:{id}\n")))
}

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let Some((uri, rest)) = arguments.parsed.positional.split_first() else {
        return Err(Failure::Usage("missing secret URI".to_owned()));
    };
    let id = bare_id(uri)?;
    check_metadata(arguments)?;
    let values = values(context, arguments, rest)?;
    let mut secrets = context.secrets_now().clone();
    if let Some(secret) = secrets.get_mut(&id) {
        describe(secret, arguments);
        if !values.is_empty() && values != secret.content {
            secret.content = values;
            secret.revision += 1;
        }
    }
    context.pending.secrets = Some(secrets);
    Ok(Reply::Nothing)
}

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let parsed = &arguments.parsed;
    if parsed.is_set("peek") && parsed.is_set("refresh") {
        return Err(Failure::Usage(
            "specify one of --peek or --refresh but not both".to_owned(),
        ));
    }
    let label = parsed.text("label");
    // With a label alone the first positional is the id all the same; a key is the second.
    let id = match (parsed.at(0), label) {
        (Some(uri), _) => bare_id(uri)?,
        (None, Some(label)) => by_label(context, label)?,
        (None, None) => return Err(Failure::Usage("require either a secret URI or label".to_owned())),
    };
    arguments.at_most(2)?;
    let secret = context.secrets_now().get(&id).ok_or_else(|| unknown(&id))?;
    // A user's is granted or not; another application's may be given without saying to whom.
    let restricted = secret.owner == MODEL || (secret.owner.is_empty() && !secret.granted.is_empty());
    if restricted && !secret.granted.iter().any(|name| name == context.application()) {
        // juju/juju, domain/secret/service/access.go; before 4.0 apiserver/common/secrets.
        return Err(Failure::Run(if context.version.at_least(4, 0, 0) {
            format!("{:?} is not allowed to read this secret", context.unit)
        } else {
            "permission denied".to_owned()
        }));
    }
    let latest = Tracked {
        revision: secret.revision,
        content: secret.content.clone(),
        told: secret.revision,
    };
    let tracked = context.tracked.get(&id).cloned();
    let read = match (parsed.is_set("peek"), parsed.is_set("refresh"), tracked) {
        (true, ..) => latest.content,
        (_, false, Some(tracked)) => tracked.content,
        _ => {
            context.tracked.insert(id, latest.clone());
            latest.content
        }
    };
    let Some(key) = parsed.at(1) else {
        return Ok(Reply::Value(Node::from(&read)));
    };
    let (name, encoded) = match key.strip_suffix("#base64") {
        Some(name) => (name, true),
        None => (key, false),
    };
    let value = read
        .get(name)
        .ok_or_else(|| Failure::Run(format!("secret key value {name:?} not found")))?;
    Ok(Reply::Value(Node::text(if encoded {
        encode(value.as_bytes())
    } else {
        value.clone()
    })))
}

pub(super) fn info(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let id = match (arguments.parsed.at(0), arguments.parsed.text("label")) {
        (None, None) => return Err(Failure::Usage("require either a secret URI or label".to_owned())),
        (Some(_), Some(_)) => {
            return Err(Failure::Usage(
                "specify either a secret URI or label but not both".to_owned(),
            ));
        }
        (Some(uri), None) => bare_id(uri)?,
        (None, Some(label)) => by_label(context, label)?,
    };
    arguments.at_most(1)?;
    let secret = context
        .secrets_now()
        .get(&id)
        .filter(|secret| manages(context, secret))
        .ok_or_else(|| unknown(&id))?;
    let mut entries = vec![
        (
            "revision",
            Node::Int(i64::try_from(secret.revision).unwrap_or(i64::MAX)),
        ),
        ("label", Node::text(&secret.label)),
        ("owner", Node::text(&secret.owner)),
    ];
    if !secret.description.is_empty() {
        entries.push(("description", Node::text(&secret.description)));
    }
    let rotation = if secret.rotation.is_empty() {
        "never"
    } else {
        &secret.rotation
    };
    entries.push(("rotation", Node::text(rotation)));
    Ok(Reply::Value(Node::map([(id, Node::map(entries))])))
}

pub(super) fn ids(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    let secrets = context.secrets_now().iter();
    let managed = secrets.filter(|(_, secret)| manages(context, secret));
    Ok(Reply::Value(Node::texts(managed.map(|(id, _)| id))))
}

pub(super) fn grant(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let parsed = &arguments.parsed;
    let Some(uri) = parsed.at(0) else {
        return Err(Failure::Usage("missing secret URI".to_owned()));
    };
    let id = bare_id(uri)?;
    if let Some(unit) = parsed.text("unit").filter(|unit| !relation::is_unit(unit)) {
        return Err(Failure::Usage(format!("unit {unit:?} not valid")));
    }
    let relation = arguments.relation(context)?;
    arguments.at_most(1)?;
    let remote = context
        .relations
        .get(&relation)
        .map(|relation| relation.remote_app.clone())
        .ok_or_else(relation::not_found)?;
    let mut secrets = context.secrets_now().clone();
    secrets.get_mut(&id).ok_or_else(|| unknown(&id))?.granted.push(remote);
    context.pending.secrets = Some(secrets);
    Ok(Reply::Nothing)
}

/// A unit manages its own secrets, and the leader the application's.
fn manages(context: &Context, secret: &Secret) -> bool {
    secret.owner == "unit" || (secret.owner == "application" && context.leader)
}

fn unknown(id: &str) -> Failure {
    Failure::Run(format!("secret {id:?} not found"))
}

fn by_label(context: &Context, label: &str) -> Result<String, Failure> {
    let found = context.secrets_now().iter().find(|(_, secret)| secret.label == label);
    found
        .map(|(id, _)| id.clone())
        .ok_or_else(|| Failure::Run(format!("consumer label {label:?} not found")))
}

/// `secret:<id>`, `secret://<model uuid>/<id>` or the bare id.
fn bare_id(uri: &str) -> Result<String, Failure> {
    let id = uri.strip_prefix("secret:").unwrap_or(uri);
    let id = id.rsplit('/').next().unwrap_or(id);
    let valid = id.len() == 20 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v'));
    if valid {
        Ok(id.to_owned())
    } else {
        Err(Failure::Usage(format!("secret URI {uri:?} not valid")))
    }
}

fn check_metadata(arguments: &Arguments<'_>) -> Result<(), Failure> {
    let parsed = &arguments.parsed;
    let wrong = |text: String| Err(Failure::Usage(text));
    if let Some(policy) = parsed.text("rotate").filter(|policy| !ROTATIONS.contains(policy)) {
        return wrong(format!("rotate policy {policy:?} not valid"));
    }
    if let Some(owner) = parsed
        .text("owner")
        .filter(|owner| !["application", "unit"].contains(owner))
    {
        return wrong(format!("secret owner {owner:?} not valid"));
    }
    if let Some(expire) = parsed.text("expire").filter(|expire| expire.starts_with('-')) {
        return wrong(format!("negative expire duration {expire:?} not valid"));
    }
    Ok(())
}

fn describe(secret: &mut Secret, arguments: &Arguments<'_>) {
    let parsed = &arguments.parsed;
    for (name, field) in [
        ("label", &mut secret.label),
        ("description", &mut secret.description),
        ("rotate", &mut secret.rotation),
    ] {
        if let Some(value) = parsed.text(name) {
            value.clone_into(field);
        }
    }
}

/// `key=value`, `key#base64=value`, `key#file=path`, and the map of `--file`.
fn values(context: &Context, arguments: &Arguments<'_>, pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut read = Vec::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Failure::Usage(format!("key value {pair:?} not valid")))?;
        read.push((key.to_owned(), value.to_owned()));
    }
    let mut values = BTreeMap::new();
    for (key, value) in keyvalues::file(context, arguments)?.into_iter().chain(read) {
        if let Some(name) = key.strip_suffix("#file") {
            let bytes = keyvalues::read(context, arguments, &value)?;
            values.insert(name.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        } else if let Some(name) = key.strip_suffix("#base64") {
            let bytes = decode(&value).ok_or_else(|| Failure::Usage(format!("base64 value of {name:?} not valid")))?;
            values.insert(name.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        } else {
            values.insert(key, value);
        }
    }
    Ok(values)
}

/// A new id: 20 letters and digits as Juju's, following from the unit and the number of secrets there are.
fn new_id(unit: &str, taken: &BTreeMap<String, Secret>) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut seed = unit
        .bytes()
        .fold(taken.len() as u64 + 0x9e37_79b9_7f4a_7c15, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    loop {
        let id: String = (0..20)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let index = usize::try_from(seed >> 59).unwrap_or_default();
                char::from(DIGITS.get(index).copied().unwrap_or(b'0'))
            })
            .collect();
        if !taken.contains_key(&id) {
            return id;
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4_usize {
            let six = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or_default();
            let letter = ALPHABET.get(six).copied().map_or('=', char::from);
            out.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut group, mut bits) = (0_u32, 0_u32);
    for byte in text.trim().trim_end_matches('=').bytes() {
        let six = ALPHABET.iter().position(|&letter| letter == byte)?;
        group = group << 6 | u32::try_from(six).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(group >> bits & 0xff).ok()?);
            group &= (1 << bits) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn base64_is_the_usual_one() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(encode(text.as_bytes()), encoded);
            assert_eq!(decode(encoded).unwrap(), text.as_bytes());
        }
        assert!(decode("a*b").is_none());
    }
}
