//! docs/site.svg, the picture of a site, is generated: its endpoints are those of metadata.yaml, the applications those of
//! bundle.yaml, and the objects those that the charm plans for iris with a canary.
//!
//! `UPDATE_DOCS=1 cargo test --test it picture`, or `just docs`, writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use seldon_model::labels::ObjectKind;
use serde_json::{Value, json};
use site::bundle::Bundle;

use super::fixture::{answering, rendered_with, site};
use super::reference::read;

const WIDTH: u32 = 900;
const HEIGHT: u32 = 606;

const IMAGE: &str = "sklearn-iris:0.3";
const CANARY_IMAGE: &str = "sklearn-iris:0.4";
const CANARY_WEIGHT: u8 = 10;

/// The picture has a background of its own, so it is readable on any page; its colours follow the reader's scheme.
const STYLE: &str = "
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2328}
.name{font-weight:600}
.note{fill:#57606a}
.code{font-family:ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',monospace}
.end{text-anchor:end}
.mid{text-anchor:middle}
rect{stroke:#d0d7de;fill:#fff}
.page{fill:#fff}
.site{fill:#f6f8fa}
.charm{fill:#fff4ec;stroke:#bc4c00}
.object{fill:#fff;stroke:#bc4c00}
.path{fill:#ecf5ff;stroke:#0969da}
.line{fill:none;stroke-width:2}
.config{stroke:#bc4c00}
.request{stroke:#0969da}
.relation{stroke:#57606a;stroke-width:1.5}
.watch{stroke:#57606a;stroke-dasharray:5 4}
.tip-config{fill:#bc4c00}
.tip-request{fill:#0969da}
.tip-relation,.tip-watch{fill:#57606a}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.note{fill:#9198a1}
rect{stroke:#3d444d;fill:#151b23}
.page{fill:#0d1117}
.site{fill:#151b23}
.charm{fill:#2b1d12;stroke:#f0883e}
.object{fill:#0d1117;stroke:#f0883e}
.path{fill:#0f233d;stroke:#4493f8}
.config{stroke:#f0883e}
.request{stroke:#4493f8}
.relation,.watch{stroke:#9198a1}
.tip-config{fill:#f0883e}
.tip-request{fill:#4493f8}
.tip-relation,.tip-watch{fill:#9198a1}
}
";

/// The application at the other end of each endpoint that bundle.yaml does not relate.
const RELATED: [(&str, &str); 4] = [
    ("gateway-metadata", "istio-ingress-k8s"),
    ("tracing", "Tempo"),
    ("metrics-endpoint", "Prometheus"),
    ("grafana-dashboard", "Grafana"),
];

/// An endpoint of the charm.
struct Endpoint {
    name: String,
    provided: bool,
    related: String,
}

fn endpoints() -> Vec<Endpoint> {
    let bundle: Bundle = serde_yaml::from_value(serde_yaml::Value::Mapping(read("bundle.yaml"))).unwrap();
    let metadata = read("metadata.yaml");
    let mut endpoints = Vec::new();
    for role in ["requires", "provides"] {
        for name in metadata[role].as_mapping().unwrap().keys() {
            let name = name.as_str().unwrap();
            let own = format!("iris:{name}");
            let relation = bundle.relations.iter().find(|relation| relation.contains(&own));
            let other = relation.map(|ends| ends.iter().find(|end| **end != own).unwrap());
            let related = other.map_or_else(
                || {
                    let related = RELATED.iter().find(|(endpoint, _)| *endpoint == name);
                    related
                        .unwrap_or_else(|| panic!("RELATED has no application for the endpoint {name}"))
                        .1
                },
                |other| other.split(':').next().unwrap(),
            );
            endpoints.push(Endpoint {
                name: name.to_owned(),
                provided: role == "provides",
                related: related.to_owned(),
            });
        }
    }
    endpoints
}

/// What the charm plans for iris and its canary.
struct Planned {
    model: Value,
    route: Value,
}

impl Planned {
    fn read() -> Self {
        let options = json!({
            "image": IMAGE,
            "canary": format!("{{image: '{CANARY_IMAGE}', weight: {CANARY_WEIGHT}}}"),
        });
        let mut object = rendered_with(&options, &site(), &answering(&["default", "canary"])).remove(0);
        Self {
            model: object["model"].take(),
            route: object["route"].take(),
        }
    }

    /// The route of HTTP requests, which comes after those of gRPC.
    fn http(&self) -> &Value {
        self.route["spec"]["http"].as_array().unwrap().last().unwrap()
    }

    fn prefix(&self) -> &str {
        self.http()["match"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|found| found["uri"]["prefix"].as_str())
            .unwrap()
    }

    /// Service, percentage and image of each version.
    fn versions(&self) -> Vec<(String, u64, &str)> {
        let shares = self.http()["route"].as_array().unwrap().iter();
        let predictors = self.model["spec"]["predictors"].as_array().unwrap().iter();
        let versions = shares.zip(predictors).map(|(share, predictor)| {
            let host = share["destination"]["host"].as_str().unwrap();
            let service = host.split('.').next().unwrap().to_owned();
            assert!(service.ends_with(predictor["name"].as_str().unwrap()));
            let image = &predictor["componentSpecs"][0]["spec"]["containers"][0]["image"];
            (service, share["weight"].as_u64().unwrap(), image.as_str().unwrap())
        });
        versions.collect()
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// Where an arrow points.
enum Tip {
    Left,
    Right,
    Up,
    Down,
}

struct Svg(String);

impl Svg {
    fn text(&mut self, class: &str, x: u32, y: u32, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(self.0, r#"<text class="{class}" x="{x}" y="{y}">{text}</text>"#).unwrap();
    }

    /// Lines of text. Indented ones begin further right, as not every viewer keeps leading blanks.
    fn lines(&mut self, class: &str, x: u32, y: u32, lines: &[&str]) {
        for (line, y) in lines.iter().zip((y..).step_by(19)) {
            let text = line.trim_start();
            let indent = u32::try_from(line.len() - text.len()).unwrap();
            self.text(class, x + indent * 8, y, text);
        }
    }

    fn rect(&mut self, class: &str, (x, y): (u32, u32), (width, height): (u32, u32)) {
        writeln!(
            self.0,
            r#"<rect class="{class}" x="{x}.5" y="{y}.5" width="{width}" height="{height}" rx="6"/>"#
        )
        .unwrap();
    }

    /// A rectangle with a name and a line below it, centred.
    fn labelled(&mut self, class: &str, (x, y): (u32, u32), (width, height): (u32, u32), name: &str, code: &str) {
        self.rect(class, (x, y), (width, height));
        let (middle, centre) = (x + width / 2, y + height / 2);
        self.text("name mid", middle, centre - 4, name);
        self.text("code mid", middle, centre + 15, code);
    }

    fn tip(&mut self, class: &str, (x, y): (u32, u32), tip: &Tip) {
        let corners = match tip {
            Tip::Left => "l9 -5v10z",
            Tip::Right => "l-9 -5v10z",
            Tip::Up => "l-5 9h10z",
            Tip::Down => "l-5 -9h10z",
        };
        writeln!(self.0, r#"<path class="tip-{class}" d="M{x} {y}{corners}"/>"#).unwrap();
    }

    fn line(&mut self, class: &str, path: &str) {
        writeln!(self.0, r#"<path class="line {class}" d="{path}"/>"#).unwrap();
    }

    /// An arrow that leads straight to its tip.
    fn arrow(&mut self, class: &str, from: (u32, u32), to: (u32, u32)) {
        let (tip, end) = match (to.0.cmp(&from.0), to.1.cmp(&from.1)) {
            (std::cmp::Ordering::Greater, _) => (Tip::Right, (to.0 - 8, to.1)),
            (std::cmp::Ordering::Less, _) => (Tip::Left, (to.0 + 8, to.1)),
            (_, std::cmp::Ordering::Greater) => (Tip::Down, (to.0, to.1 - 8)),
            _ => (Tip::Up, (to.0, to.1 + 8)),
        };
        self.line(class, &format!("M{} {}L{} {}", from.0, from.1, end.0, end.1));
        self.tip(class, to, &tip);
    }
}

/// The left edges of what is outside the site, the gateway's column, and the models' column.
const OUTSIDE: u32 = 16;
const GATEWAY: u32 = 308;
const MODELS: u32 = 546;
const PODS: u32 = 728;
/// The widths of these columns; the third is that of the pods.
const WIDTHS: [u32; 3] = [184, 154, 142];

fn picture() -> String {
    let planned = Planned::read();
    let mut svg = Svg(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc">
<title id="title">A site with the charm seldon-model</title>
<desc id="desc">{}</desc>
<style>{STYLE}</style>
"#,
        description(&planned)
    ));
    svg.rect("page", (0, 0), (WIDTH - 1, HEIGHT - 1));
    svg.rect("site", (290, 14), (596, HEIGHT - 29));
    svg.text("name", GATEWAY, 38, "MicroK8s");
    operator(&mut svg);
    charm(&mut svg);
    objects(&mut svg, &planned);
    models(&mut svg, &planned);
    client(&mut svg, planned.prefix());
    svg.0 + "</svg>\n"
}

fn description(planned: &Planned) -> String {
    let versions: Vec<String> = planned
        .versions()
        .iter()
        .map(|(service, share, image)| format!("{share} % to the Service {service} with the pods of {image}"))
        .collect();
    let endpoints: Vec<String> = endpoints()
        .iter()
        .map(|endpoint| format!("{} ({})", endpoint.name, endpoint.related))
        .collect();
    format!(
        "An operator sets options with juju config. The charm, in MicroK8s, applies the SeldonDeployment {} and the \
        VirtualService {}. From these Seldon Core creates Services and pods, and Istio configures its gateway. A client \
        sends requests for {} to the gateway, which passes {}. The charm watches the objects and the pods, and juju status \
        shows the result. The charm's endpoints: {}.",
        name(&planned.model),
        name(&planned.route),
        planned.prefix(),
        versions.join(" and "),
        endpoints.join(", ")
    )
}

fn operator(svg: &mut Svg) {
    svg.text("name", OUTSIDE, 38, "Operator");
    svg.rect("screen", (OUTSIDE, 52), (246, 142));
    svg.lines(
        "code",
        OUTSIDE + 12,
        77,
        &[
            "$ juju config iris canary='{",
            &format!("    image: {CANARY_IMAGE},"),
            &format!("    weight: {CANARY_WEIGHT}}}'"),
        ],
    );
    svg.lines(
        "code",
        OUTSIDE + 12,
        156,
        &["$ juju status", "iris  active  iris serves …"],
    );
    svg.arrow("config", (OUTSIDE + 247, 92), (GATEWAY, 92));
    svg.arrow("config", (GATEWAY, 161), (OUTSIDE + 247, 161));

    for (line, class, meaning) in [
        (262, "config", "configuration and status"),
        (288, "request", "requests and answers"),
        (314, "watch", "changes between hooks"),
        (340, "relation", "relations, each optional"),
    ] {
        svg.arrow(class, (OUTSIDE, line), (OUTSIDE + 40, line));
        svg.text("note", OUTSIDE + 52, line + 5, meaning);
    }
}

/// The charm, with its endpoints at its right edge.
fn charm(svg: &mut Svg) {
    let metadata = read("metadata.yaml");
    let edge = 664;
    svg.rect("charm", (GATEWAY, 52), (edge - GATEWAY, 190));
    svg.text("name", GATEWAY + 14, 76, metadata["name"].as_str().unwrap());
    svg.text("note end", edge - 14, 76, "endpoints");
    svg.text("note", edge + 40, 76, "related applications");
    for (y, part, does) in [
        (92, "hook", "reconciles, sets status"),
        (164, "watcher", "triggers a hook"),
    ] {
        svg.rect("screen", (GATEWAY + 14, y), (178, 60));
        svg.text("name", GATEWAY + 26, y + 25, part);
        svg.text("note", GATEWAY + 26, y + 45, does);
    }
    for (endpoint, y) in endpoints().iter().zip((100..).step_by(22)) {
        svg.text("code end", edge - 14, y + 4, &endpoint.name);
        let ends = [(edge, y), (edge + 34, y)];
        let [from, to] = if endpoint.provided { ends } else { [ends[1], ends[0]] };
        svg.arrow("relation", from, to);
        svg.text("", edge + 40, y + 4, &endpoint.related);
    }
}

/// What the charm applies, and what acts on it.
fn objects(svg: &mut Svg, planned: &Planned) {
    let columns = [
        (
            GATEWAY,
            WIDTHS[0],
            ObjectKind::VirtualService,
            &planned.route,
            "Istio",
            "configures",
        ),
        (
            MODELS,
            WIDTHS[1],
            ObjectKind::SeldonDeployment,
            &planned.model,
            "Seldon Core",
            "creates",
        ),
    ];
    for (left, width, kind, object, controller, does) in columns {
        let middle = left + width / 2;
        svg.arrow("config", (middle, 243), (middle, 278));
        svg.text("note", middle + 10, 265, "applies");
        svg.labelled("object", (left, 278), (width, 48), kind.as_str(), name(object));
        svg.arrow("config", (middle, 327), (middle, 354));
        svg.rect("", (left, 354), (width, 36));
        svg.text("name mid", middle, 377, controller);
        svg.arrow("config", (middle, 391), (middle, 430));
        svg.text("note", middle + 10, 414, does);
    }
}

/// From the gateway to the pods.
fn models(svg: &mut Svg, planned: &Planned) {
    svg.rect("path", (GATEWAY, 430), (WIDTHS[0], 142));
    svg.text("name", GATEWAY + 14, 455, "Istio's gateway");
    svg.text("note", GATEWAY + 14, 474, "one address, one port");
    svg.text("code", GATEWAY + 14, 505, planned.prefix());
    svg.text("note", GATEWAY + 14, 536, "and every other model");
    svg.text("note", GATEWAY + 14, 555, "of the site");

    let gateway_edge = GATEWAY + WIDTHS[0];
    let service_edge = MODELS + WIDTHS[1];
    for ((service, share, image), top) in planned.versions().iter().zip((430..).step_by(82)) {
        let centre = top + 30;
        svg.arrow("request", (gateway_edge + 1, centre), (MODELS, centre));
        svg.text(
            "note mid",
            u32::midpoint(gateway_edge, MODELS) - 3,
            centre - 8,
            &format!("{share} %"),
        );
        svg.labelled("path", (MODELS, top), (WIDTHS[1], 60), "Service", service);
        svg.arrow("request", (service_edge + 1, centre), (PODS, centre));
        svg.labelled("path", (PODS, top), (WIDTHS[2], 60), "Pods", image);
    }
    svg.line("watch", &format!("M{} 429V229H673", PODS + 22));
    svg.tip("watch", (665, 229), &Tip::Left);
    svg.lines("note", PODS + 32, 320, &["watches pods,", "objects and", "gateways"]);
}

fn client(svg: &mut Svg, prefix: &str) {
    svg.text("name", OUTSIDE, 440, "Client");
    svg.rect("screen", (OUTSIDE, 450), (246, 80));
    svg.lines(
        "code",
        OUTSIDE + 12,
        475,
        &[
            "$ curl -d '{\"data\": …}' \\",
            &format!("  <node>:<port>{prefix}…"),
            "{\"data\": {\"names\": …}}",
        ],
    );
    svg.arrow("request", (OUTSIDE + 247, 478), (GATEWAY, 478));
    svg.arrow("request", (GATEWAY, 506), (OUTSIDE + 247, 506));
}

#[test]
fn picture_matches_metadata_bundle_and_plan() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/site.svg");
    let picture = picture();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == picture, "docs/site.svg is not what `just docs` generates");
}
