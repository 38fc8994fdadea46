//! What the API server rejects of an object, in few words: the place, the rule, and the value if it is short.
//!
//! Its own texts repeat values as Go prints them, which leaves no room for the rule.

use std::collections::BTreeSet;

use kube::core::Status;

use crate::text::{clean, clean_lines};

/// Longest value that is repeated, in characters.
const LONGEST_VALUE: usize = 40;

/// The first thing that is wrong, and how many more there are. `None` if the server does not reject the object for its content.
pub fn rejection(status: &Status) -> Option<String> {
    let message = clean_lines(&status.message);
    if let Some(errors) = typed_errors(&message) {
        return first_of(errors);
    }
    if let Some((_, denial)) = message.split_once("denied the request: ") {
        return Some(denied(denial));
    }
    if !matches!(status.code, 400 | 413 | 415 | 422) {
        return None;
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes: Vec<FieldError> = causes
        .filter_map(|cause| FieldError::new(&cause.field, &cause.message))
        .collect();
    first_of(in_words(&causes))
        .or_else(|| unreadable(&message))
        .or_else(|| Some(denied(&message)))
}

fn first_of(errors: Vec<String>) -> Option<String> {
    let more = errors.len().saturating_sub(1);
    let first = clean(&errors.into_iter().next()?);
    Some(match more {
        0 => first,
        more => format!("{first}, and {more} more"),
    })
}

/// Errors of server-side apply, one a line, though the code is 500 (`structured-merge-diff` v6, `typed/validate.go`;
/// `k8s.io/apimachinery` v0.34, `managedfields/internal/structuredmerge.go`).
fn typed_errors(message: &str) -> Option<Vec<String>> {
    let (_, rest) = message
        .split_once("failed to create typed patch object")
        .or_else(|| message.split_once("failed to create typed live object"))?;
    // Before Kubernetes 1.24 it does not name the object.
    let rest = match rest.strip_prefix(" (") {
        Some(named) => named.split_once("): ").map_or(rest, |(_, errors)| errors),
        None => rest.trim_start_matches(": "),
    };
    let lines = rest.strip_prefix("errors:").unwrap_or(rest).lines();
    let lines = lines.map(str::trim).filter(|line| !line.is_empty());
    Some(lines.map(typed_error).collect())
}

/// `.spec.replicas: expected numeric (int or float), got string`.
fn typed_error(line: &str) -> String {
    let line = line.trim_start_matches('.');
    wrong_type(line)
        .or_else(|| duplicate(line))
        .or_else(|| wrong_item(line))
        .unwrap_or_else(|| line.to_owned())
}

fn wrong_type(line: &str) -> Option<String> {
    const RULES: [(&str, &str); 7] = [
        ("expected string, ", "must be text"),
        ("expected numeric ", "must be a number"),
        ("expected boolean, ", "must be true or false"),
        ("expected any scalar, ", "must be a single value"),
        ("expected map, ", "must be a map"),
        ("expected list, ", "must be a list"),
        ("field not declared in schema", "unknown to the installed CRD"),
    ];
    RULES.iter().find_map(|(begin, rule)| {
        let (place, got) = line.split_once(&format!(": {begin}"))?;
        let is_single = !["[]interface", "map[", "(nil)"].iter().any(|kind| got.contains(kind));
        let advice = if *rule == "must be text" && is_single {
            ", put it in quotes"
        } else {
            ""
        };
        Some(format!("{place}: {rule}{advice}"))
    })
}

/// `.spec.env: duplicate entries for key [name="A"]`.
fn duplicate(line: &str) -> Option<String> {
    let (place, key) = line.split_once(": duplicate entries for key ")?;
    Some(format!("{place}: {} is used twice", key.trim_matches(['[', ']'])))
}

/// `.spec.ports: element 0: associative list with keys may not have non-map elements`.
fn wrong_item(line: &str) -> Option<String> {
    let (place, rest) = line.split_once(": element ")?;
    let (index, rest) = rest.split_once(": ")?;
    let rule = match rest.split_once("omits all key fields ") {
        Some((_, keys)) => {
            let keys = keys.split(" (").next()?.replace(['[', ']', '"'], "");
            format!("must have {keys}")
        }
        None if rest.ends_with("non-map elements") => "must be a map".to_owned(),
        None => rest.to_owned(),
    };
    Some(format!("{place}[{index}]: {rule}"))
}

/// Why a webhook, or the server without naming causes, rejects an object.
fn denied(text: &str) -> String {
    field_errors(text).unwrap_or_else(|| clean(text))
}

/// The field errors in a text of the API server, as another client has kept it. `None` if there are none.
pub fn field_errors(text: &str) -> Option<String> {
    let errors = text.split_once(" is invalid: ").map_or(text, |(_, errors)| errors);
    let list = errors.strip_prefix('[').and_then(|errors| errors.strip_suffix(']'));
    let parts = split(list.unwrap_or(errors));
    let errors: Option<Vec<FieldError>> = parts.iter().map(|part| FieldError::parse(part)).collect();
    first_of(in_words(&errors?))
}

/// Splits a list where the next field error begins.
fn split(list: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in list.split(", ") {
        match parts.last_mut() {
            Some(error) if FieldError::parse(part).is_none() => *error = format!("{error}, {part}"),
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

/// Kinds of field errors (`k8s.io/apimachinery` v0.34, `pkg/util/validation/field/errors.go`), and what is said of a field without
/// any detail.
const KINDS: [(&str, &str); 9] = [
    ("Invalid value", "is not valid"),
    ("Required value", "is not set"),
    ("Unsupported value", "is not supported"),
    ("Duplicate value", "is used twice"),
    ("Forbidden", "is forbidden"),
    ("Not found", "not found"),
    ("Too long", "is too long"),
    ("Too many", "has too many items"),
    ("Internal error", "internal error"),
];

/// `field: kind: value: detail`, where the value or the detail may be absent.
struct FieldError<'a> {
    field: &'a str,
    without_detail: &'static str,
    value: Option<&'a str>,
    detail: &'a str,
}

impl<'a> FieldError<'a> {
    fn parse(error: &'a str) -> Option<Self> {
        let (field, message) = error.split_once(": ")?;
        Self::new(field, message).filter(|_| !field.contains(' '))
    }

    fn new(field: &'a str, message: &'a str) -> Option<Self> {
        let (kind, without_detail) = KINDS.iter().find(|(kind, _)| message.starts_with(kind))?;
        let rest = message.get(kind.len()..)?.trim_start_matches(": ");
        let (value, detail) = match *kind {
            "Required value" | "Forbidden" | "Too long" | "Internal error" => (None, rest),
            _ => value_and_detail(rest),
        };
        Some(Self {
            field,
            without_detail,
            value,
            detail,
        })
    }

    /// What the schema says of a value of another type.
    fn types(&self) -> Option<&str> {
        let (_, types) = self.detail.split_once("in body must be of type ")?;
        types.split(':').next()
    }

    fn in_words(&self) -> String {
        let field = self.field;
        if let Some(types) = self.types() {
            let rule = match types {
                "integer" => "must be a whole number",
                "number" => "must be a number",
                "integer,string" => "must be a number or text",
                "boolean" => "must be true or false",
                "string" => "must be text, put it in quotes",
                "array" => "must be a list",
                _ => "must be a map",
            };
            return format!("{field}: {rule}");
        }
        let rule = self.detail.strip_prefix(field).map_or(self.detail, str::trim_start);
        let rule = rule.strip_prefix("in body ").unwrap_or(rule);
        let rule = match rule.strip_prefix("supported values: ") {
            _ if rule.contains(QUANTITY) => "is not a valid quantity".to_owned(),
            Some(known) => format!("must be one of {}", known.replace('"', "")),
            None if rule.is_empty() => self.without_detail.to_owned(),
            // What follows are examples and a regular expression.
            None => rule.split(" (e.g. ").next().unwrap_or(rule).to_owned(),
        };
        let value = self.value.filter(|value| value.chars().count() <= LONGEST_VALUE);
        let value = value.map(|value| format!(" (value: {value})"));
        format!("{field}: {rule}{}", value.unwrap_or_default())
    }
}

/// How the pattern of a quantity begins in definitions.
const QUANTITY: &str = r"should match '^(\+|-)?(([0-9]+(\.[0-9]*)?)";

/// Those that are about a field, each once.
fn in_words(errors: &[FieldError]) -> Vec<String> {
    let mut typed = BTreeSet::new();
    let mut said = Vec::new();
    for error in errors.iter().filter(|error| error.field != "<nil>") {
        // Where a value may be a number or text, the schema rejects it twice.
        if error.types().is_some() && !typed.insert(error.field) {
            continue;
        }
        said.push(error.in_words());
    }
    said
}

/// A value as Go prints it, and the detail behind it. A struct, a list or a map has no text of use.
fn value_and_detail(text: &str) -> (Option<&str>, &str) {
    let end = end_of_value(text);
    let (value, detail) = text.split_at_checked(end).unwrap_or((text, ""));
    let is_composite = value.contains(['{', '[']) && !value.starts_with('"');
    let value = Some(value.trim_matches('"')).filter(|value| !is_composite && !value.is_empty());
    (value, detail.trim_start_matches([':', ' ']))
}

/// Where a value ends: at the first `: ` that is neither in quotes nor in brackets.
fn end_of_value(text: &str) -> usize {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(": ")) => return at,
            _ => {}
        }
    }
    text.len()
}

/// What the server's decoder rejects: `json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string`, or
/// `strict decoding error: unknown field "spec.replica"`.
fn unreadable(message: &str) -> Option<String> {
    if let Some((_, unknown)) = message.split_once("strict decoding error: ") {
        let errors = unknown.split(", ").map(|error| {
            let field = |begin: &str| error.strip_prefix(begin).map(|field| field.trim_matches('"'));
            field("unknown field ")
                .map(|field| format!("{field}: unknown key"))
                .or_else(|| field("duplicate field ").map(|field| format!("{field}: duplicate key")))
                .unwrap_or_else(|| error.to_owned())
        });
        return first_of(errors.collect());
    }
    let (_, rest) = message.split_once("into Go struct field ")?;
    let (field, kind) = rest.split_once(" of type ")?;
    let (_, field) = field.split_once('.')?;
    let rule = match kind.split_whitespace().next()? {
        "string" => "must be text, put it in quotes",
        "bool" => "must be true or false",
        kind if kind.starts_with("int") => "must be a whole number",
        kind if kind.starts_with("[]") => "must be a list",
        _ => "must be a map",
    };
    Some(clean(&format!("{field}: {rule}")))
}

#[cfg(test)]
mod tests;
