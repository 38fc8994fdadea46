//! The body of a server-side apply.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api_error::ApiError;

/// JSON that is also YAML. The API server parses the body of an apply as YAML, which rejects some characters that JSON
/// allows unescaped ("control characters are not allowed") and takes others for line breaks (yaml/go-yaml, readerc.go
/// and yamlprivateh.go). So these are escaped.
pub fn apply_body(object: &impl Serialize) -> Result<Box<RawValue>, ApiError> {
    let json = serde_json::to_string(object)?;
    let json = if json.contains(needs_escape) {
        escape(&json)
    } else {
        json
    };
    Ok(RawValue::from_string(json)?)
}

/// In JSON they can only be part of a text.
fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

fn escape(json: &str) -> String {
    let escaped = |c: char| {
        if needs_escape(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn body_means_the_same_in_json_and_yaml() {
        let text = "a\u{1}\u{7f}\u{85}\u{9b}\u{2028}\u{feff}\u{ffff}\u{e9}\u{1f600}\\u007f\n";
        let object = json!({"env": text});
        let body = apply_body(&object).unwrap();
        assert!(!body.get().contains(needs_escape), "{}", body.get());
        assert_eq!(serde_json::from_str::<Value>(body.get()).unwrap(), object);
        assert_eq!(serde_yaml::from_str::<Value>(body.get()).unwrap(), object);
    }
}
