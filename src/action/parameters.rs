//! The parameters of an action, as `actions.yaml` declares them. Juju has looked at their types already; who runs an action otherwise
//! is told so too.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// The parameters that were given, and those that Juju filled in.
pub struct Parameters(Map<String, Value>);

impl Parameters {
    pub fn new(given: Map<String, Value>) -> Self {
        Self(given)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = read(value);
        found.map(Some).ok_or_else(|| format!("{name} must be {kind}"))
    }

    /// A text; an empty one says nothing.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let text = self.read(name, "text", Value::as_str)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// True or false; false where it was not said.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        Ok(self.read(name, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, String> {
        self.read(name, "a number", Value::as_f64)
    }

    /// A whole number within a range.
    pub fn whole(&self, name: &str, range: &RangeInclusive<u32>) -> Result<Option<u32>, String> {
        let kind = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(name, &kind, |value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// A map.
    pub fn map(&self, name: &str) -> Result<Option<&Map<String, Value>>, String> {
        self.read(name, "a map, in YAML or JSON", Value::as_object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters(given: &Value) -> Parameters {
        Parameters::new(given.as_object().unwrap().clone())
    }

    #[test]
    fn what_is_not_of_its_form_is_named_with_its_rule() {
        let wrong = parameters(&json!({"model": 1, "direct": "yes", "timeout": 61, "data": "x", "reward": "1"}));
        assert_eq!(wrong.text("model"), Err("model must be text".to_owned()));
        assert_eq!(wrong.flag("direct"), Err("direct must be true or false".to_owned()));
        assert_eq!(
            wrong.whole("timeout", &(1..=60)),
            Err("timeout must be a whole number from 1 to 60".to_owned())
        );
        assert_eq!(wrong.number("reward"), Err("reward must be a number".to_owned()));
        assert_eq!(wrong.map("data"), Err("data must be a map, in YAML or JSON".to_owned()));
    }

    #[test]
    fn what_was_not_given_says_nothing() {
        let none = parameters(&json!({"model": "", "timeout": null}));
        assert_eq!(none.text("model"), Ok(None));
        assert_eq!(none.flag("direct"), Ok(false));
        assert_eq!(none.whole("timeout", &(1..=60)), Ok(None));
        assert_eq!(none.number("reward"), Ok(None));
        assert_eq!(none.map("data"), Ok(None));
    }
}
