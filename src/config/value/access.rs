//! Who may send requests to a model.

use std::fmt;

use serde_json::{Map, Value as Json};
use serde_yaml::Value;

use super::header_format::is_token;
use super::{Violation, either, not_a_map, scalar, telemetry, untagged};
use crate::config::reader::Reader;
use crate::gateway::revision;

const EXAMPLE: &str = "{jwt: {issuer: https://sso.example, audiences: [iris], jwks-uri: https://sso.example/keys}}";

/// Longest issuer, URI and audience, in bytes.
const LONGEST_TEXT: usize = 1024;
const MOST_AUDIENCES: usize = 16;
const MOST_KEYS: usize = 16;
/// Longest set of keys, in bytes. Each gateway pod gets it with every listener.
const LONGEST_KEYS: usize = 16 * 1024;
/// Members of a key that only its owner may have (RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Headers that a gateway reads for its routes or that frame the request, all of which have another value than a token.
const RESERVED: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "namespace",
    "referer",
    "seldon",
    "te",
    "transfer-encoding",
    "upgrade",
    revision::HEADER,
];

/// Which JSON Web Tokens a model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The claim `iss` of a token.
    pub issuer: String,
    /// The claim `aud` has one of them.
    pub audiences: Vec<String>,
    pub keys: Keys,
    /// The header with nothing but the token. `None` is `Authorization`, where it follows the word Bearer.
    pub header: Option<String>,
}

/// The public keys of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// A JSON Web Key Set.
    Inline(String),
    /// Where istiod reads the set.
    Uri(String),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "takes tokens of {} for {} in the header {}",
            self.issuer,
            either(&self.audiences.iter().map(String::as_str).collect::<Vec<_>>()),
            self.header.as_deref().unwrap_or("Authorization")
        )
    }
}

/// `{jwt: {issuer, audiences, jwks or jwks-uri, header}}`.
pub(crate) fn access(value: &Value) -> Result<Access, Violation> {
    let reader = Reader::new(value, &["jwt"], EXAMPLE)?;
    let jwt = reader.map("jwt", &["issuer", "audiences", "jwks", "jwks-uri", "header"])?;
    let jwt = jwt.ok_or_else(|| reader.violation("jwt", "is not set"))?;
    let unset = |key: &str| jwt.violation(key, "is not set");
    let keys = match (jwt.yaml("jwks", key_set)?, jwt.text("jwks-uri", uri)?) {
        (Some(_), Some(_)) => return Err(jwt.violation("jwks", "cannot be combined with jwks-uri")),
        (Some(keys), None) => Keys::Inline(keys),
        (None, Some(uri)) => Keys::Uri(uri),
        (None, None) => return Err(unset("jwks").with_detail("the issuer's public keys, or jwks-uri where they are")),
    };
    Ok(Access {
        issuer: jwt.text("issuer", issuer)?.ok_or_else(|| unset("issuer"))?,
        audiences: jwt
            .yaml("audiences", audiences)?
            .ok_or_else(|| unset("audiences").with_detail("without it a token for any other model would do"))?,
        keys,
        header: jwt.text("header", header)?.filter(|name| name != "authorization"),
    })
}

/// Istio reads a `*` at either end of a claim's value as any text.
fn claim(text: &str) -> Result<String, Violation> {
    if text.is_empty() || text.len() > LONGEST_TEXT {
        let rule = format!("must be 1 to {LONGEST_TEXT} characters");
        return Err(Violation::new(rule, EXAMPLE));
    }
    if text.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control()) {
        return Err(Violation::new("must not contain spaces or *", EXAMPLE));
    }
    Ok(text.to_owned())
}

fn issuer(text: &str) -> Result<String, Violation> {
    claim(text)
}

fn audiences(value: &Value) -> Result<Vec<String>, Violation> {
    let one = |value: &Value| {
        let text = scalar(untagged(value)).ok_or_else(|| Violation::new("must be a list of names", EXAMPLE))?;
        claim(&text)
    };
    let audiences: Vec<String> = match value {
        Value::Sequence(list) => list.iter().map(one).collect::<Result<_, _>>()?,
        other => vec![one(other)?],
    };
    if audiences.is_empty() || audiences.len() > MOST_AUDIENCES {
        return Err(Violation::new(
            format!("must have 1 to {MOST_AUDIENCES} names"),
            EXAMPLE,
        ));
    }
    Ok(audiences)
}

fn uri(text: &str) -> Result<String, Violation> {
    if text.len() > LONGEST_TEXT {
        return Err(Violation::new(
            format!("must be at most {LONGEST_TEXT} characters"),
            EXAMPLE,
        ));
    }
    // Not repeated: a URL may have a password in it.
    telemetry::url(text).map_err(|_| Violation::new("must be an http:// or https:// URL", EXAMPLE))
}

fn header(text: &str) -> Result<String, Violation> {
    let name = text.to_ascii_lowercase();
    if !is_token(&name) || name.len() > 64 || RESERVED.contains(&name.as_str()) {
        return Err(Violation::new("must be the name of a header of its own", EXAMPLE));
    }
    Ok(name)
}

/// A set of keys as a map, or as the JSON that an issuer publishes.
fn key_set(value: &Value) -> Result<String, Violation> {
    let rule = |rule: &str| Violation::new(rule, EXAMPLE);
    let map: Map<String, Json> = match value {
        Value::String(text) => serde_json::from_str(text).map_err(|_| rule("must be a JSON Web Key Set"))?,
        Value::Mapping(_) => serde_yaml::from_value(value.clone()).map_err(|_| rule("must be a JSON Web Key Set"))?,
        other => return Err(not_a_map(other, EXAMPLE)),
    };
    let keys = map.get("keys").and_then(Json::as_array);
    let keys = keys.ok_or_else(|| rule("must have a list of keys"))?;
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(rule(&format!("must have 1 to {MOST_KEYS} keys")));
    }
    for key in keys {
        check_key(key)?;
    }
    // What else is in the map is nothing to a gateway.
    let text = serde_json::json!({"keys": keys}).to_string();
    if text.len() > LONGEST_KEYS {
        return Err(rule(&format!("must be at most {} KiB", LONGEST_KEYS / 1024)));
    }
    Ok(text)
}

/// A public key. Private ones would be readable in Juju's configuration and in the cluster.
fn check_key(key: &Json) -> Result<(), Violation> {
    let rule = |rule: &str| Err(Violation::new(rule, EXAMPLE));
    let Some(key) = key.as_object() else {
        return rule("keys must be maps");
    };
    if PRIVATE.iter().any(|member| key.contains_key(*member)) {
        return rule("must not have private or symmetric keys");
    }
    let has = |members: &[&str]| {
        let mut members = members.iter();
        members.all(|member| key.get(*member).is_some_and(Json::is_string))
    };
    let is_complete = match key.get("kty").and_then(Json::as_str) {
        Some("RSA") => has(&["n", "e"]),
        Some("EC") => has(&["crv", "x", "y"]),
        Some("OKP") => has(&["crv", "x"]),
        _ => return rule("keys must have the kty RSA, EC or OKP"),
    };
    if is_complete {
        Ok(())
    } else {
        rule("has an incomplete key")
    }
}
