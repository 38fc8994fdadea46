//! The line that `juju status` has for a message.

use std::fmt;

/// Longest message of a status, in characters. Juju stores all of it, and `juju status --format=yaml` prints it.
const LONGEST: usize = 240;

/// A message in parts, so that a long one loses nothing but a part of its cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Line {
    /// What is the case and the command to run.
    pub head: String,
    pub cause: Option<String>,
    /// What follows the cause, with its separator.
    pub tail: String,
}

impl Line {
    /// A message without a command.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            head: text.into(),
            ..Self::default()
        }
    }

    /// The same with something behind it.
    pub fn with_tail(&self, tail: &str) -> Self {
        Self {
            tail: format!("{}{tail}", self.tail),
            ..self.clone()
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = one_line(&self.head);
        let tail = one_line(&self.tail);
        let cause = self.cause.as_deref().map(one_line).unwrap_or_default();
        let others = head.chars().count() + tail.chars().count();
        let room = LONGEST.saturating_sub(others + " ()".len());
        if !cause.is_empty() && room > 0 {
            return write!(f, "{head} ({}){tail}", cut(&cause, room));
        }
        // Without a cause the head has to give way.
        let room = LONGEST.saturating_sub(tail.chars().count());
        write!(f, "{}{tail}", cut(&head, room))
    }
}

/// No line breaks and no control characters.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    // The separator of a tail is part of it.
    if text.starts_with(' ') && !line.is_empty() {
        format!(" {line}")
    } else {
        line
    }
}

/// Cut in the middle: both ends of a message say more.
fn cut(line: &str, limit: usize) -> String {
    let length = line.chars().count();
    if length <= limit {
        return line.to_owned();
    }
    let tail = limit * 2 / 5;
    let head = limit.saturating_sub(tail + 1);
    let start: String = line.chars().take(head).collect();
    let end: String = line.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cause_is_cut_and_the_rest_stays() {
        let line = Line {
            head: "iris: quota exceeded. Run: juju config iris resources=…".to_owned(),
            cause: Some(format!("first line\n{} last", "ü".repeat(2000))),
            tail: "; 1 of 3 serve".to_owned(),
        };
        let text = line.to_string();
        assert_eq!(text.chars().count(), LONGEST);
        assert!(text.starts_with(&format!("{} (first line ü", line.head)), "{text}");
        assert!(text.ends_with("ü last); 1 of 3 serve"), "{text}");
    }

    #[test]
    fn long_head_is_cut_when_there_is_nothing_else() {
        let text = Line::plain("x".repeat(1000)).with_tail("; end").to_string();
        assert_eq!(text.chars().count(), LONGEST);
        assert!(text.ends_with("x; end"), "{text}");
    }
}
