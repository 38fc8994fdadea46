//! `diagnose`: one report of all that a request to a model meets, and the first link that is broken.

mod report;

use std::collections::BTreeMap;

use super::{Call, Failure, Results, lines_that_fit, refused};
use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::changes::is_planned;
use crate::config::value::GatewayName;
use crate::entrance::{Entrance, Service};
use crate::judge::chain::{Around, Link, broken, chain};
use crate::judge::{self, Case};
use crate::look::{Look, unseen};
use crate::observed::claim;
use crate::permissions::{OPTIONAL, Permission, rights, watches};
use crate::plan::PlannedModel;
use crate::secrets;

/// What a model is said to be broken at, where nothing is.
const NOTHING: &str = "nothing";

/// One model: what it is broken at, and why.
struct Finding {
    model: String,
    broken: &'static str,
    why: String,
    links: Vec<Link>,
    rivals: Vec<String>,
}

impl Finding {
    /// Of which nothing else was looked at.
    fn early(model: &str, broken: &'static str, why: String) -> Self {
        Self {
            model: model.to_owned(),
            broken,
            why,
            links: Vec::new(),
            rivals: Vec::new(),
        }
    }
}

/// What the service account lacks, by what it is for; or why that is not known.
type Missing = Result<Vec<(&'static str, Vec<Permission>)>, ApiError>;

pub async fn run(call: &Call<'_>) -> Result<Results, Failure> {
    let mut asked = Asked::read(call.tools, call.invocation, call.identity)?;
    asked.read_seldon_relation(call.tools, call.invocation)?;
    let (verdict, mut findings, missing) = match secrets::look_now(call.tools, call.invocation, &mut asked).await? {
        Ok(mut look) => {
            look.deeper().await;
            let around = Seen::find(&look).await;
            let verdict = look.verdict(&asked, &BTreeMap::new(), false);
            (verdict, found(&look, &asked, &around), missing(&look, &asked).await)
        }
        Err(refusal) => {
            let verdict = unseen(&asked, &refusal);
            (verdict, unlooked(call, &asked, &refusal), Err(refusal))
        }
    };
    findings.extend(held(&asked));
    findings.sort_by(|one, other| one.model.cmp(&other.model));
    let text = report::report(call, &asked, &verdict, &findings, &missing);
    let mut results = Results::new();
    for found in &findings {
        results.push((format!("{}.broken", found.model), found.broken.to_owned()));
        if !found.why.is_empty() {
            results.push((format!("{}.why", found.model), found.why.clone()));
        }
    }
    // A model may be called so; it is in the report in any case.
    results.retain(|(key, _)| !key.starts_with("status.") && !key.starts_with("report."));
    let status = format!("{}: {}", verdict.status.state.word(), verdict.status.message);
    let instead = "list-models has a line for each model";
    results.extend([
        ("status".to_owned(), status),
        ("report".to_owned(), lines_that_fit(&text, instead)),
    ]);
    Ok(results)
}

/// What was looked for beside what a hook looks at.
struct Seen {
    entrances: BTreeMap<GatewayName, Entrance>,
    services: Option<Vec<Service>>,
}

impl Seen {
    async fn find(look: &Look) -> Self {
        let mut entrances = BTreeMap::new();
        for (gateway, listeners) in &look.observed.gateways {
            entrances.insert(gateway.clone(), look.cluster.entrance(gateway, listeners).await);
        }
        Self {
            entrances,
            services: look.cluster.services().await.ok(),
        }
    }
}

fn found(look: &Look, asked: &Asked, seen: &Seen) -> Vec<Finding> {
    let refused = BTreeMap::new();
    let case = Case {
        application: &look.identity.application,
        namespace: &look.identity.namespace,
        manager: &look.identity.manager(),
        faults: &asked.config.faults,
        gateway: &asked.gateway,
        plan: &look.plan,
        observed: &look.observed,
        changes: &look.changes,
        refused: &refused,
        wrote: false,
    };
    let of_model = |planned: &PlannedModel| {
        let gateway = planned.gateway.as_ref();
        let around = Around {
            entrance: gateway.and_then(|gateway| seen.entrances.get(gateway)),
            services: seen.services.as_deref(),
        };
        let links = chain(&case, planned, around);
        let first = broken(&links);
        Finding {
            model: planned.model.name.clone(),
            broken: first.map_or(NOTHING, |link| link.name),
            why: first.map(|link| link.text.clone()).unwrap_or_default(),
            rivals: rivals(look, planned),
            links,
        }
    };
    look.plan.models.iter().map(of_model).collect()
}

/// Models whose options are faulty.
fn held(asked: &Asked) -> impl Iterator<Item = Finding> {
    asked.config.held.iter().map(|model| {
        let mut faults = asked.config.faults.iter();
        let of_it = faults.find(|fault| fault.model.as_ref().is_none_or(|of| of == model));
        Finding::early(model, "options", of_it.map(ToString::to_string).unwrap_or_default())
    })
}

/// Where the cluster could not be looked at, all models are broken at the same.
fn unlooked(call: &Call, asked: &Asked, refusal: &ApiError) -> Vec<Finding> {
    let mut why = refused(call, refusal);
    let broken = match refusal {
        ApiError::CrdMissing { kind } if kind.starts_with("Seldon") => {
            if asked.seldon_is_related() {
                why = judge::seldon_is_coming().1;
            }
            "seldon-core"
        }
        ApiError::CrdMissing { .. } => "istio",
        ApiError::Forbidden { .. } => "rights",
        _ => "kubernetes",
    };
    let models = asked.config.models.iter();
    models
        .map(|model| Finding::early(&model.name, broken, why.clone()))
        .collect()
}

/// Other routes on the same gateway that want some of the model's requests, or all that nobody else wants.
fn rivals(look: &Look, planned: &PlannedModel) -> Vec<String> {
    let Some(gateway) = &planned.gateway else {
        return Vec::new();
    };
    let (hosts, prefix) = (&planned.model.hosts, &planned.model.prefix);
    let others = look.observed.virtual_services.iter();
    let others = others.filter(|object| !is_planned(object, &look.plan, &look.identity));
    let others = others.map(claim);
    others
        .filter_map(|claim| {
            let what = if claim.overlaps(gateway, hosts, prefix) {
                format!("wants requests of {prefix}")
            } else if claim.takes_everything(gateway, hosts) {
                "takes every path that nobody else wants".to_owned()
            } else {
                return None;
            };
            Some(format!("VirtualService {}/{} {what}", claim.namespace, claim.name))
        })
        .collect()
}

async fn missing(look: &Look, asked: &Asked) -> Missing {
    let mut missing = vec![("needed", look.cluster.missing(rights(asked.needs())).await?)];
    if asked.is_watched() {
        let lacks = look.cluster.missing(watches(asked.needs())).await?;
        missing.push(("to look as soon as something changes", lacks));
    }
    let lacks = look.cluster.missing(OPTIONAL.into_iter()).await?;
    missing.push(("for this report and for endpoints and predict", lacks));
    Ok(missing)
}
