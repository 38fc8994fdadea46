//! `juju refresh` from the previous version leaves its objects unchanged. It only adds to each route the rule that shows the
//! route's revision.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::fixture::Live;
use crate::support::kinds::{deployment, vs};
use crate::support::{previous, status};

impl Live {
    /// The specs of SeldonDeployments and routes: a change would roll pods or redirect requests.
    fn specs(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for resource in [crate::support::kinds::sdep(), vs()] {
            let list = self
                .wait(self.api(&resource).list(&kube::api::ListParams::default()))
                .unwrap();
            all.extend(
                list.into_iter()
                    .map(|object| without_revision(object.data["spec"].clone())),
            );
        }
        all
    }

    fn uids(&self) -> Vec<String> {
        let list = self
            .wait(self.api(&deployment()).list(&kube::api::ListParams::default()))
            .unwrap();
        list.into_iter().map(|object| object.metadata.uid.unwrap()).collect()
    }
}

/// The example with an option that the previous version does not have.
const NEWER: &str = "access.yaml";

/// The previous version writes no rule that shows a route's revision.
fn without_revision(mut spec: Value) -> Value {
    if let Some(rules) = spec.get_mut("http").and_then(Value::as_array_mut) {
        rules.retain(|rule| !rule.to_string().contains("x-seldon-model-revision"));
    }
    spec
}

#[test]
fn refresh_changes_no_object_of_any_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
    let mut live = Live::new("refreshed");
    let new = live.agent.dispatch.clone();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.ends_with(NEWER) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        live.agent.dispatch = previous::dispatch().to_owned();
        live.config(&[("image", ""), ("models", &text)]);
        let says = live.serves();
        let says = if says.starts_with("waiting") { live.says() } else { says };
        assert!(says.starts_with("active: "), "{}: {says}", file.display());
        let (specs, uids) = (live.specs(), live.uids());
        live.agent.dispatch.clone_from(&new);
        for hook in ["upgrade-charm", "config-changed", "start"] {
            let run = live.hook(hook);
            assert!(
                status(&run).starts_with("active: "),
                "{}: {}",
                file.display(),
                status(&run)
            );
            assert_eq!(live.specs(), specs, "{} in {hook}", file.display());
            assert_eq!(live.uids(), uids, "{} in {hook}", file.display());
        }
        let before = live.versions();
        live.hook("update-status");
        assert_eq!(live.versions(), before, "{}: and then it is quiet", file.display());
    }
}
