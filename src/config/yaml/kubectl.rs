//! Plain scalars that are text in YAML 1.2, and not to kubectl, which reads YAML 1.1 (`sigs.k8s.io/yaml` v1.4.0, `goyaml.v2/resolve.go`).

use serde_yaml::Value;

/// kubectl takes `y` and `n` for flags too. Here they are text: a name of one letter is likelier than such a flag, which is rejected.
const YES: [&str; 6] = ["yes", "Yes", "YES", "on", "On", "ON"];
const NO: [&str; 6] = ["no", "No", "NO", "off", "Off", "OFF"];

/// The value; `None` for text.
pub fn scalar(text: &str) -> Option<Value> {
    if YES.contains(&text) {
        return Some(true.into());
    }
    if NO.contains(&text) {
        return Some(false.into());
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return None;
    }
    let digits = text.replace('_', "");
    whole_number(&digits).or_else(|| fraction(&digits))
}

/// A number of Go's `strconv.ParseInt` with base 0: digits after `0` are octal.
fn whole_number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefix = unsigned.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, unsigned.get(2..)?),
        Some("0o") => (8, unsigned.get(2..)?),
        Some("0b") => (2, unsigned.get(2..)?),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (8, unsigned),
        _ => (10, unsigned),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if text.starts_with('-') { -number } else { number };
    i64::try_from(number)
        .map(Value::from)
        .or_else(|_| u64::try_from(number).map(Value::from))
        .ok()
}

/// Digits, with a point and an exponent or without.
fn fraction(text: &str) -> Option<Value> {
    let is_part = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let number: f64 = text.parse().ok().filter(|_| text.bytes().all(is_part))?;
    number.is_finite().then(|| number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_those_of_kubectl() {
        for (text, value) in [
            ("yes", Value::from(true)),
            ("Off", false.into()),
            ("0400", 256.into()),
            ("-0400", (-256).into()),
            ("0x1F", 31.into()),
            ("0O17", 15.into()),
            ("0b11", 3.into()),
            ("1_000", 1000.into()),
            ("0899", 899.0.into()),
            ("1_0.5", 10.5.into()),
        ] {
            assert_eq!(scalar(text), Some(value), "{text}");
        }
        for text in [
            "yEs",
            "iris",
            "",
            "0xZZ",
            "2024-01-01",
            "1.2.3",
            "-",
            "_1",
            "100m",
            "0.4-rc1",
            "-inf",
        ] {
            assert_eq!(scalar(text), None, "{text}");
        }
    }
}
