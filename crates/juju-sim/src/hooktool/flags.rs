//! Go's `gnuflag`, as far as hook tools use it (juju/gnuflag:flag.go): flags after positionals, `--`, `--flag=value`,
//! `-f value`, `-fvalue`, joined one-letter flags.

use std::collections::BTreeMap;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true`/`=false`.
    Nothing,
    /// Any text.
    Text,
    /// An output format's name.
    Format,
    /// A relation id.
    Relation,
}

/// A flag with all its spellings, without hyphens; the last is the one it is asked for by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub names: &'static [&'static str],
    pub takes: Takes,
}

/// A command line taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Parsed {
    values: BTreeMap<&'static str, String>,
    /// What is no flag, in order.
    pub positional: Vec<String>,
}

impl Parsed {
    /// A flag's value; the last one given counts.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a flag was given and not as `=false`.
    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).and_then(crate::juju::parse_bool).unwrap_or(false)
    }

    /// The first `count` positionals, refusing more, in Juju's words.
    pub fn at_most(&self, count: usize) -> Result<(), String> {
        match self.positional.get(count..) {
            None | Some([]) => Ok(()),
            Some(surplus) => {
                let quoted: Vec<String> = surplus.iter().map(|text| format!("{text:?}")).collect();
                Err(format!("unrecognized args: [{}]", quoted.join(" ")))
            }
        }
    }

    /// A positional.
    pub fn at(&self, index: usize) -> Option<&str> {
        self.positional.get(index).map(String::as_str)
    }
}

/// Why a command line is refused.
pub(super) enum UsageError {
    /// `--help`.
    Help,
    /// A fault, in gnuflag's words.
    Fault(String),
}

/// Takes a command line apart. `known_as` is what a flag is called in messages; `check` looks at a value at once, as
/// gnuflag's `Value.Set` does.
pub(super) fn parse(
    flags: &[Flag],
    args: &[String],
    known_as: &str,
    check: impl Fn(Takes, &str) -> Result<(), String>,
) -> Result<Parsed, UsageError> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            parsed.positional.extend(rest.by_ref().cloned());
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some(("", _)) => {
                    return Err(UsageError::Fault(format!("empty {known_as} in argument {argument:?}")));
                }
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let flag = find(flags, name, known_as)?;
            let value = match (attached, flag.takes) {
                (Some(value), _) => value.to_owned(),
                (None, Takes::Nothing) => "true".to_owned(),
                (None, _) => next_value(&mut rest, name, known_as)?,
            };
            set(&mut parsed, flag, name, value, known_as, &check)?;
        } else if let Some(cluster) = argument.strip_prefix('-').filter(|text| !text.is_empty()) {
            let mut letters = cluster;
            while let Some(letter) = letters.chars().next() {
                let (name, after) = letters.split_at(letter.len_utf8());
                letters = after;
                let flag = find(flags, name, known_as)?;
                let value = if flag.takes == Takes::Nothing && !letters.starts_with('=') {
                    "true".to_owned()
                } else if letters.is_empty() {
                    next_value(&mut rest, name, known_as)?
                } else {
                    std::mem::take(&mut letters).to_owned()
                };
                set(&mut parsed, flag, name, value, known_as, &check)?;
            }
        } else {
            parsed.positional.push(argument.clone());
        }
    }
    Ok(parsed)
}

fn find<'a>(flags: &'a [Flag], name: &str, known_as: &str) -> Result<&'a Flag, UsageError> {
    let found = flags.iter().find(|flag| flag.names.contains(&name));
    found.ok_or_else(|| match name {
        "help" | "h" => UsageError::Help,
        _ => UsageError::Fault(format!("{known_as} provided but not defined: {}", hyphens(name))),
    })
}

fn next_value<'a>(
    rest: &mut impl Iterator<Item = &'a String>,
    name: &str,
    known_as: &str,
) -> Result<String, UsageError> {
    rest.next()
        .cloned()
        .ok_or_else(|| UsageError::Fault(format!("{known_as} needs an argument: {}", hyphens(name))))
}

fn set(
    parsed: &mut Parsed,
    flag: &Flag,
    name: &str,
    value: String,
    known_as: &str,
    check: impl Fn(Takes, &str) -> Result<(), String>,
) -> Result<(), UsageError> {
    let canonical = flag.names.last().copied().unwrap_or_default();
    let (kind, outcome) = if flag.takes == Takes::Nothing {
        let outcome = crate::juju::parse_bool(&value)
            .map(|_| ())
            .ok_or_else(|| format!("strconv.ParseBool: parsing {value:?}: invalid syntax"));
        ("invalid boolean value", outcome)
    } else {
        ("invalid value", check(flag.takes, &value))
    };
    outcome.map_err(|why| UsageError::Fault(format!("{kind} {value:?} for {known_as} {}: {why}", hyphens(name))))?;
    parsed.values.insert(canonical, value);
    Ok(())
}

fn hyphens(name: &str) -> String {
    if name.chars().count() > 1 {
        format!("--{name}")
    } else {
        format!("-{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Flag, Parsed, Takes, UsageError, parse};

    const FLAGS: &[Flag] = &[
        Flag {
            names: &["a", "all"],
            takes: Takes::Nothing,
        },
        Flag {
            names: &["o", "output"],
            takes: Takes::Text,
        },
    ];

    fn words(args: &[&str]) -> Result<Parsed, String> {
        let args: Vec<String> = args.iter().map(|&text| text.to_owned()).collect();
        parse(FLAGS, &args, "option", |_, _| Ok(())).map_err(|refused| match refused {
            UsageError::Help => "help".to_owned(),
            UsageError::Fault(text) => text,
        })
    }

    #[test]
    fn flags_are_taken_in_every_spelling_and_place() {
        for spelling in [
            &["-o", "f", "key", "-a"][..],
            &["key", "--output=f", "--all"],
            &["-aof", "key"],
            &["--all=true", "--output", "f", "--", "key"],
        ] {
            let parsed = words(spelling).unwrap();
            assert!(parsed.is_set("all"), "{spelling:?}");
            assert_eq!(parsed.text("output"), Some("f"), "{spelling:?}");
            assert_eq!(parsed.positional, ["key"], "{spelling:?}");
        }
        assert_eq!(words(&["--", "-a", "--"]).unwrap().positional, ["-a", "--"]);
        assert_eq!(words(&["-"]).unwrap().positional, ["-"]);
        assert!(!words(&["--all=false"]).unwrap().is_set("all"));
    }

    #[test]
    fn faults_are_told_in_gnuflags_words() {
        for (args, text) in [
            (&["--way"][..], "option provided but not defined: --way"),
            (&["-x"], "option provided but not defined: -x"),
            (&["-o"], "option needs an argument: -o"),
            (&["--=x"], "empty option in argument \"--=x\""),
            (
                &["--all=no"],
                "invalid boolean value \"no\" for option --all: strconv.ParseBool: parsing \"no\": invalid syntax",
            ),
            (&["--help"], "help"),
        ] {
            assert_eq!(words(args).unwrap_err(), text);
        }
    }
}
