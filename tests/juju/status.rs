//! `juju status --format json`, as far as tests look at it (juju/juju, cmd/juju/status/formatted.go).

use serde_json::Value;

#[derive(Debug)]
pub struct Status(Value);

impl Status {
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    pub fn has(&self, application: &str) -> bool {
        self.0["applications"].get(application).is_some()
    }

    /// The status of an application's leader, as `state: message`. Without a leader that of its first unit.
    pub fn of(&self, application: &str) -> String {
        let units = self.units(application);
        let leads = |unit: &&Value| unit["leader"] == true;
        let Some(unit) = units.iter().copied().find(leads).or(units.first().copied()) else {
            return format!("{application} has no unit");
        };
        let status = &unit["workload-status"];
        let text = |key: &str| status[key].as_str().unwrap_or_default();
        format!("{}: {}", text("current"), text("message"))
    }

    /// Whether an application has so many units, and no hook of theirs is running or due.
    pub fn is_settled(&self, application: &str, units: usize) -> bool {
        let all = self.units(application);
        all.len() == units && all.iter().all(|unit| unit["juju-status"]["current"] == "idle")
    }

    /// How many units have that workload status.
    pub fn count(&self, application: &str, state: &str) -> usize {
        let units = self.units(application);
        units
            .iter()
            .filter(|unit| unit["workload-status"]["current"] == state)
            .count()
    }

    /// The revision of an application's charm, which Juju counts itself for local ones.
    pub fn revision(&self, application: &str) -> Option<u64> {
        self.0["applications"][application]["charm-rev"].as_u64()
    }

    /// The applications at the other side of an endpoint. From 3.3 on each is a map.
    pub fn related(&self, application: &str, endpoint: &str) -> Vec<String> {
        let related = self.0["applications"][application]["relations"][endpoint].as_array();
        let name = |other: &Value| {
            other
                .as_str()
                .or(other["related-application"].as_str())
                .map(str::to_owned)
        };
        related.into_iter().flatten().filter_map(name).collect()
    }

    fn units(&self, application: &str) -> Vec<&Value> {
        let units = self.0["applications"][application]["units"].as_object();
        units.into_iter().flat_map(serde_json::Map::values).collect()
    }
}
