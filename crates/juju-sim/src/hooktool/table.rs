//! The table of tools: names, flags, forms of output, and the versions that have them.

use crate::juju::Version;

use super::flags::{Flag, Takes};
use super::print::Format;
use super::{Arguments, Context, Failure, Reply};
use super::{action, config, leader, log, network, ports, relation, relation_set, resource, secret, state, status};

/// Which output formats a tool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    /// It prints nothing.
    None,
    /// It prints nothing and still takes `--format`, saying that it should not be given.
    Deprecated,
    /// smart (the default), yaml, json.
    Smart,
    /// The same, yaml the default.
    SmartYaml,
    /// yaml (the default), json.
    YamlJson,
}

/// One tool.
pub(super) struct Tool {
    pub name: &'static str,
    /// What follows the options in its usage line.
    pub usage: &'static str,
    flags: &'static [Flag],
    forms: Forms,
    /// The first version that has it.
    since: (u32, u32, u32),
    /// The first version that has it no more.
    until: Option<(u32, u32, u32)>,
    pub run: fn(&mut Context, &Arguments<'_>) -> Result<Reply, Failure>,
}

const FORMAT: Flag = Flag {
    names: &["format"],
    takes: Takes::Format,
};
const OUTPUT: Flag = Flag {
    names: &["o", "output"],
    takes: Takes::Text,
};
const RELATION: Flag = Flag {
    names: &["r", "relation"],
    takes: Takes::Relation,
};
const APP: Flag = Flag {
    names: &["app"],
    takes: Takes::Nothing,
};
const APPLICATION: Flag = Flag {
    names: &["application"],
    takes: Takes::Nothing,
};
const FILE: Flag = Flag {
    names: &["file"],
    takes: Takes::Text,
};
const ENDPOINTS: Flag = Flag {
    names: &["endpoints"],
    takes: Takes::Text,
};
const LABEL: Flag = Flag {
    names: &["label"],
    takes: Takes::Text,
};

const fn switch(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes: Takes::Nothing,
    }
}

const fn text(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes: Takes::Text,
    }
}

const SECRET_FLAGS: &[Flag] = &[
    LABEL,
    FILE,
    text(&["description"]),
    text(&["expire"]),
    text(&["rotate"]),
    text(&["owner"]),
];

const ALWAYS: (u32, u32, u32) = (0, 0, 0);
const SECRETS: (u32, u32, u32) = (3, 0, 0);

macro_rules! tool {
    ($name:literal, $usage:literal, $flags:expr, $forms:ident, $run:expr $(, since $since:expr)? $(, until $until:expr)?) => {
        Tool {
            name: $name,
            usage: $usage,
            flags: $flags,
            forms: Forms::$forms,
            since: tool!(@since $($since)?),
            until: tool!(@until $($until)?),
            run: $run,
        }
    };
    (@since) => { ALWAYS };
    (@since $since:expr) => { $since };
    (@until) => { None };
    (@until $until:expr) => { Some($until) };
}

static TOOLS: &[Tool] = &[
    tool!("action-fail", "[\"<failure message>\"]", &[], None, action::fail),
    tool!("action-get", "[<key>[.<key>.<key>...]]", &[], Smart, action::get),
    tool!("action-log", "<message>", &[], None, action::log),
    tool!(
        "action-set",
        "<key>=<value> [<key>=<value> ...]",
        &[],
        None,
        action::set
    ),
    tool!(
        "application-version-set",
        "<new-version>",
        &[],
        None,
        status::version_set
    ),
    tool!(
        "close-port",
        "<port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp",
        &[ENDPOINTS],
        Deprecated,
        ports::close
    ),
    tool!("config-get", "[<key>]", &[switch(&["a", "all"])], Smart, config::get),
    tool!("credential-get", "", &[], Smart, resource::credential_get),
    tool!("goal-state", "", &[], SmartYaml, config::goal_state),
    tool!("is-leader", "", &[], Smart, leader::is_leader),
    tool!(
        "juju-log",
        "<message>",
        &[switch(&["debug"]), text(&["l", "log-level"])],
        Deprecated,
        log::log
    ),
    tool!("juju-reboot", "", &[switch(&["now"])], None, resource::reboot),
    tool!("leader-get", "[<key>]", &[], Smart, leader::get, until(4, 0, 0)),
    tool!(
        "leader-set",
        "<key>=<value> [...]",
        &[FILE],
        None,
        leader::set,
        until(4, 0, 0)
    ),
    tool!(
        "network-get",
        "<binding-name> [--ingress-address] [--bind-address] [--egress-subnets]",
        &[
            RELATION,
            switch(&["primary-address"]),
            switch(&["bind-address"]),
            switch(&["ingress-address"]),
            switch(&["egress-subnets"]),
        ],
        Smart,
        network::get
    ),
    tool!(
        "open-port",
        "<port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp",
        &[ENDPOINTS],
        Deprecated,
        ports::open
    ),
    tool!("opened-ports", "", &[ENDPOINTS], Smart, ports::opened),
    tool!(
        "relation-get",
        "<key> <unit id>",
        &[RELATION, APP],
        Smart,
        relation::get
    ),
    tool!("relation-ids", "<name>", &[], Smart, relation::ids),
    tool!("relation-list", "", &[RELATION, APP], Smart, relation::list),
    tool!(
        "relation-model-get",
        "",
        &[RELATION],
        SmartYaml,
        relation::model_get,
        since(3, 6, 2)
    ),
    tool!(
        "relation-set",
        "<key>=<value> [<key>=<value> ...]",
        &[RELATION, APP, FILE],
        Deprecated,
        relation_set::set
    ),
    tool!("resource-get", "<resource name>", &[], None, resource::get),
    tool!("secret-add", "[key[#base64|#file]=value...]", SECRET_FLAGS, None, secret::add, since SECRETS),
    tool!(
        "secret-get",
        "<ID> [key[#base64]]",
        &[LABEL, switch(&["peek"]), switch(&["update", "refresh"])],
        YamlJson,
        secret::get,
        since SECRETS
    ),
    tool!("secret-grant", "<ID>", &[RELATION, text(&["unit"])], None, secret::grant, since SECRETS),
    tool!("secret-ids", "", &[], Smart, secret::ids, since SECRETS),
    tool!("secret-info-get", "<ID>", &[LABEL], YamlJson, secret::info, since SECRETS),
    tool!("secret-set", "<ID> [key[#base64]=value...]", SECRET_FLAGS, None, secret::set, since SECRETS),
    tool!("state-delete", "<key>", &[], None, state::delete),
    tool!("state-get", "[<key>]", &[switch(&["strict"])], Smart, state::get),
    tool!(
        "state-set",
        "<key>=<value> [<key>=<value> ...]",
        &[FILE],
        None,
        state::set
    ),
    tool!(
        "status-get",
        "[--include-data] [--application]",
        &[switch(&["include-data"]), APPLICATION],
        Smart,
        status::get
    ),
    tool!(
        "status-set",
        "<maintenance | blocked | waiting | active> [message]",
        &[APPLICATION],
        None,
        status::set
    ),
    tool!("unit-get", "<setting>", &[], Smart, network::unit_get),
];

impl Tool {
    /// The tool's own flags and those its forms of output bring.
    pub fn all_flags(&self) -> Vec<Flag> {
        let mut flags = self.flags.to_vec();
        match self.forms {
            Forms::None => {}
            Forms::Deprecated => flags.push(Flag {
                names: &["format"],
                takes: Takes::Text,
            }),
            Forms::Smart | Forms::SmartYaml | Forms::YamlJson => flags.extend([FORMAT, OUTPUT]),
        }
        flags
    }

    pub fn default_format(&self) -> Format {
        match self.forms {
            Forms::SmartYaml | Forms::YamlJson => Format::Yaml,
            _ => Format::Smart,
        }
    }

    pub fn knows_format(&self, name: &str) -> bool {
        match self.forms {
            Forms::YamlJson => matches!(name, "yaml" | "json"),
            _ => matches!(name, "smart" | "yaml" | "json"),
        }
    }

    pub fn deprecates_format(&self) -> bool {
        self.forms == Forms::Deprecated
    }

    fn is_in(&self, version: &Version) -> bool {
        let reached = |(major, minor, patch)| version.at_least(major, minor, patch);
        reached(self.since) && !self.until.is_some_and(reached)
    }
}

pub(super) fn find(name: &str, version: &Version) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name && tool.is_in(version))
}

/// The names of the tools a version has, which is also the symlinks its tools directory holds.
pub fn tools(version: &Version) -> impl Iterator<Item = &'static str> {
    TOOLS.iter().filter(|tool| tool.is_in(version)).map(|tool| tool.name)
}

/// Whether a name is a tool of any version.
pub fn is_tool(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.name == name)
}
