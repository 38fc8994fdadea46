//! The conditions of other clients' routes: texts, their beginnings, and regular expressions.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input, MatchKind};
use serde::Deserialize;

/// How far a condition holds for requests of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Never,
    /// For some, or it cannot be decided.
    Possible,
    /// For all, or for some that clients of a model send.
    Certain,
}

impl Fit {
    pub(super) fn when(holds: bool) -> Self {
        if holds { Self::Certain } else { Self::Never }
    }
}

/// Of a text that a request has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Any text.
    Present,
    Prefix(String),
    Exact(String),
    /// RE2, for the whole text.
    Regex(String),
}

impl<'de> Deserialize<'de> for Pattern {
    /// Reads Istio's `StringMatch`, of which an empty one matches every text (`istio/istio`,
    /// `pilot/pkg/networking/core/v1alpha3/route/route.go`, `isCatchAllStringMatch`).
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct StringMatch {
            prefix: Option<String>,
            exact: Option<String>,
            regex: Option<String>,
        }
        let read = StringMatch::deserialize(deserializer)?;
        let prefix = read.prefix.map(Self::Prefix);
        let regex = || read.regex.filter(|regex| regex != "*").map(Self::Regex);
        Ok(prefix
            .or(read.exact.map(Self::Exact))
            .or_else(regex)
            .unwrap_or(Self::Present))
    }
}

impl Pattern {
    /// Whether it matches one of all texts that can occur.
    pub(super) fn fits<T: AsRef<str>>(&self, texts: &[T], regexes: &mut Regexes) -> Fit {
        let any = |matches: &dyn Fn(&str) -> bool| Fit::when(texts.iter().any(|text| matches(text.as_ref())));
        match self {
            Self::Present => Fit::Certain,
            Self::Exact(exact) => any(&|text| text == exact),
            Self::Prefix(prefix) => any(&|text| text.starts_with(prefix.as_str())),
            Self::Regex(pattern) => match regexes.compile(pattern) {
                None => Fit::Possible,
                Some(regex) => any(&|text| regex.matches(text)),
            },
        }
    }

    /// Whether it matches every path. Unlike Istio's own test, a regular expression never does.
    pub(super) fn is_every_path(&self) -> bool {
        match self {
            Self::Present => true,
            Self::Prefix(prefix) => prefix.is_empty() || prefix == "/",
            Self::Exact(_) | Self::Regex(_) => false,
        }
    }
}

/// Compiles the regular expressions of other clients, which may be many and expensive.
#[derive(Debug)]
pub(super) struct Regexes {
    left: usize,
}

impl Regexes {
    /// Of one observation. Sites have a handful, each compiled in some ten microseconds.
    const MOST: usize = 500;
    /// In bytes. What is longer counts as undecidable.
    const LONGEST: usize = 1024;
    /// In bytes, of one that is compiled.
    const LARGEST: usize = 64 * 1024;

    pub(super) const fn new() -> Self {
        Self { left: Self::MOST }
    }

    /// `None` if that is too expensive or the pattern is invalid.
    pub(super) fn compile(&mut self, pattern: &str) -> Option<Regex> {
        self.left = self.left.checked_sub(1)?;
        if pattern.len() > Self::LONGEST {
            return None;
        }
        // Of `a|ab` only this kind finds the longer match, and Envoy matches whole texts.
        let config = Config::new().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let size = thompson::Config::new().nfa_size_limit(Some(Self::LARGEST));
        let dfa = DFA::builder().configure(config).thompson(size).build(pattern).ok()?;
        Some(Regex { dfa })
    }
}

/// In the syntax of RE2, like Envoy's.
#[derive(Debug)]
pub(super) struct Regex {
    dfa: DFA,
}

impl Regex {
    /// Whether it matches a whole text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut cache = self.dfa.create_cache();
        self.follow(&mut cache, text)
            .is_ok_and(|state| self.is_match(&mut cache, state))
    }

    /// Whether it matches some text that begins like this. What cannot be decided counts as matched.
    pub(super) fn matches_below(&self, beginning: &str) -> bool {
        let mut cache = self.dfa.create_cache();
        let Ok(state) = self.follow(&mut cache, beginning) else {
            return true;
        };
        // A state tells a match one byte late, so it may be alive although nothing can follow.
        let mut continues = |byte: u8| {
            let next = self.dfa.next_state(&mut cache, state, byte);
            !next.is_ok_and(|next| next.is_dead())
        };
        let visible = b'!'..=b'~';
        visible.into_iter().any(&mut continues) || self.is_match(&mut cache, state)
    }

    fn follow(&self, cache: &mut Cache, text: &str) -> Result<LazyStateID, Undecided> {
        let input = Input::new(text).anchored(Anchored::Yes);
        let mut state = self.dfa.start_state_forward(cache, &input).map_err(|_| Undecided)?;
        for byte in text.bytes() {
            state = self.dfa.next_state(cache, state, byte).map_err(|_| Undecided)?;
            if state.is_quit() {
                return Err(Undecided);
            }
        }
        Ok(state)
    }

    /// Whether the text that led to this state is matched.
    fn is_match(&self, cache: &mut Cache, state: LazyStateID) -> bool {
        let end = self.dfa.next_eoi_state(cache, state);
        end.is_ok_and(|end| end.is_match())
    }
}

/// The expression takes too much memory, or depends on what is not ASCII.
struct Undecided;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expression_matches_whole_texts() {
        for (pattern, text, expected) in [
            ("/model/[a-z]+/.*", "/model/iris/v2", true),
            ("/model", "/model/iris", false),
            ("model", "/model", false),
            ("/a|/ab", "/ab", true),
            ("(?i)/MODEL/iris", "/model/iris", true),
            ("^/model/.*$", "/model/iris", true),
            ("", "", true),
        ] {
            let regex = Regexes::new().compile(pattern).unwrap();
            assert_eq!(regex.matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn regular_expression_tells_what_can_follow() {
        for (pattern, expected) in [
            ("/model/[a-z]+/v9", true),
            (".*tensorflow.*", true),
            ("/model/i.*", true),
            ("/model/iris", false),
            ("/other/.*", false),
            ("/model/[0-9]+/.*", false),
        ] {
            let regex = Regexes::new().compile(pattern).unwrap();
            assert_eq!(regex.matches_below("/model/iris/"), expected, "{pattern}");
        }
    }

    #[test]
    fn expensive_expressions_are_not_compiled() {
        let mut regexes = Regexes::new();
        assert!(regexes.compile("((a{500}){500}){500}").is_none());
        assert!(regexes.compile(&"a".repeat(2000)).is_none());
        assert!(regexes.compile("(").is_none());
        while regexes.compile("a").is_some() {}
        assert_eq!(regexes.left, 0);
    }
}
