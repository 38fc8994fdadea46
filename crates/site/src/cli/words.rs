//! What a word of a command line means.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// A duration as Juju's flags take it, or seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write one like 10m, 90s or 1m30s");
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut sum, mut number) = (0_u64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(wrong()),
        };
        let count: u64 = number.parse().map_err(|_| wrong())?;
        number.clear();
        sum = count
            .checked_mul(unit)
            .and_then(|part| sum.checked_add(part))
            .ok_or_else(wrong)?;
    }
    if text.is_empty() || !number.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_secs(sum))
}

/// The status that `juju wait-for --query` is to wait for. Of Juju's language only this is understood.
pub fn status_of(query: &str) -> Result<&str> {
    let status = query.strip_prefix("status==\"").and_then(|rest| rest.strip_suffix('"'));
    status
        .with_context(|| format!("the site waits for a status only, such as status==\"blocked\", and not for {query}"))
}

/// Whether what logged is that application or unit: `unit.iris/0.juju-log` is of `iris` and of `iris/0`.
pub fn is_of(module: &str, wanted: &str) -> bool {
    let unit = module.strip_prefix("unit.").unwrap_or(module);
    let unit = unit.split('.').next().unwrap_or(unit);
    unit == wanted || unit.split('/').next() == Some(wanted)
}

/// The keys and values of a secret.
pub fn pairs(content: &[String]) -> Result<Vec<(&str, &str)>> {
    // What is no pair may be the secret itself.
    let split = |text| str::split_once(text, '=').context("a secret is given as key=value");
    content.iter().map(String::as_str).map(split).collect()
}

/// `name=value`, or `name=@file` for what a file holds.
pub fn setting(pair: &str) -> Result<(String, String)> {
    let (name, value) = pair
        .split_once('=')
        .with_context(|| format!("{pair:?} is not of the form name=value"))?;
    let value = match value.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file} for option {name:?}"))?
        }
        None => value.to_owned(),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, is_of, status_of};

    #[test]
    fn durations_are_read_as_juju_reads_them() {
        for (text, seconds) in [
            ("300", 300),
            ("10m", 600),
            ("10m0s", 600),
            ("1h1m1s", 3_661),
            ("90s", 90),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "10x", "1m30", "9999999999999999999h", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_names_a_status() {
        assert_eq!(status_of("status==\"blocked\"").unwrap(), "blocked");
        assert!(status_of("len(units)==4").is_err());
    }

    #[test]
    fn a_log_line_is_of_its_unit_and_application() {
        assert!(is_of("unit.iris/0.juju-log", "iris") && is_of("unit.iris/0", "iris/0"));
        assert!(!is_of("unit.iris-2/0.juju-log", "iris"));
    }
}
