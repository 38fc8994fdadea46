//! Commands that an operator pastes into a shell. All that is printed for that is made here, so that each word is read back as it was meant,
//! whoever wrote what is in it.

/// A command of these words.
#[must_use]
pub fn command(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    words.join(" ")
}

/// `juju config` of one option.
#[must_use]
pub fn juju_config(application: &str, option: &str, value: &str) -> String {
    format!(
        "{} {}",
        command(&["juju", "config", application]),
        setting(option, value)
    )
}

/// The two ways to grant the charm its rights.
#[must_use]
pub fn juju_trust(application: &str) -> String {
    let trust = command(&["juju", "trust", application, "--scope=cluster"]);
    format!("{trust}, or apply rbac.yaml")
}

/// `option=value` as one word, with the quotes around the value alone.
#[must_use]
pub fn setting(option: &str, value: &str) -> String {
    let value = if value.is_empty() { String::new() } else { quote(value) };
    format!("{}={value}", quote(option))
}

/// One word. The ellipsis that stands for a value of the reader's is nothing to a shell.
#[must_use]
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,%+…".contains(c);
    // zsh reads `=ls` as the path of ls.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use proptest::prelude::*;

    /// Text with all that a shell takes for something else.
    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~…é\n\t]{0,12}",
            "[\\$`'\"\\\\!~#&|;<>(){}\\[\\]*?= \n-]{1,8}",
            Just("$(touch x)".to_owned()),
            Just("`id`".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn words_are_quoted_and_parsed_back(words in prop::collection::vec(word(), 1..6)) {
            let all: Vec<&str> = words.iter().map(String::as_str).collect();
            prop_assert_eq!(shlex::split(&command(&all)), Some(words));
        }

        #[test]
        fn setting_is_one_word(value in word()) {
            let expected = vec!["juju".into(), "config".into(), "iris".into(), format!("image={value}")];
            prop_assert_eq!(shlex::split(&juju_config("iris", "image", &value)), Some(expected));
        }
    }

    /// A command with something in it that is put together elsewhere is one whose words nobody quotes.
    #[test]
    fn commands_are_made_here_alone() {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("shell.rs") {
                    found.extend(unquoted(&path));
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    fn unquoted(path: &Path) -> Vec<String> {
        let source = fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let has_value = |line: &&str| {
            let mut commands = ["kubectl ", "juju "]
                .iter()
                .filter_map(|program| line.split_once(program));
            commands.any(|(_, rest)| rest.split('"').next().unwrap_or_default().contains('{'))
        };
        let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        let lines = code
            .lines()
            .filter(|line| !is_test && !line.trim_start().starts_with("//"));
        lines
            .filter(has_value)
            .map(|line| format!("{}: {}", path.display(), line.trim()))
            .collect()
    }

    #[test]
    fn real_shell_parses_quoted_words() {
        let words = [
            "$(echo x)",
            "`id`",
            "a'b\"c",
            "\\",
            "!!",
            "~",
            "*",
            "a b",
            "",
            "#",
            "line\nbreak",
            "/…/",
            "=ls",
        ];
        let script = format!("printf '%s\\0' {}", command(&words));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), words);
    }
}
