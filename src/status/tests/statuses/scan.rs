//! The sentences that stand in the sources of the messages.

const SOURCES: [&str; 9] = [
    include_str!("../../../status.rs"),
    include_str!("../../fix.rs"),
    include_str!("../../messages.rs"),
    include_str!("../../messages/api_error.rs"),
    include_str!("../../messages/conflict.rs"),
    include_str!("../../messages/gateway.rs"),
    include_str!("../../pod_failures.rs"),
    include_str!("../../problem.rs"),
    include_str!("../../stalled.rs"),
];

/// Searched for in the messages of others, and in none of ours.
const SIGNS: [&str; 3] = [
    "authorization failed",
    "no basic auth credentials",
    "authentication required",
];

/// Every literal of several words outside comments.
pub fn sentences() -> Vec<String> {
    let literals = SOURCES.iter().flat_map(|source| literals(source));
    literals
        .filter(|literal| literal.trim().contains(' ') && literal.contains(char::is_alphabetic))
        .filter(|literal| !SIGNS.contains(&literal.as_str()))
        .collect()
}

/// Whether a message is what a literal comes to: itself, or its parts with something in the place of each `{…}`.
pub fn says(message: &str, literal: &str) -> bool {
    if message.contains(literal) {
        return true;
    }
    let mut rest = message;
    let mut inside = false;
    literal.split(['{', '}']).all(|part| {
        inside = !inside;
        // Every other part stands between braces.
        if !inside || part.is_empty() {
            return true;
        }
        match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        }
    })
}

/// The string literals of a source up to its tests. There are no raw ones in it, and no comment inside a line.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("#[")
    });
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "' '");
    let mut literals = Vec::new();
    let mut literal: Option<String> = None;
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match (&mut literal, letter) {
            (None, '"') => literal = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => literals.extend(literal.take()),
            (Some(text), '\\') => match letters.next() {
                // A line that goes on in the next.
                Some('\n') => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
                Some(letter) => text.push(letter),
                None => {}
            },
            (Some(text), _) => text.push(letter),
        }
    }
    literals
}

#[test]
fn message_is_recognized_by_its_parts() {
    assert!(says("iris is starting iris:1", "{name} is starting {}"));
    assert!(!says("iris is changing", "{name} is starting {}"));
    assert_eq!(
        literals("let a = \"one \\\n    two {b}\"; // \"no\"\n// \"neither\"\nlet c = '\"';").first(),
        Some(&"one two {b}".to_owned())
    );
}
