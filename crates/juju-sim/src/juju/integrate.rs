//! `juju integrate` and `juju remove-relation` on the world.

use anyhow::{Context as _, Result, bail, ensure};

use super::relation::{Life, PROXY, Relation, Side};
use super::{Charm, World};

impl World {
    /// Relates two endpoints, each written `application:endpoint` or, where that leaves no choice, `application`.
    /// The unit bags get what Juju itself writes there.
    ///
    /// # Errors
    /// An application or endpoint that is not there, interfaces that do not match, a relation that exists, or a choice
    /// that the command must make.
    pub fn integrate(&mut self, first: &str, second: &str) -> Result<u32> {
        let pair = self.infer(first, second)?;
        let [(one, interface), (two, _)] = pair;
        let exists = self.relations.values().any(|relation| {
            let [a, b] = &relation.sides;
            (a == &one && b == &two) || (a == &two && b == &one)
        });
        ensure!(
            !exists,
            "relation {}:{} {}:{} already exists",
            one.application,
            one.endpoint,
            two.application,
            two.endpoint
        );
        Ok(self.insert_relation(&[one, two], interface))
    }

    /// What comes of it that an application of another model is related to an offer of an endpoint, written `application:endpoint`:
    /// `juju offer` here, `juju integrate` there. Its application bag is written by [`World::write_bag`] for [`World::consumer`].
    ///
    /// # Errors
    /// An application or endpoint that is not there.
    pub fn integrate_offer(&mut self, offered: &str) -> Result<u32> {
        let all = self.candidates(offered, false)?;
        let one = all
            .into_iter()
            .next()
            .with_context(|| format!("{offered} has no endpoint"))?;
        let (side, interface) = one.named();
        let proxy = Side {
            application: format!("{PROXY}{:032x}", self.next_relation + 1),
            endpoint: side.endpoint.clone(),
        };
        Ok(self.insert_relation(&[side, proxy], interface))
    }

    /// The application at the other end of a relation, as `application` knows it.
    ///
    /// # Errors
    /// There is no such relation.
    pub fn consumer(&self, id: u32, application: &str) -> Result<String> {
        let relation = self.relations.get(&id);
        let remote = relation.and_then(|relation| relation.remote(application));
        Ok(remote
            .with_context(|| format!("relation {id} not found"))?
            .application
            .clone())
    }

    /// Removes a relation by force, as `juju remove-saas --force` does on the other side: no hook tells units that were in it, and they
    /// list its id from then on (juju/juju, issue 23212 and pull request 23276).
    ///
    /// # Errors
    /// There is no such relation.
    pub fn force_remove_relation(&mut self, id: u32) -> Result<()> {
        self.relation_mut(id)?.forced = true;
        Ok(())
    }

    /// Starts the end of a relation: our units still get departed and broken, at their next wake. A relation no unit
    /// of ours ever saw goes at once.
    ///
    /// # Errors
    /// There is no such relation.
    pub fn remove_relation(&mut self, first: &str, second: &str) -> Result<u32> {
        let found = self
            .relations
            .values_mut()
            .find(|relation| joins(relation, first, second));
        let relation = found
            .with_context(|| format!("relation {first:?} to {second:?} not found; site status shows what there is"))?;
        relation.life = Life::Dying;
        let id = relation.id;
        self.drop_finished_relations();
        Ok(id)
    }

    /// Whether a relation joins these two, written as for [`World::integrate`].
    #[must_use]
    pub fn is_related(&self, first: &str, second: &str) -> bool {
        self.relations.values().any(|relation| joins(relation, first, second))
    }

    /// Removes dying relations that no unit is in any more.
    pub fn drop_finished_relations(&mut self) {
        let applications = &self.applications;
        self.relations.retain(|id, relation| {
            relation.life == Life::Alive
                || applications
                    .values()
                    .flat_map(|application| application.units.values())
                    .any(|unit| unit.relations.contains_key(id))
        });
    }

    pub(super) fn insert_relation(&mut self, sides: &[Side; 2], interface: String) -> u32 {
        let id = self.next_relation;
        self.next_relation += 1;
        let mut relation = Relation {
            id,
            sides: sides.clone(),
            interface,
            life: Life::Alive,
            forced: false,
            bags: std::collections::BTreeMap::new(),
        };
        // A fake enters the relation as a charm of its kind would; our own units do when their agent gets there.
        for side in sides {
            let Some(application) = self.applications.get(&side.application) else {
                continue;
            };
            if application.charm.fake {
                for unit in application.units.values() {
                    relation.enter(&unit.name, &unit.address);
                }
            }
        }
        self.relations.insert(id, relation);
        id
    }

    /// Finds the endpoints meant. Before 4.0 an implicit endpoint is taken only when nothing else fits, or when it is named
    /// (juju/juju, `state/state_test.go` on endpoint inference). From 4.0 on it counts like any other (seen with 4.0.15).
    fn infer(&self, first: &str, second: &str) -> Result<[(Side, String); 2]> {
        let mut found = Vec::new();
        let passes: &[bool] = if self.version.at_least(4, 0, 0) {
            &[true]
        } else {
            &[false, true]
        };
        for &implicit in passes {
            for one in self.candidates(first, implicit)? {
                for two in self.candidates(second, implicit)? {
                    if fits(&one, &two) {
                        found.push([one.named(), two.named()]);
                    }
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        match (found.pop(), found.is_empty()) {
            (None, _) => bail!(
                "no relations found: {first} and {second} have no endpoints that fit; name them: site integrate <application>:<endpoint> <application>:<endpoint>"
            ),
            (Some(_), false) => bail!(
                "ambiguous relation: {first} and {second} fit in several ways; name the endpoints: site integrate <application>:<endpoint> <application>:<endpoint>"
            ),
            (Some(pair), true) => Ok(pair),
        }
    }

    fn candidates(&self, text: &str, implicit: bool) -> Result<Vec<Candidate>> {
        let (name, endpoint) = match text.split_once(':') {
            Some((name, endpoint)) => (name, Some(endpoint)),
            None => (text, None),
        };
        let charm = &self.application(name)?.charm;
        let all = Candidate::all(name, charm);
        if let Some(endpoint) = endpoint {
            let named: Vec<Candidate> = all
                .into_iter()
                .filter(|candidate| candidate.side.endpoint == endpoint)
                .collect();
            // A fake's endpoints are only partly known here, so one that is named is believed.
            if named.is_empty() && charm.fake {
                return Ok(vec![Candidate::wild(name, endpoint)]);
            }
            ensure!(!named.is_empty(), "application {name:?} has no {endpoint:?} relation");
            return Ok(named);
        }
        Ok(all
            .into_iter()
            .filter(|candidate| implicit || candidate.side.endpoint != "juju-info")
            .collect())
    }
}

impl Relation {
    /// A unit enters: Juju writes these three keys itself.
    pub(crate) fn enter(&mut self, unit: &str, address: &str) {
        self.write(
            unit,
            [
                ("egress-subnets", format!("{address}/32")),
                ("ingress-address", address.to_owned()),
                ("private-address", address.to_owned()),
            ],
        );
    }
}

/// Whether a relation's ends are the two written as `application` or `application:endpoint`, in either order.
fn joins(relation: &Relation, first: &str, second: &str) -> bool {
    let is = |side: &Side, text: &str| match text.split_once(':') {
        Some((application, endpoint)) => side.application == application && side.endpoint == endpoint,
        None => side.application == text,
    };
    let [a, b] = &relation.sides;
    !relation.is_peer() && ((is(a, first) && is(b, second)) || (is(a, second) && is(b, first)))
}

/// An endpoint that might be meant; no interface means any.
struct Candidate {
    side: Side,
    interface: Option<String>,
    provides: bool,
}

impl Candidate {
    fn all(name: &str, charm: &Charm) -> Vec<Self> {
        let of = |endpoint: &str, interface: &str, provides: bool| Self {
            side: Side {
                application: name.to_owned(),
                endpoint: endpoint.to_owned(),
            },
            interface: Some(interface.to_owned()),
            provides,
        };
        let provided = charm
            .provides
            .iter()
            .map(|(name, endpoint)| of(name, &endpoint.interface, true));
        let required = charm
            .requires
            .iter()
            .map(|(name, endpoint)| of(name, &endpoint.interface, false));
        let implicit = std::iter::once(of("juju-info", "juju-info", true));
        provided.chain(required).chain(implicit).collect()
    }

    fn wild(name: &str, endpoint: &str) -> Self {
        Self {
            side: Side {
                application: name.to_owned(),
                endpoint: endpoint.to_owned(),
            },
            interface: None,
            provides: true,
        }
    }

    fn named(&self) -> (Side, String) {
        (self.side.clone(), self.interface.clone().unwrap_or_default())
    }
}

fn fits(one: &Candidate, two: &Candidate) -> bool {
    match (&one.interface, &two.interface) {
        (Some(first), Some(second)) => {
            first == second && one.provides != two.provides && one.side.application != two.side.application
        }
        _ => one.side.application != two.side.application,
    }
}

#[cfg(test)]
mod tests {
    use super::super::charm::Endpoint;
    use super::super::{Charm, World};

    fn world() -> World {
        let mut world = World::new("edge");
        for name in ["istio-pilot", "seldon-core"] {
            world.add_application(name, Charm::fake(name, "stable"), 1).unwrap();
        }
        world
    }

    #[test]
    fn endpoints_are_found_where_there_is_one_way() {
        let mut world = world();
        let id = world.integrate("seldon-core", "istio-pilot").unwrap();
        assert_eq!(world.relations[&id].key("seldon-core"), format!("gateway-info:{id}"));
        let bag = world.relations[&id].data("istio-pilot/0").unwrap();
        assert!(bag.contains_key("ingress-address"));
    }

    #[test]
    fn implicit_endpoint_makes_a_choice_from_juju_4_on() {
        let mut world = world();
        let mut iris = Charm::fake("seldon-core", "stable");
        let interface = "juju-info".to_owned();
        iris.requires.insert("seldon-core".to_owned(), Endpoint { interface });
        world.add_application("iris", iris, 1).unwrap();
        world.version = "4.0.15".parse().unwrap();
        let error = world.integrate("iris", "istio-pilot").unwrap_err();
        assert!(error.to_string().starts_with("ambiguous relation: "), "{error}");
        world.integrate("iris:gateway-info", "istio-pilot").unwrap();
        world.version = "3.6.1".parse().unwrap();
        assert!(
            world
                .integrate("iris", "istio-pilot")
                .unwrap_err()
                .to_string()
                .contains("already exists")
        );
    }

    #[test]
    fn offered_endpoint_gets_a_proxy_of_another_model() {
        let mut world = world();
        let id = world.integrate_offer("istio-pilot:gateway-info").unwrap();
        assert!(world.relations[&id].is_offered("istio-pilot"));
        assert!(world.consumer(id, "istio-pilot").unwrap().starts_with("remote-"));
        let local = world.integrate("seldon-core", "istio-pilot").unwrap();
        assert!(!world.relations[&local].is_offered("istio-pilot"));
        assert!(world.integrate_offer("iris:metrics-endpoint").is_err());
    }

    #[test]
    fn an_endpoint_that_is_not_there_is_named() {
        let mut world = world();
        let error = world.integrate("iris:gateway-info", "istio-pilot").unwrap_err();
        assert_eq!(error.to_string(), r#"application "iris" not found"#);
        world.integrate("seldon-core", "istio-pilot").unwrap();
        assert!(world.integrate("seldon-core", "istio-pilot").is_err());
    }
}
