//! The paths of a model's protocol, below the model's prefix (`SeldonIO/seldon-core` v1.17.1,
//! `executor/api/rest/server.go`).

use serde::Deserialize as _;
use serde_json::Value;

use crate::api::seldon::manifest::{ManifestPredictor, ManifestSpec};
use crate::config::manifest;

pub struct InferenceProtocol {
    protocol: WireProtocol,
    /// The node that the path has to name.
    node: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WireProtocol {
    Seldon,
    V2,
    Tensorflow,
}

impl InferenceProtocol {
    /// Reads a predictor of a SeldonDeployment, the first by default.
    pub fn read(deployment: &Value, predictor: Option<&str>) -> Self {
        let spec = deployment.get("spec").cloned().unwrap_or_default();
        let read = ManifestSpec::deserialize(&spec).unwrap_or_default();
        let predictors = spec.get("predictors").and_then(Value::as_array).into_iter().flatten();
        let mut predictors = predictors.filter_map(manifest::predictor);
        let is_selected = |read: &ManifestPredictor| predictor.is_none_or(|name| read.name == name);
        let graph = predictors.find(is_selected).map(|read| read.graph).unwrap_or_default();
        Self {
            protocol: match read.protocol.as_str() {
                "v2" | "kfserving" => WireProtocol::V2,
                "tensorflow" => WireProtocol::Tensorflow,
                _ => WireProtocol::Seldon,
            },
            // A name in the path replaces the names of all nodes, so a graph of several is requested without one.
            node: graph.children.is_empty().then_some(graph.name),
        }
    }

    pub fn predictions(&self) -> String {
        match (self.protocol, &self.node) {
            (WireProtocol::Seldon, _) => "api/v1.0/predictions".to_owned(),
            (WireProtocol::V2, Some(node)) => format!("v2/models/{node}/infer"),
            (WireProtocol::V2, None) => "v2/models/infer".to_owned(),
            (WireProtocol::Tensorflow, Some(node)) => format!("v1/models/{node}:predict"),
            (WireProtocol::Tensorflow, None) => "v1/models/:predict".to_owned(),
        }
    }

    /// With other protocols than seldon the executor has no such path, or accepts it and does not forward the feedback
    /// (`executor/api/rest/client.go`, `Feedback`).
    pub fn feedback(&self) -> Result<&'static str, &'static str> {
        match self.protocol {
            WireProtocol::Seldon => Ok("api/v1.0/feedback"),
            WireProtocol::V2 => Err("v2"),
            WireProtocol::Tensorflow => Err("tensorflow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_protocol_has_its_path() {
        let single = json!({"name": "m"});
        let several = json!({"name": "t", "children": [{"name": "m"}]});
        for (written, graph, path, takes_feedback) in [
            ("", &single, "api/v1.0/predictions", true),
            ("seldon", &several, "api/v1.0/predictions", true),
            ("v2", &single, "v2/models/m/infer", false),
            ("kfserving", &several, "v2/models/infer", false),
            ("tensorflow", &single, "v1/models/m:predict", false),
            ("tensorflow", &several, "v1/models/:predict", false),
        ] {
            let object = json!({"spec": {"protocol": written, "predictors": [{"name": "default", "graph": graph}]}});
            let protocol = InferenceProtocol::read(&object, None);
            assert_eq!(protocol.predictions(), path, "{written}");
            assert_eq!(protocol.feedback().is_ok(), takes_feedback, "{written}");
        }
    }

    #[test]
    fn each_predictor_has_its_own_graph() {
        let object = json!({"spec": {"protocol": "v2", "predictors": [
            {"name": "a", "graph": {"name": "one"}}, {"name": "b", "graph": {"name": "two"}},
        ]}});
        assert_eq!(
            InferenceProtocol::read(&object, Some("b")).predictions(),
            "v2/models/two/infer"
        );
        assert_eq!(
            InferenceProtocol::read(&object, None).predictions(),
            "v2/models/one/infer"
        );
    }
}
