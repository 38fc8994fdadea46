//! A Juju model of a test's own, destroyed at its end.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Printed, Task, read_application_data, read_task};
use crate::neighbour;
use crate::setup::{charm, setup};
use crate::status::Status;

/// One iris: the lengths and widths of its sepals and petals.
pub const FLOWER: &str = r#"{"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]]}}"#;
/// How long a model may take until it serves: its image is pulled, and Seldon's probes begin after 20 s.
pub const SERVES: Duration = Duration::from_secs(600);
/// How long anything without a new pod of a model may take; a pod of the charm may be new.
pub const SOON: Duration = Duration::from_secs(180);
/// Between two readings of a status, each of which starts a client.
const POLL: Duration = Duration::from_secs(1);

pub struct Model {
    pub name: String,
}

impl Model {
    /// An empty one. Its name, and so its namespace, is of this process.
    #[track_caller]
    pub fn add(purpose: &str) -> Self {
        let name = format!("test-{purpose}-{}", std::process::id());
        setup().juju.add_model(&name);
        let model = Self { name };
        // The shortest that Juju takes: granting a secret runs no hook.
        model.juju(&["model-config"], &["update-status-hook-interval=1m"]);
        model
    }

    /// With the charm as `iris`, trusted and settled, and no model configured. Models of all tests share the site's gateway, so each
    /// has its own prefix.
    #[track_caller]
    pub fn with_iris(purpose: &str) -> Self {
        let model = Self::add(purpose);
        model.deploy_iris(&["--trust"]);
        model
    }

    #[track_caller]
    pub fn deploy_iris(&self, more: &[&str]) {
        let prefix = format!("prefix={}", self.prefix());
        let mut arguments = vec![charm().to_str().unwrap(), "iris", "--config", &prefix];
        arguments.extend(more);
        self.juju(&["deploy"], &arguments);
        self.until(SOON, "iris is settled", |status| status.is_settled("iris", 1));
    }

    /// The same, related to a gateway, and serving the first version.
    #[track_caller]
    pub fn serving(purpose: &str) -> Self {
        let model = Self::with_iris(purpose);
        model.deploy_gateway("gate");
        model.integrate("iris:gateway-info", "gate:gateway-info");
        let [first, _] = &setup().images;
        model.configure(&[&format!("image={first}")]);
        model.until_serves(first);
        model
    }

    pub fn prefix(&self) -> String {
        format!("/{}/", self.name)
    }

    /// Runs a command on this model, which must succeed. `command` comes before the model, `arguments` behind it.
    #[track_caller]
    pub fn juju(&self, command: &[&str], arguments: &[&str]) -> String {
        let (printed, line) = self.print(command, arguments);
        assert!(printed.succeeded, "{line}: {}", printed.stderr);
        printed.stdout
    }

    /// Runs a command on this model that Juju must reject. Returns what it says.
    #[track_caller]
    pub fn rejected(&self, command: &[&str], arguments: &[&str]) -> String {
        let (printed, line) = self.print(command, arguments);
        assert!(!printed.succeeded, "{line} was accepted: {}", printed.stdout);
        printed.stderr
    }

    #[track_caller]
    fn print(&self, command: &[&str], arguments: &[&str]) -> (Printed, String) {
        let juju = &setup().juju;
        let model = juju.qualified(&self.name);
        let words: Vec<&str> = [command, &["-m", &model], arguments].concat();
        (juju.print(&words), format!("juju {}", words.join(" ")))
    }

    /// Sets options of iris.
    #[track_caller]
    pub fn configure(&self, options: &[&str]) {
        self.juju(&["config"], &[&["iris"], options].concat());
    }

    /// Runs a command that a status or an action gave, as an operator would paste it.
    #[track_caller]
    pub fn paste(&self, command: &str) {
        let words = shlex::split(command).unwrap_or_else(|| panic!("{command:?} is no command"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["juju", verb, arguments @ ..] = words.as_slice() else {
            panic!("{command:?} is no command of juju");
        };
        self.juju(&[verb], arguments);
    }

    #[track_caller]
    pub fn integrate(&self, one: &str, other: &str) {
        self.juju(&[setup().juju.integrate()], &[one, other]);
    }

    /// An application of the tests' own charm, which plays the other side of a relation.
    #[track_caller]
    pub fn deploy_neighbour(&self, name: &str) {
        self.juju(&["deploy"], &[neighbour::charm().to_str().unwrap(), name]);
        self.until(SOON, &format!("{name} is settled"), |status| status.is_settled(name, 1));
    }

    /// A neighbour that names the site's gateway, as istio-pilot does.
    #[track_caller]
    pub fn deploy_gateway(&self, name: &str) {
        self.deploy_neighbour(name);
        let (namespace, gateway) = &setup().gateway;
        let data = serde_json::json!({
            "gateway_name": gateway, "gateway_namespace": namespace, "gateway_up": "true",
        });
        self.publish(name, "gateway-info", &data);
    }

    /// Has a neighbour write that data to its relations at that endpoint.
    #[track_caller]
    pub fn publish(&self, neighbour: &str, endpoint: &str, data: &Value) {
        let (endpoint, data) = (format!("endpoint={endpoint}"), format!("data={data}"));
        self.juju(&["config"], &[neighbour, &endpoint, &data]);
    }

    /// What the application at the other side wrote to the relation that a unit has at an endpoint.
    #[track_caller]
    pub fn received(&self, unit: &str, endpoint: &str) -> Value {
        let text = self.juju(&["show-unit"], &[unit, "--format", "json"]);
        read_application_data(&text, unit, endpoint)
    }

    #[track_caller]
    pub fn until_received(&self, unit: &str, endpoint: &str, key: &str) -> String {
        poll(SOON, &format!("{unit} gets {key} at {endpoint}"), || {
            let data = self.received(unit, endpoint);
            let value = data[key].as_str().filter(|value| !value.is_empty());
            value.map(str::to_owned).ok_or_else(|| data.to_string())
        })
    }

    #[track_caller]
    pub fn status(&self) -> Status {
        Status::parse(&self.juju(&["status"], &["--format", "json"])).unwrap()
    }

    /// Reads the status until the condition holds.
    #[track_caller]
    pub fn until(&self, limit: Duration, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        poll(limit, what, || {
            let status = self.status();
            if holds(&status) {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
    }

    /// Reads the status until that of iris contains all these parts. Returns it.
    #[track_caller]
    pub fn until_says(&self, limit: Duration, parts: &[&str]) -> String {
        poll(limit, &format!("iris says {parts:?}"), || {
            let says = self.status().of("iris");
            if parts.iter().all(|part| says.contains(part)) {
                Ok(says)
            } else {
                Err(says)
            }
        })
    }

    /// Until the status says that this image serves, and nothing else.
    #[track_caller]
    pub fn until_serves(&self, image: &str) {
        self.until_says(SERVES, &[&format!("active: iris serves {image} at {}", self.prefix())]);
    }

    /// Runs an action on iris/0 to its end.
    #[track_caller]
    pub fn act(&self, action: &str, parameters: &[&str]) -> Task {
        let (printed, line) = self.print(&setup().juju.run(), &[&["iris/0", action], parameters].concat());
        read_task(&printed.stdout).unwrap_or_else(|| panic!("{line}: {printed:?}"))
    }

    /// Runs an action that must complete. Returns its results.
    #[track_caller]
    pub fn completed(&self, action: &str, parameters: &[&str]) -> Value {
        let task = self.act(action, parameters);
        assert_eq!(task.status, "completed", "{action}: {task:?}");
        task.results
    }

    /// Asserts that the model answers through the gateway, and with that image.
    #[track_caller]
    pub fn assert_answers(&self, image: &str) {
        let results = self.completed("predict", &[&format!("data={FLOWER}")]);
        let answer = results["result"].as_str().unwrap_or_default();
        assert!(answer.contains("ndarray") && answer.contains(image), "{results}");
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Err(error) = setup().juju.destroy_model(&self.name) {
            eprintln!("{error}");
        }
    }
}

/// Polls until there is something to return; panics with what it saw last.
#[track_caller]
pub fn poll<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) if start.elapsed() > limit => panic!("{what}: not in {} s, but {seen}", limit.as_secs()),
            Err(_) => thread::sleep(POLL),
        }
    }
}
