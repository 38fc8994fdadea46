//! The dashboard.
//!
//! It is the same for every application: its variables choose among them. `dashboard.json` is what a person edits. The interface
//! wants it as base64 of xz, which lies beside it, so that the charm need not compress anything; a test holds the two together.

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::{Bag, CHARM};

/// The dashboard as Grafana reads it.
pub const JSON: &str = include_str!("dashboard.json");
/// The same as base64 of xz, in lines.
pub const ENCODED: &str = include_str!("dashboard.xz.base64");
/// What it is called among those of a relation.
const NAME: &str = "file:seldon-models";

/// What the bag of a `grafana_dashboard` relation is to say.
#[must_use]
pub fn bag() -> Bag {
    let content: String = ENCODED.split_whitespace().collect();
    // It only has to change with the rest.
    let digest = digest(&SHA256, content.as_bytes());
    let id = digest.as_ref().iter().take(16);
    let id = id.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let dashboards = json!({
        "templates": {NAME: {
            "charm": CHARM,
            "content": content,
            // It has dropdowns of its own: Canonical's would ask for a Juju unit, and a model's pod is none.
            "inject_dropdowns": false,
            "juju_topology": {},
        }},
        "uuid": id,
    });
    [("dashboards", dashboards.to_string())].into()
}
