//! Text of others, made safe where it enters: it ends in logs, statuses and the results of actions.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Deserializer};

/// Longest text that is kept, in characters: as long as Kubernetes lets a termination message be.
const LONGEST: usize = 4096;

/// One line of printable characters.
pub fn clean(text: &str) -> String {
    clean_lines(text).replace('\n', " ")
}

/// The same with its line breaks.
pub fn clean_lines(text: &str) -> String {
    let is_break = |c: char| matches!(c, '\n' | '\u{2028}' | '\u{2029}');
    let printable = |c: char| match c {
        c if is_break(c) => '\n',
        c if is_unprintable(c) => ' ',
        c => c,
    };
    let text = text.trim();
    if text.chars().nth(LONGEST).is_none() {
        return text.chars().map(printable).collect();
    }
    let kept: String = text.chars().take(LONGEST - 1).map(printable).collect();
    kept + "…"
}

/// Control characters, and those that change the order of others or take no room: with them a text can show what it does not say
/// (Unicode Technical Report 36, "Bidirectional Text Spoofing").
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// For fields that hold one line.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| clean(&text))
}

/// For fields that hold lines.
pub fn deserialize_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| clean_lines(&text))
}

/// The first 16 hexadecimal digits of a SHA-256: enough to tell apart the versions of one object.
pub fn short_digest(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let digits = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clean_text_shows_what_it_says() {
        assert_eq!(clean(" a\0b\u{1b}[31mc\r\nd "), "a b [31mc  d");
        assert_eq!(clean("active\u{202e}dekcolb\u{200b}!"), "active dekcolb !");
        assert_eq!(clean_lines("one\ntwo\u{2028}three\t!"), "one\ntwo\nthree !");
        assert_eq!(clean("größer → 世界"), "größer → 世界");
    }

    proptest! {
        #[test]
        fn clean_text_is_short_printable_and_stays_as_it_is(text in any::<String>(), times in 1_usize..300) {
            let cleaned = clean(&text.repeat(times));
            prop_assert!(cleaned.chars().count() <= LONGEST);
            prop_assert!(!cleaned.chars().any(is_unprintable));
            prop_assert_eq!(clean(&cleaned), cleaned.trim());
        }
    }
}
