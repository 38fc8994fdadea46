use proptest::prelude::*;

use super::{COMMANDS, check};

#[test]
fn formats_of_every_envoy_are_accepted() {
    for command in COMMANDS {
        assert_eq!(check(&format!("%{command}%")), Ok(()), "{command}");
    }
    for text in [
        "",
        "12",
        "Grüße, \"quoted\" (in brackets) [1]",
        "100%%",
        "%%",
        "%%%%",
        "a%%20b",
        "%%%PROTOCOL%%%",
        "from %DOWNSTREAM_REMOTE_ADDRESS% by %PROTOCOL%",
        "%PROTOCOL%%REQ(x-a)%",
        "%REQ(:authority)%",
        "%REQ(X-Forwarded-For)%",
        "%START_TIME(%Y-%m-%dT%H:%M:%S)%",
        "%START_TIME(%s.%6f)%",
        "%PER_REQUEST_STATE(istio.workload)%",
        "%UPSTREAM_METADATA([\"istio\", \"workload\"])%",
    ] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}

#[test]
fn other_formats_are_rejected_with_their_part() {
    for (text, part) in [
        ("a%20b%20c", "%20b%"),
        ("100%", "%"),
        ("50% of", "% of"),
        ("%%%", "%"),
        ("%PROTOCOL%20%", "%"),
        ("%", "%"),
        ("%PROTOCOL", "%PROTOCOL"),
        ("a %protocol% b", "%protocol%"),
        ("%INVALID%", "%INVALID%"),
        ("ü%20ü", "%20ü"),
        // Of later versions.
        ("%RESPONSE_CODE%", "%RESPONSE_CODE%"),
        ("%REQ(a?b)%", "%REQ(a?b)%"),
        ("%REQ(a):10%", "%REQ(a):10%"),
        ("%UPSTREAM_METADATA(a:b)%", "%UPSTREAM_METADATA(a:b)%"),
        ("%PROTOCOL()%", "%PROTOCOL()%"),
        // Istio wants an even number of percent signs.
        ("%START_TIME(%s)%", "%START_TIME(%"),
        // Of no version.
        ("%REQ%", "%REQ%"),
        ("%REQ()%", "%REQ()%"),
        ("%REQ(:)%", "%REQ(:)%"),
        ("%REQ(a b)%", "%REQ(a b)%"),
        ("%REQ(a", "%REQ(a"),
        ("%START_TIME()%", "%START_TIME()%"),
        ("%START_TIME(%n)%", "%START_TIME(%"),
        ("%START_TIME(%Y%n)%", "%START_TIME(%"),
        ("%UPSTREAM_METADATA([\"a\"])%", "%UPSTREAM_METADATA([\"a\"])%"),
        ("%PER_REQUEST_STATE(a:b)%", "%PER_REQUEST_STATE(a:b)%"),
    ] {
        assert_eq!(check(text), Err(part), "{text}");
    }
}

/// Where the parser that Envoy had for headers until 1.25 is (`source/common/router/header_parser.cc`, `parseInternal`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Literal,
    VariableName,
    ExpectArray,
    ExpectString,
    String,
    ExpectArrayDelimiterOrEnd,
    ExpectArgsEnd,
    ExpectVariableEnd,
}

/// Reads a format as that parser does, step by step. Gives the variables, `None` where it throws.
fn variables(format: &str) -> Option<Vec<String>> {
    use State::*;
    let bytes = format.as_bytes();
    let (mut state, mut start, mut at) = (Literal, 0, 0);
    let mut found = Vec::new();
    while at < bytes.len() {
        let (ch, has_next) = (bytes[at], at + 1 < bytes.len());
        let is_space = ch.is_ascii_whitespace();
        match state {
            Literal if ch != b'%' => {}
            Literal if !has_next => return None,
            Literal if bytes[at + 1] == b'%' => at += 1,
            Literal => (state, start) = (VariableName, at + 1),
            VariableName | ExpectVariableEnd if ch == b'%' => {
                found.push(format[start..at].to_owned());
                state = Literal;
            }
            VariableName if ch == b'(' => state = ExpectArray,
            ExpectArray if ch == b'[' => state = ExpectString,
            ExpectArray if !is_space => state = String,
            ExpectArrayDelimiterOrEnd if ch == b',' => state = ExpectString,
            ExpectArrayDelimiterOrEnd if ch == b']' => state = ExpectArgsEnd,
            ExpectString if ch == b'"' => state = String,
            String if ch == b'\\' && !has_next => return None,
            String if ch == b'\\' => at += 1,
            String | ExpectArgsEnd if ch == b')' => state = ExpectVariableEnd,
            String if ch == b'"' => state = ExpectArrayDelimiterOrEnd,
            VariableName | String => {}
            _ if is_space => {}
            _ => return None,
        }
        at += 1;
    }
    (state == Literal).then_some(found)
}

/// Whether `StreamInfoHeaderFormatter` of the same versions knows a variable (`header_formatter.cc`).
fn is_known(variable: &str) -> bool {
    let arguments = |name: &str| {
        let arguments = variable.strip_prefix(name)?.trim();
        arguments.strip_prefix('(')?.strip_suffix(')')
    };
    let is_metadata = |json: &str| {
        let path: Option<Vec<String>> = serde_json::from_str(json).ok();
        path.is_some_and(|path| path.len() >= 2)
    };
    COMMANDS.contains(&variable)
        || arguments("REQ").is_some()
        || arguments("PER_REQUEST_STATE").is_some_and(|name| !name.is_empty())
        || arguments("UPSTREAM_METADATA").is_some_and(is_metadata)
        || arguments("START_TIME").is_some_and(|format| !format.contains("%n"))
}

/// Text that is almost a command.
fn commands() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "REQ",
        "PER_REQUEST_STATE",
        "UPSTREAM_METADATA",
        "START_TIME",
        "PROTOCOL",
    ]);
    let arguments = prop_oneof![
        "[a:?\"\\[\\],\\\\%n ]{0,4}",
        prop::sample::select(vec!["[\"a\",\"b\"]", "[\"a\"]", "%Y%f", "%Y%n", "%s"]).prop_map(str::to_owned),
    ];
    let ends = prop::sample::select(vec![")", ")", ")", "", ") ", "):1"]);
    (names, arguments, ends).prop_map(|(name, arguments, end)| format!("%{name}({arguments}{end}%"))
}

fn texts() -> impl Strategy<Value = String> {
    let options = prop::sample::select(vec!["%", "%%", "%PROTOCOL%", "HOSTNAME", "ü", "20", "(", ")"]);
    let part = prop_oneof![options.prop_map(str::to_owned), commands()];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn accepted_formats_are_read_by_envoys_own_parser(text in texts()) {
        if check(&text).is_ok() {
            let variables = variables(&text);
            prop_assert!(variables.is_some(), "{text:?}");
            for variable in variables.unwrap_or_default() {
                prop_assert!(is_known(&variable), "{variable:?} of {text:?}");
            }
            prop_assert!(text.matches('%').count().is_multiple_of(2), "{text:?}");
        }
        let escaped = text.replace('%', "%%");
        prop_assert_eq!(check(&escaped), Ok(()));
    }
}
