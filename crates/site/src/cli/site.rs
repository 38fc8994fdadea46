//! A site between two commands: its directory, its world, its cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ::site::bundle::Bundle;
use ::site::full::Full;
use ::site::programs::{dispatch_binary, dispatch_is_current, site_binary};
use anyhow::{Context as _, Result, bail};
use juju_sim::agent::{Agent, Cluster, HookRun, provide_gateways, provide_ingresses};
use juju_sim::juju::{Charm, Store, Version, World};
use juju_sim::target_directory::workspace;
use kube::Client;
use kube_box::build_plan::{Load, Part};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::cluster::{Choice, KUBERNETES, Platform, Size};
use super::words;
use super::{is_alive, objects, progress, status};

/// Between two looks at a status.
const SECOND: Duration = Duration::from_secs(1);

/// The model's name where none is given.
pub const MODEL: &str = "edge";

/// Where a site is and what it runs.
#[derive(Clone, Debug)]
pub struct Home {
    /// The site's directory.
    pub directory: PathBuf,
    /// Whether it was named, and not the usual one.
    pub named: bool,
    dispatch: Option<PathBuf>,
}

impl Home {
    /// From the command line, else the usual place.
    pub fn new(directory: Option<PathBuf>, dispatch: Option<PathBuf>) -> Result<Self> {
        let named = directory.is_some();
        let directory = match directory {
            Some(directory) => directory,
            None => usual()?,
        };
        let directory =
            std::path::absolute(&directory).with_context(|| format!("cannot use {}", directory.display()))?;
        Ok(Self {
            directory,
            named,
            dispatch,
        })
    }

    /// The charm's binary, where it has to be built first.
    pub fn charm_part(&self) -> Option<Part<'static>> {
        let named = self.dispatch.is_some();
        (!named && !dispatch_is_current())
            .then(|| Part::new("the charm", &[], Load::Processors, || dispatch_binary().map(drop)))
    }

    /// What kind of site is there, if any.
    fn choice(&self) -> Option<Choice> {
        let text = fs::read_to_string(self.choice_file()).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn choice_file(&self) -> PathBuf {
        self.directory.join("cluster.json")
    }
}

fn usual() -> Result<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .map(|state| state.join("seldon-model-site"))
        .context("HOME is not set, so there is no usual place for the site; name one: --dir <directory>")
}

/// A site that is up.
pub struct Site {
    /// Juju's side.
    pub world: World,
    home: Home,
    store: Store,
    runtime: Runtime,
    platform: Platform,
    client: Client,
    cluster: Cluster,
}

impl Site {
    /// Brings a site up; one that is up is left as it is.
    pub fn up(home: Home, model: &str, version: Version, wanted: Size) -> Result<Self> {
        if let Some(site) = Self::open(home.clone())? {
            if wanted != Size::Small && site.platform.full().is_none() {
                bail!("the site that is up is not a full one; end it first: site down");
            }
            // An earlier attempt may have broken off half-way.
            site.provision()?;
            return Ok(site);
        }
        let store = Store::open(&home.directory)?;
        let choice = Choice::new(wanted)?;
        let mut world = World::new(model);
        world.version = version;
        if choice.kubeconfig.is_some() {
            world.make_unique();
        }
        fs::write(home.choice_file(), serde_json::to_vec(&choice)?)
            .with_context(|| format!("cannot write {}", home.choice_file().display()))?;
        let site = Self::reach(home, store, world, &choice)?;
        // Before anything else can fail, so that what runs now can be ended with `site down`.
        site.store.save(&site.world)?;
        let provisioned = site.provision();
        if provisioned.is_err() && !site.platform.is_own() {
            // Nothing of the site runs, so the next attempt may choose another model.
            site.store.clear()?;
        }
        provisioned.map(|()| site)
    }

    /// The definitions of the kinds and the model's namespace.
    fn provision(&self) -> Result<()> {
        self.runtime.block_on(async {
            Platform::define(&self.client).await?;
            self.cluster.add_model(&self.world.model).await
        })
    }

    /// The site of a directory, `None` where none was brought up.
    pub fn open(home: Home) -> Result<Option<Self>> {
        if !home.directory.join("juju.json").exists() {
            return Ok(None);
        }
        let store = Store::open(&home.directory)?;
        let Some(world) = store.load()? else {
            return Ok(None);
        };
        let file = home.choice_file();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let choice: Choice = serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
        Self::reach(home, store, world, &choice).map(Some)
    }

    /// The site of a directory.
    pub fn existing(home: Home) -> Result<Self> {
        let directory = home.directory.clone();
        Self::open(home)?.with_context(|| {
            format!(
                "there is no site in {}; type: site deploy ./bundle.yaml --trust",
                directory.display()
            )
        })
    }

    fn reach(home: Home, store: Store, world: World, choice: &Choice) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let (platform, client) = runtime.block_on(Platform::reach(choice, &home.directory))?;
        let mut cluster = Cluster::new(client.clone());
        cluster.unit_image = platform.full().map(|_| kube_box::images::PAUSE);
        Ok(Self {
            world,
            home,
            store,
            runtime,
            platform,
            client,
            cluster,
        })
    }

    /// Deploys a bundle and runs what that makes due.
    pub fn deploy(&mut self, bundle: &Bundle, path: &Path) -> Result<()> {
        let path = &std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
        bundle.deploy(&mut self.world, path, charm_of(path)?)?;
        self.settle()
    }

    /// Deploys the charm by itself. It need not have been packed.
    pub fn deploy_charm(&mut self, path: &Path, name: Option<&str>, trust: bool, options: &[String]) -> Result<()> {
        let path = std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
        let charm = Charm::read(charm_of(&path)?)?;
        let name = name.unwrap_or(&charm.name).to_owned();
        let pairs = options
            .iter()
            .map(|pair| words::setting(pair))
            .collect::<Result<Vec<_>>>()?;
        let mut new = self.world.clone();
        new.add_application(&name, charm, 1)?;
        let application = new.application_mut(&name)?;
        application.trust = trust;
        application.set_config(pairs.iter().map(|(option, value)| (option.as_str(), value.as_str())))?;
        self.world = new;
        self.settle()
    }

    /// Runs whatever is due on any unit.
    pub fn settle(&mut self) -> Result<()> {
        self.hooks(Agent::wake_all)
    }

    /// Does something with the agents, with all that Juju keeps in the cluster as it should be before, and saves what
    /// came of it even when it broke off.
    pub fn hooks(&mut self, work: impl FnOnce(&Agent, &mut World) -> Result<Vec<HookRun>>) -> Result<()> {
        report(&self.run(work)?);
        Ok(())
    }

    fn run(&mut self, work: impl FnOnce(&Agent, &mut World) -> Result<Vec<HookRun>>) -> Result<Vec<HookRun>> {
        let agent = self.prepare()?;
        let ran = work(&agent, &mut self.world).and_then(|mut runs| {
            // What a fake answers to what was done, and the hooks of that.
            self.provide()?;
            runs.extend(agent.wake_all(&mut self.world)?);
            Ok(runs)
        });
        let applied = self.apply();
        self.store.save(&self.world)?;
        let ran = ran?;
        applied.map(|()| ran)
    }

    /// Runs update-status once a second, where Juju would every five minutes, until the application has that status, and
    /// says what it is meanwhile.
    pub fn wait_for(&mut self, name: &str, wanted: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let mut said = String::new();
        loop {
            let application = self.world.application(name)?;
            let status = status::overall(&self.world, application);
            let line = format!("{name}: {} {}", status.status, status.message);
            if line != said {
                progress(&line);
                said.clone_from(&line);
            }
            if status.status == wanted {
                return Ok(());
            }
            if start.elapsed() > limit {
                bail!("{name} is not {wanted} after {} s, but {line}", limit.as_secs());
            }
            thread::sleep(SECOND);
            let units: Vec<String> = application.units.keys().cloned().collect();
            for unit in units {
                self.run(|agent, world| agent.update_status(world, &unit))?;
            }
        }
    }

    /// The agents, each with a token of its application's service account.
    fn prepare(&mut self) -> Result<Agent> {
        self.provide()?;
        self.apply()?;
        let dispatch = match &self.home.dispatch {
            Some(dispatch) => std::path::absolute(dispatch)?,
            None => dispatch_binary()?,
        };
        let mut agent = Agent::in_directory(dispatch, &self.home.directory.join("agents"), &site_binary()?);
        agent.network = self.platform.full().map(Full::network).transpose()?;
        let tokens = self.home.directory.join("tokens");
        fs::create_dir_all(&tokens).with_context(|| format!("cannot make {}", tokens.display()))?;
        let namespace = self.world.model.name.clone();
        for name in self.running() {
            let file = tokens.join(format!("{name}.kubeconfig"));
            let written = self.platform.write_kubeconfig(&self.client, &namespace, &name, &file);
            self.runtime.block_on(written)?;
            agent.kubeconfigs.insert(name, file);
        }
        Ok(agent)
    }

    /// The applications whose charm runs.
    fn running(&self) -> Vec<String> {
        let applications = self.world.applications.values();
        let running = applications.filter(|application| !application.charm.fake);
        running.map(|application| application.name.clone()).collect()
    }

    /// What Juju keeps in the cluster for each application.
    fn apply(&self) -> Result<()> {
        let applications = self
            .world
            .applications
            .values()
            .filter(|application| !application.charm.fake);
        for application in applications {
            let units = application.units.values().filter(|unit| is_alive(unit.life)).count();
            let applied =
                self.cluster
                    .apply_application(&self.world.model, &application.name, application.trust, units);
            self.runtime.block_on(applied)?;
        }
        Ok(())
    }

    /// Plays istio-pilot and istio-ingress-k8s. On a cluster that is not the site's own its gateways are taken as they are.
    fn provide(&mut self) -> Result<()> {
        let namespaces = if self.platform.is_own() {
            BTreeMap::new()
        } else {
            let there = self.runtime.block_on(self.cluster.gateways())?;
            there.into_iter().map(|(namespace, name)| (name, namespace)).collect()
        };
        let gateways = provide_gateways(&mut self.world, &namespaces);
        // Istio takes a gateway that it did not make only beside its Service.
        let namespace = self
            .full()
            .map_or(self.world.model.name.as_str(), |_| "istio-system")
            .to_owned();
        let ingresses = provide_ingresses(&mut self.world, &namespace);
        if self.platform.is_own() {
            for (namespace, name) in gateways {
                self.runtime.block_on(self.cluster.apply_gateway(&namespace, &name))?;
            }
            for (namespace, name) in ingresses {
                self.runtime.block_on(self.cluster.apply_ingress(&namespace, &name))?;
            }
        }
        Ok(())
    }

    /// Removes an application: its hooks, then what Juju keeps for it in the cluster.
    pub fn remove_application(&mut self, name: &str) -> Result<()> {
        let application = self.world.application(name)?;
        let ours = !application.charm.fake;
        self.hooks(|agent, world| agent.remove_application(world, name))?;
        if self.world.applications.contains_key(name) {
            bail!(
                "{name} is still there: a hook failed; see site status and site debug-log, then type: site resolved {name}/0"
            );
        }
        if ours {
            self.runtime
                .block_on(self.cluster.remove_application(&self.world.model, name))?;
        }
        Ok(())
    }

    /// The charm's objects in the cluster.
    pub fn objects(&self, kind: Option<&str>) -> Result<Vec<Value>> {
        self.runtime
            .block_on(objects::list(&self.client, &self.world.model.name, kind))
    }

    /// Whether the cluster is the site's own, in which nothing runs pods.
    pub fn is_small(&self) -> bool {
        self.platform.is_own() && self.platform.full().is_none()
    }

    /// The full site, where it is one.
    pub fn full(&self) -> Option<&Full> {
        self.platform.full()
    }

    /// Ends the site of a directory, which need not be whole any more: parts of it may have been killed.
    pub fn end(home: Home) -> Result<()> {
        match home.choice() {
            Some(choice) if choice.kubeconfig.is_none() => {
                let store = Store::open(&home.directory)?;
                Platform::stop_own(&choice, &home.directory)?;
                forget(&home, &store)
            }
            _ => Self::existing(home)?.down(),
        }
    }

    /// Ends the site. On a cluster that was there before, what the site and the charm made in it goes first.
    pub fn down(mut self) -> Result<()> {
        if !self.platform.is_own() {
            for name in self.running() {
                self.remove_application(&name)?;
            }
            self.runtime.block_on(self.cluster.remove_model(&self.world.model))?;
        }
        self.platform.stop()?;
        forget(&self.home, &self.store)
    }
}

/// The directory of the charm that is meant by what lies there: that one where it holds a charm, as this repository does, else
/// this repository.
fn charm_of(path: &Path) -> Result<&Path> {
    let beside = path.parent().filter(|parent| parent.join("metadata.yaml").exists());
    match beside {
        Some(beside) => Ok(beside),
        None => workspace(),
    }
}

/// Removes a site's files.
fn forget(home: &Home, store: &Store) -> Result<()> {
    // The world last: with it goes the knowledge that there is something to end.
    for name in ["agents", "tokens", KUBERNETES] {
        let path = home.directory.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    store.clear()?;
    // What may be left is the user's.
    let _ = fs::remove_file(home.choice_file());
    let _ = fs::remove_file(home.directory.join("juju.lock"));
    let _ = fs::remove_dir(&home.directory);
    Ok(())
}

/// Says which hooks ran, one line a unit, and what a failed one told.
fn report(runs: &[HookRun]) {
    let mut units: Vec<&str> = Vec::new();
    for run in runs {
        if !units.contains(&run.unit.as_str()) {
            units.push(&run.unit);
        }
    }
    for unit in units {
        let of_unit: Vec<&HookRun> = runs.iter().filter(|run| run.unit == unit).collect();
        let names: Vec<&str> = of_unit.iter().map(|run| run.hook.as_str()).collect();
        let wall: u128 = of_unit.iter().map(|run| run.wall.as_millis()).sum();
        progress(&format!("{unit}: {} ({wall} ms)", names.join(", ")));
        for run in of_unit.iter().filter(|run| run.exit != 0) {
            progress(&format!(
                "{unit}: {} failed with exit {}: {}",
                run.hook,
                run.exit,
                run.stderr.trim_end()
            ));
        }
    }
}
