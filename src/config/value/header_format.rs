//! The value of a header as Envoy reads it: a format, in which a command between percent signs stands for something of the request.
//!
//! Envoy rejects a whole route configuration for one format that it cannot read, and the gateway's routes stay as they were, those of
//! all models. So what passes here is what every Envoy of Istio 1.11 to 1.28 (1.19 to 1.36) reads. Until 1.25 Envoy had a parser of its
//! own for headers (`envoyproxy/envoy`, `source/common/router/header_parser.cc` and `header_formatter.cc`, read as of 01d05b15, before
//! 1.15, and as of about 1.22); since then it is that of access logs (tried with `envoy --mode validate` of 1.36.2, and by the gateway in
//! `tests/e2e/multiple_models.rs`). Istio's webhook reads as the older one does (`istio/istio`, `pkg/config/validation/header_value_validator.go`).

/// Commands without arguments.
pub const COMMANDS: [&str; 24] = [
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "HOSTNAME",
    "PROTOCOL",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "START_TIME",
    "UPSTREAM_REMOTE_ADDRESS",
];

/// Checks that every supported Envoy reads the text as a format. The error is the first part from a percent sign on that is neither
/// `%%` nor a known command.
pub(super) fn check(text: &str) -> Result<(), &str> {
    let mut rest = text;
    while let Some((_, from)) = rest.split_once('%') {
        rest = match from.strip_prefix('%') {
            Some(behind) => behind,
            None => command(from).ok_or_else(|| part(text, from))?,
        };
    }
    Ok(())
}

/// Reads a command and its closing percent sign. Returns the rest of the text.
fn command(text: &str) -> Option<&str> {
    let is_of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !is_of_name(c))?;
    let (name, rest) = text.split_at_checked(end)?;
    let Some(arguments) = rest.strip_prefix('(') else {
        return rest.strip_prefix('%').filter(|_| COMMANDS.contains(&name));
    };
    let (arguments, behind) = arguments.split_once(')')?;
    let is_known = match name {
        // Envoy's own parser knew neither a second header to take instead nor a length.
        "REQ" => !arguments.contains('%') && is_token(arguments.strip_prefix(':').unwrap_or(arguments)),
        "START_TIME" => is_time(arguments),
        "PER_REQUEST_STATE" => is_plain(arguments),
        "UPSTREAM_METADATA" => is_path(arguments),
        _ => false,
    };
    behind.strip_prefix('%').filter(|_| is_known)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
}

/// Whether a text is a token (RFC 9110).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `["namespace", "key", …]`.
fn is_path(text: &str) -> bool {
    let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_quoted = |part: &str| {
        let part = part.trim_matches(' ');
        let part = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'));
        part.is_some_and(is_plain)
    };
    list.is_some_and(|list| list.contains(',') && list.split(',').all(is_quoted))
}

/// A format of strftime with an even number of percent signs, as Istio requires of the whole value (`istio/istio`,
/// `pkg/config/validation/validation.go`, `ValidateHTTPHeaderValue`), and with the most usual conversions, and Envoy's `%s` and `%3f`.
fn is_time(text: &str) -> bool {
    let mut rest = text.bytes().peekable();
    let mut is_first = true;
    while let Some(byte) = rest.next() {
        let is_read = match byte {
            b'%' => {
                let digits = rest.next_if(|digit| (b'1'..=b'9').contains(digit)).is_some();
                rest.next()
                    .is_some_and(|kind| kind == b'f' || (!digits && b"YmdHMSsFTzZ".contains(&kind)))
            }
            b' ' => !is_first,
            _ => byte.is_ascii_alphanumeric() || b"-_.:/+,".contains(&byte),
        };
        if !is_read {
            return false;
        }
        is_first = false;
    }
    !is_first && text.matches('%').count().is_multiple_of(2)
}

/// The unsupported part of a text, from the percent sign before `from` to the next one.
fn part<'a>(text: &'a str, from: &str) -> &'a str {
    let begin = text.len() - from.len() - 1;
    let end = from.find('%').map_or(text.len(), |next| begin + next + 2);
    text.get(begin..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
