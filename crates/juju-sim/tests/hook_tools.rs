//! The hook tools do what Juju's do.
//!
//! Cases read out of Juju's source and tests are data that is not part of this repository. Where they are, every case of
//! every tool runs: `SELDON_MODEL_TRANSCRIPTS` names their directory. Without them, that is said, and the cases here run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use juju_sim::hooktool::{self, ActionView, Binding, Context, Interface, Node, Output, RelationView};
use juju_sim::juju::{Life, Secret, Status};
use serde_json::{Map, Value, json};

#[test]
fn our_own_cases_hold() {
    let cases: Value = serde_yaml::from_str(include_str!("hook_tools.yaml")).unwrap();
    let mut ran = 0;
    for case in cases.as_array().unwrap() {
        run_case(case).unwrap_or_else(|why| panic!("{}: {why}", case["id"]));
        ran += 1;
    }
    progress(&format!("own cases: {ran}"));
}

#[test]
fn juju_transcripts_hold() {
    let Some(directory) = transcripts() else {
        progress(
            "skipped: 1 test, of all Juju transcripts: their directory is absent; name it in SELDON_MODEL_TRANSCRIPTS",
        );
        return;
    };
    let mut faults = Vec::new();
    let mut absent: BTreeMap<String, usize> = BTreeMap::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    let mut total = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let transcript: Value = serde_yaml::from_str(&text).unwrap();
        let tool = transcript["tool"].as_str().unwrap();
        let cases = transcript["cases"].as_array().unwrap();
        if !hooktool::is_tool(tool) {
            absent.insert(tool.to_owned(), cases.len());
            continue;
        }
        let before = faults.len();
        for case in cases {
            if let Err(why) = run_case(case) {
                faults.push(format!("{}: {why}", case["id"].as_str().unwrap()));
            }
        }
        total += cases.len();
        progress(&format!(
            "{tool}: {}/{}",
            cases.len() - (faults.len() - before),
            cases.len()
        ));
    }
    progress(&format!("cases run: {total}"));
    progress(&format!(
        "skipped: {} case(s) of tools that are not played {:?}",
        absent.values().sum::<usize>(),
        absent.keys().collect::<Vec<_>>()
    ));
    assert!(
        faults.is_empty(),
        "{} case(s) failed:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Past the capture of test output: what was run and what was not is to be seen without asking.
fn progress(line: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn transcripts() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/juju-transcripts");
    match std::env::var_os("SELDON_MODEL_TRANSCRIPTS") {
        Some(named) => {
            let named = PathBuf::from(named);
            assert!(
                named.is_dir(),
                "SELDON_MODEL_TRANSCRIPTS names {}, which is no directory",
                named.display()
            );
            Some(named)
        }
        None => beside.is_dir().then_some(beside),
    }
}

/// One case, in every Juju version it speaks of.
fn run_case(case: &Value) -> Result<(), String> {
    let series = case["juju"].as_array().unwrap();
    for series in series {
        let version = match series.as_str().unwrap() {
            "2.9-early" => "2.9.0",
            "2.9" | "2.8-2.9" => "2.9.42",
            "3.0" => "3.0.3",
            "3.x" => "3.6.2",
            "4.0-dev" => "4.0-beta1",
            "4.0" => "4.0.0",
            other => return Err(format!("unknown series {other:?}")),
        };
        let scratch = juju_sim::agent::Scratch::new("tools").unwrap();
        let mut context = context(&case["given"], version, scratch.path());
        let output = simulate(case, &mut context);
        check(case, &mut context, &output, scratch.path()).map_err(|why| format!("(Juju {version}) {why}"))?;
    }
    Ok(())
}

fn simulate(case: &Value, context: &mut Context) -> Output {
    let argv: Vec<String> = case["argv"].as_array().unwrap().iter().map(text).collect();
    if case["given"]["became_leader_during_hook"] == json!(true) {
        hooktool::run(context, &argv, None);
        context.leader = true;
    }
    let first = hooktool::run(context, &argv, None);
    if !first.reads_stdin {
        return first;
    }
    let stdin = case["stdin"].as_str().expect("the tool asked for standard input");
    hooktool::run(context, &argv, Some(unfold(stdin).as_bytes()))
}

/// `@repeat:T` is T with `x*N` written out.
fn unfold(stdin: &str) -> String {
    let Some(folded) = stdin.strip_prefix("@repeat:") else {
        return stdin.to_owned();
    };
    let star = folded.find('*').unwrap();
    let digits: String = folded[star + 1..].chars().take_while(char::is_ascii_digit).collect();
    let run = folded[star - 1..star].repeat(digits.parse().unwrap());
    format!("{}{run}{}", &folded[..star - 1], &folded[star + 1 + digits.len()..])
}

fn check(case: &Value, context: &mut Context, output: &Output, cwd: &Path) -> Result<(), String> {
    let same = |what: &str, got: &str, want: &str| {
        if got == want {
            Ok(())
        } else {
            Err(format!("{what} is {got:?}, not {want:?}"))
        }
    };
    same("exit", &output.exit.to_string(), &case["exit"].to_string())?;
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let want = text(&case["stdout"]);
    match case["stdout_match"].as_str().unwrap_or("exact") {
        "exact" => same("stdout", &stdout, &want)?,
        "yaml" => {
            let read = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
            if read(&stdout) != read(&want) {
                return Err(format!("stdout is {stdout:?}, not as yaml {want:?}"));
            }
        }
        // The one expression there is: an id of 20 characters.
        "regex" if want == "^secret:[0-9a-v]{20}\\n$" => {
            let id = stdout
                .strip_prefix("secret:")
                .and_then(|rest| rest.strip_suffix('\n'))
                .unwrap_or_default();
            if id.len() != 20 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v')) {
                return Err(format!("stdout is {stdout:?}, no secret id"));
            }
        }
        other => return Err(format!("this test cannot match stdout by {other:?} {want:?}")),
    }
    let want = text(&case["stderr"]);
    match case["stderr_match"].as_str().unwrap_or("exact") {
        "exact" => same("stderr", &output.stderr, &want)?,
        "last_line" => same(
            "the last line of stderr",
            output.stderr.lines().last().unwrap_or_default(),
            want.trim_end_matches('\n'),
        )?,
        "contains" if !output.stderr.contains(&want) => {
            return Err(format!("stderr is {:?}, without {want:?}", output.stderr));
        }
        "contains" | "any" => {}
        other => return Err(format!("unknown stderr_match {other:?}")),
    }
    let files: BTreeMap<String, String> = output
        .files
        .iter()
        .map(|(path, content)| (path.display().to_string(), String::from_utf8(content.clone()).unwrap()))
        .collect();
    let want = if case["writes_files"].is_null() {
        json!({})
    } else {
        case["writes_files"].clone()
    };
    same("what is written to files", &json!(files).to_string(), &want.to_string())?;
    let left: Vec<_> = std::fs::read_dir(cwd).unwrap().collect();
    assert!(left.is_empty(), "a tool writes no file itself");
    check_then(
        &case["then"],
        case["given"]["hook_exit"].as_i64().unwrap_or(0) == 0,
        context,
    )
}

fn check_then(then: &Value, success: bool, context: &mut Context) -> Result<(), String> {
    let Some(then) = then.as_object() else { return Ok(()) };
    context.finish(success);
    for (key, want) in then {
        let action = context.action.clone().unwrap_or_default();
        let status = |status: &Status| json!({"status": status.status, "message": status.message});
        let got = match key.as_str() {
            "action_failed" => json!(action.failed.is_some()),
            "action_message" => json!(action.failed),
            "action_log" => json!(action.log),
            "action_results" => Value::Object(action.results),
            "workload_version" => json!(context.workload_version),
            "opened_after_commit" => json!(context.ports),
            "state_after_commit" => json!(context.state),
            "unit_status" => status(&context.unit_status),
            "application_status" => status(context.application_status.as_ref().unwrap()),
            "leader_settings" => json!(context.leader_settings),
            "logged" => context
                .log
                .iter()
                .map(|line| json!({"module": line.module, "level": line.level, "message": line.message}))
                .collect(),
            "relation_data_after_commit" => relation_data(want, context),
            "granted" => json!({
                "application": context.secrets.values().next().unwrap().granted[0],
                "relation": context.relation.unwrap(),
            }),
            other => return Err(format!("this test cannot look at {other:?}")),
        };
        if &got != want {
            return Err(format!("{key} is {got}, not {want}"));
        }
    }
    Ok(())
}

/// Of the bags, those that are asked for.
fn relation_data(want: &Value, context: &Context) -> Value {
    let mut all = Map::new();
    for (key, bags) in want.as_object().unwrap() {
        let id: u32 = key.rsplit(':').next().unwrap().parse().unwrap();
        let relation = &context.relations[&id];
        let bags = bags.as_object().unwrap().keys();
        let got = bags.map(|owner| {
            (
                owner.clone(),
                json!(relation.bags.get(owner).cloned().unwrap_or_default()),
            )
        });
        all.insert(key.clone(), Value::Object(got.collect()));
    }
    Value::Object(all)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn status(value: &Value) -> Status {
    Status {
        data: strings(&value["data"]),
        ..Status::new(&text(&value["status"]), &text(&value["message"]))
    }
}

/// The world a case begins in.
fn context(given: &Value, version: &str, cwd: &Path) -> Context {
    let unit = given["unit"].as_str().unwrap_or("u/0").to_owned();
    let optional = |value: &Value| value.as_str().map(str::to_owned);
    let filled = |value: &Value| optional(value).filter(|text| !text.is_empty());
    let mut context = Context {
        version: version.parse().unwrap(),
        cwd: cwd.to_owned(),
        leader: given["leader"] == json!(true),
        leader_error: optional(&given["leader_error"]),
        remote_unit: filled(&given["hook"]["remote_unit"]),
        remote_app: filled(&given["hook"]["remote_app"]),
        relation: given["hook"]["relation"]
            .as_str()
            .map(|key| key.rsplit(':').next().unwrap().parse().unwrap()),
        action: given["action"].as_object().map(|action| ActionView {
            params: action.get("params").cloned().unwrap_or_default(),
            ..ActionView::default()
        }),
        state: strings(&given["state"]),
        leader_settings: strings(&given["leader_settings"]),
        leader_settings_error: optional(&given["leader_settings_error"]),
        resources: strings(&given["resources"]),
        resource_error: optional(&given["resource_error"]),
        api_error: optional(&given["api_error"]),
        private_address: text(&given["private_address"]),
        public_address: text(&given["public_address"]),
        ports: texts(&given["opened"]).into_iter().collect(),
        unit,
        ..Context::default()
    };
    for name in texts(&given["config"]["declared"]) {
        context.config.insert(name, Value::Null);
    }
    for (name, value) in given["config"]["values"].as_object().into_iter().flatten() {
        context.config.insert(name.clone(), value.clone());
    }
    for relation in given["relations"].as_array().into_iter().flatten() {
        let id = u32::try_from(relation["id"].as_u64().unwrap()).unwrap();
        context.relations.insert(id, relation_view(relation, &context));
    }
    // Some cases name the hook's relation and nothing else of it.
    if let Some((endpoint, id)) = given["hook"]["relation"].as_str().and_then(|key| key.split_once(':')) {
        let view = context.relations.entry(id.parse().unwrap()).or_default();
        endpoint.clone_into(&mut view.endpoint);
    }
    for (id, bags) in given["pending_relation_set"].as_object().into_iter().flatten() {
        for (owner, pairs) in bags.as_object().unwrap() {
            let key = (id.parse().unwrap(), owner.clone());
            context.pending.relations.insert(key, strings(pairs));
        }
    }
    if !given["unit_status"].is_null() {
        context.unit_status = status(&given["unit_status"]);
    }
    if !given["application_status"].is_null() {
        context.application_status = Some(status(&given["application_status"]));
    }
    for (unit, value) in given["units_status"].as_object().into_iter().flatten() {
        context.units_status.insert(unit.clone(), status(value));
    }
    for (id, value) in given["secrets"].as_object().into_iter().flatten() {
        context.secrets.insert(id.clone(), secret(value));
    }
    for (name, value) in given["bindings"].as_object().into_iter().flatten() {
        context.bindings.insert(name.clone(), binding(value));
    }
    let goal = &given["goal_state"];
    let since = |value: &Value| {
        Node::map([
            ("status", Node::text(text(&value["status"]))),
            ("since", Node::text(text(&value["since"]))),
        ])
    };
    let entries = |value: &Value| -> Vec<(String, Node)> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), since(value)))
            .collect()
    };
    let relations = goal["relations"].as_object().into_iter().flatten();
    context.goal_state = Node::map([
        ("units", Node::map(entries(&goal["units"]))),
        (
            "relations",
            Node::map(relations.map(|(name, value)| (name.clone(), Node::map(entries(value))))),
        ),
    ]);
    context
}

fn relation_view(given: &Value, context: &Context) -> RelationView {
    let remote_app = text(&given["remote_app"]);
    let bags = given["data"].as_object().into_iter().flatten();
    RelationView {
        endpoint: text(&given["endpoint"]),
        peer: remote_app == context.application(),
        remote_app,
        units: texts(&given["units"]).into_iter().collect::<BTreeSet<_>>(),
        forced: false,
        life: match given["life"].as_str() {
            Some("dying") => Life::Dying,
            Some("dead") => Life::Dead,
            _ => Life::Alive,
        },
        remote_model_uuid: text(&given["remote_model_uuid"]),
        bags: bags.map(|(owner, bag)| (owner.clone(), strings(bag))).collect(),
    }
}

fn secret(given: &Value) -> Secret {
    Secret {
        label: text(&given["label"]),
        owner: text(&given["owner"]),
        description: text(&given["description"]),
        rotation: text(&given["rotation"]),
        revision: given["revision"].as_u64().unwrap_or(1),
        content: strings(&given["content"]),
        granted: Vec::new(),
    }
}

fn binding(given: &Value) -> Binding {
    let interface = |given: &Value| Interface {
        mac: text(&given["mac"]),
        name: text(&given["name"]),
        addresses: given["addresses"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|address| (text(&address["value"]), text(&address["cidr"])))
            .collect(),
    };
    Binding {
        interfaces: given["interfaces"]
            .as_array()
            .into_iter()
            .flatten()
            .map(interface)
            .collect(),
        ingress: texts(&given["ingress"]),
        egress: texts(&given["egress"]),
    }
}
