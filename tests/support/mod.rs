//! Shared by the tests of hooks: a Juju model with the charm in it, and the real binary run on it.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod kinds;
pub mod previous;
pub mod stack;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use juju_sim::agent::{ActionResult, Agent, Fault, Hook, HookRun};
use juju_sim::juju::{Charm, Given, World};
use serde_json::Value;

/// The charm's binary. With `DISPATCH` set it is that file, such as one for another architecture.
pub fn dispatch() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_dispatch").into();
    env::var_os("DISPATCH").map_or_else(built, PathBuf::from)
}

/// A limit for the charm's binary. One that `DISPATCH` names may be emulated, on a busy machine too.
pub fn limit(native: Duration) -> Duration {
    if env::var_os("DISPATCH").is_some() {
        native * 5
    } else {
        native
    }
}

/// The charm as application `iris` with one unit, related to an istio-pilot that has published its gateway.
pub struct Edge {
    pub world: World,
    pub agent: Agent,
    /// The id of the gateway-info relation.
    pub gateway_info: u32,
}

impl Edge {
    /// A Juju model without a cluster.
    pub fn new(model: &str) -> Self {
        let mut world = World::new(model);
        // Tests of one process may use a name twice, and a watcher's socket is found by the UUID.
        world.make_unique();
        let charm = Charm::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        world.add_application("iris", charm, 1).unwrap();
        world
            .add_application("istio-pilot", Charm::fake("istio-pilot", "1.28/stable"), 1)
            .unwrap();
        world
            .add_application("seldon-core", Charm::fake("seldon-core", "1.17/stable"), 1)
            .unwrap();
        let gateway_info = world
            .integrate("iris:gateway-info", "istio-pilot:gateway-info")
            .unwrap();
        let mut edge = Self {
            world,
            agent: Agent::new(dispatch()).unwrap(),
            gateway_info,
        };
        edge.publish_gateway(&[("gateway_name", "gate"), ("gateway_namespace", model)]);
        edge.config(&[("image", "seldonio/sklearn-iris:0.3")]);
        edge
    }

    /// The name of the Juju model and of its namespace.
    pub fn model(&self) -> String {
        self.world.model.name.clone()
    }

    pub fn config(&mut self, pairs: &[(&str, &str)]) -> &mut Self {
        let application = self.world.application_mut("iris").unwrap();
        application.set_config(pairs.iter().copied()).unwrap();
        self
    }

    /// Writes to the databag of istio-pilot. An empty value removes the key.
    pub fn publish_gateway(&mut self, pairs: &[(&str, &str)]) -> &mut Self {
        self.world.write_bag(self.gateway_info, "istio-pilot", pairs).unwrap();
        self
    }

    /// Adds a secret and grants it to the charm. Returns its URI.
    pub fn secret(&mut self, name: &str, content: &[(&str, &str)]) -> String {
        let uri = self.world.add_secret(name, content).unwrap();
        self.world.grant_secret(name, "iris").unwrap();
        uri
    }

    pub fn error(&mut self, tool: &str, error: Fault) -> &mut Self {
        self.agent.faults.insert(tool.to_owned(), error);
        self
    }

    /// Runs one hook on `iris/0`, which may fail.
    pub fn run(&mut self, hook: impl Into<Hook>) -> HookRun {
        self.run_on("iris/0", hook)
    }

    /// The same on any unit.
    pub fn run_on(&mut self, unit: &str, hook: impl Into<Hook>) -> HookRun {
        self.agent.run_hook(&mut self.world, unit, hook).unwrap()
    }

    /// Runs a hook on `iris/0` that must succeed.
    #[track_caller]
    pub fn hook(&mut self, hook: impl Into<Hook>) -> HookRun {
        let run = self.run(hook);
        assert_eq!(run.exit, 0, "{run:#?}");
        run
    }

    /// Runs an action on `iris/0` as `juju run --string-args` does. Parameters other than text are typed as JSON.
    ///
    /// # Errors
    /// Juju's message about invalid parameters.
    pub fn act(&mut self, action: &str, parameters: &Value) -> Result<ActionResult, String> {
        let typed = |(name, value): (&String, &Value)| match value {
            Value::String(text) => format!("{name}={text}"),
            value => format!("{name}={value}"),
        };
        let pairs: Vec<String> = parameters.as_object().unwrap().iter().map(typed).collect();
        let given = Given {
            pairs: &pairs,
            as_text: true,
            file: None,
        };
        self.act_given(action, given)
    }

    /// The same with parameters in any form.
    ///
    /// # Errors
    /// As [`Edge::act`].
    pub fn act_given(&mut self, action: &str, given: Given<'_>) -> Result<ActionResult, String> {
        let run = given
            .parameters()
            .and_then(|given| self.agent.run_action(&mut self.world, "iris/0", action, given));
        let run = run.map_err(|error| format!("{error:#}"))?;
        assert_eq!(run.exit, 0, "{run:#?}");
        assert_eq!(run.calls_of("status-set").count(), 0, "an action changes no status");
        Ok(run.action.unwrap())
    }

    /// The status after a config-changed.
    #[track_caller]
    pub fn says(&mut self) -> String {
        status(&self.hook("config-changed"))
    }
}

/// A status as `state: message`.
pub fn status(run: &HookRun) -> String {
    format!("{}: {}", run.status.status, run.status.message)
}

/// The log of a hook.
pub fn log(run: &HookRun) -> String {
    let lines: Vec<&str> = run.log.iter().map(|line| line.message.as_str()).collect();
    lines.join("\n")
}

#[track_caller]
pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// The rules of a model's route that lead to Services. The one before them shows the route's revision.
#[track_caller]
pub fn rules(route: &Value) -> Vec<Value> {
    let spec = &route["spec"];
    let rules = spec.get("http").or_else(|| spec.get("rules")).and_then(Value::as_array);
    let (first, rest) = rules.unwrap().split_first().unwrap();
    assert!(first.to_string().contains("x-seldon-model-revision"), "{first}");
    rest.to_vec()
}
