//! Commands that an operator pastes into a shell. All of them are made here, so that each word is quoted, whoever wrote what is in it.

use std::borrow::Cow;

use juju_hooks::Version;

/// The verbs of Juju's client: Juju 3 renamed `run-action` to `run` and `relate` to `integrate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JujuCli {
    V2,
    /// Also where the version is unknown.
    #[default]
    V3,
}

impl JujuCli {
    pub fn of_version(version: Option<&Version>) -> Self {
        match version {
            Some(version) if version.major() < 3 => Self::V2,
            _ => Self::V3,
        }
    }
}

/// The commands about one application, in the verbs of the Juju that runs it.
#[derive(Debug, Clone, Copy)]
pub struct Commands<'a> {
    pub application: &'a str,
    pub namespace: &'a str,
    pub juju: JujuCli,
}

impl Commands<'_> {
    /// Runs an action on the leader.
    pub fn run_on_leader(&self, action: &str) -> String {
        self.run_action(&format!("{}/leader", self.application), action)
    }

    pub fn run_action(&self, unit: &str, action: &str) -> String {
        match self.juju {
            JujuCli::V2 => command(&["juju", "run-action", unit, action, "--wait"]),
            JujuCli::V3 => command(&["juju", "run", unit, action]),
        }
    }

    /// The action that shows every check and the whole of each message.
    pub fn diagnose(&self) -> String {
        self.run_on_leader("diagnose")
    }

    /// Both ends as `application:endpoint`, or an application alone where one endpoint fits.
    pub fn integrate(&self, one_end: &str, other_end: &str) -> String {
        let verb = match self.juju {
            JujuCli::V2 => "relate",
            JujuCli::V3 => "integrate",
        };
        command(&["juju", verb, one_end, other_end])
    }

    pub fn remove_relation(&self, endpoint: &str, other_application: &str) -> String {
        command(&["juju", "remove-relation", &self.endpoint(endpoint), other_application])
    }

    /// An endpoint of the application, for the commands that take both ends of a relation.
    pub fn endpoint(&self, endpoint: &str) -> String {
        format!("{}:{endpoint}", self.application)
    }

    pub fn config(&self, option: &str, value: &str) -> String {
        juju_config(self.application, option, value)
    }

    /// Prints all options.
    pub fn show_config(&self) -> String {
        command(&["juju", "config", self.application])
    }

    pub fn reset(&self, option: &str) -> String {
        command(&["juju", "config", self.application, "--reset", option])
    }

    /// Grants the rights of a cluster administrator; `rbac.yaml` grants only those that are needed.
    pub fn trust(&self) -> String {
        command(&["juju", "trust", self.application, "--scope=cluster"])
    }

    pub fn kubectl(&self, verb: &str, kind: &str, name: &str) -> String {
        kubectl(self.namespace, verb, kind, name)
    }
}

/// A command of these words.
pub fn command(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    words.join(" ")
}

/// `juju config` of one option.
pub fn juju_config(application: &str, option: &str, value: &str) -> String {
    format!(
        "{} {}",
        command(&["juju", "config", application]),
        setting(option, value)
    )
}

pub fn juju_status(application: &str) -> String {
    command(&["juju", "status", application])
}

/// `kubectl` on one object.
pub fn kubectl(namespace: &str, verb: &str, kind: &str, name: &str) -> String {
    command(&["kubectl", "-n", namespace, verb, &kind.to_lowercase(), name])
}

/// `option=value` as one word, with the quotes around the value alone.
pub fn setting(option: &str, value: &str) -> String {
    let value = if value.is_empty() { String::new() } else { quote(value) };
    format!("{}={value}", quote(option))
}

/// One word. Quotes fewer than `shlex`: an option's `=`, a list's `,`, and the ellipsis that stands for a value of the reader's.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,%+…".contains(c);
    // zsh reads `=ls` as the path of ls.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    // No argument of a program can hold a zero byte, the only one that `shlex` rejects.
    let word = word.replace('\0', "\u{fffd}");
    shlex::try_quote(&word).map(Cow::into_owned).unwrap_or_default()
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

    #[test]
    fn verbs_follow_the_version_of_juju() {
        let commands = |version: &str| {
            let commands = Commands {
                application: "iris",
                namespace: "edge",
                juju: JujuCli::of_version(Version::read(version).as_ref()),
            };
            [
                commands.diagnose(),
                commands.integrate("iris:gateway-info", "istio-pilot"),
            ]
        };
        assert_eq!(
            commands("2.9.42"),
            [
                "juju run-action iris/leader diagnose --wait",
                "juju relate iris:gateway-info istio-pilot"
            ]
        );
        for version in ["3.0-beta1", "3.6.1", "4.0.15", "unknown"] {
            assert_eq!(
                commands(version),
                [
                    "juju run iris/leader diagnose",
                    "juju integrate iris:gateway-info istio-pilot"
                ]
            );
        }
    }

    /// A command that another module formats from values would not be quoted.
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
    fn zero_byte_cannot_be_pasted_and_is_replaced() {
        assert_eq!(quote("a\0b"), "'a\u{fffd}b'");
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
