//! The command line: Juju's verbs, on the site.

mod action;
mod cluster;
mod config;
mod demo;
mod diff;
mod objects;
mod site;
mod status;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::site::bundle::Bundle;
use anyhow::{Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use juju_sim::juju::{Given, Life, Version};
use kube_box::images::Models;
use kube_box::node::{LEAD, lead};

use self::cluster::Size;
use self::demo::Request;
use self::site::Site;

/// The edge site in a box: a real Kubernetes API and a fake for Juju that runs the real charm.
#[derive(Debug, Parser)]
#[command(name = "site", version)]
struct Arguments {
    /// Where the site keeps its state [default: $XDG_STATE_HOME/seldon-model-site]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// The charm's binary [default: the one beside this program, built when its sources are there]
    #[arg(long, global = true, value_name = "PATH")]
    dispatch: Option<PathBuf>,
    /// Say only what Juju would
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the site. With KUBECONFIG set it is that cluster, else a small one of its own.
    Up {
        /// With a node that runs pods, Seldon Core and Istio, all real; needs root
        #[arg(long)]
        full: bool,
        /// The model, which is also the namespace
        #[arg(long, default_value = site::MODEL)]
        model: String,
        /// The Juju version to play
        #[arg(long, default_value_t)]
        juju: Version,
    },
    /// Stop the site and forget it
    Down,
    /// Deploy a bundle, or the charm by itself
    Deploy {
        /// A bundle, or a packed charm
        what: PathBuf,
        /// What the application of a charm is called
        name: Option<String>,
        /// Consent to the rights that the applications need
        #[arg(long)]
        trust: bool,
        /// `name=value` for the application of a charm
        #[arg(long, value_name = "OPTION")]
        config: Vec<String>,
    },
    /// Show or set options
    Config {
        application: String,
        /// `name` shows one, `name=value` or `name=@file` sets it
        values: Vec<String>,
        /// Give options their default back
        #[arg(long, value_delimiter = ',', value_name = "NAME")]
        reset: Vec<String>,
    },
    /// Show the model
    Status {
        /// Only the applications and units of exactly these names
        selectors: Vec<String>,
        #[arg(long, value_enum, default_value_t = StatusFormat::Tabular)]
        format: StatusFormat,
    },
    /// Run an action
    Run {
        unit: String,
        action: String,
        /// `name=value`, the value as YAML; `name.key=value` makes a map
        pairs: Vec<String>,
        /// Take values as the text that they are
        #[arg(long)]
        string_args: bool,
        /// A YAML file of parameters
        #[arg(long, value_name = "FILE")]
        params: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t = ResultFormat::Plain)]
        format: ResultFormat,
    },
    /// Relate two applications
    #[command(visible_alias = "relate")]
    Integrate { first: String, second: String },
    /// Remove a relation
    RemoveRelation { first: String, second: String },
    /// Give an application the rights of the whole cluster, or take them
    Trust {
        application: String,
        #[arg(long)]
        scope: Option<String>,
        #[arg(long)]
        remove: bool,
    },
    /// Add a secret, and print its URI
    AddSecret {
        name: String,
        /// `key=value`
        #[arg(required = true)]
        content: Vec<String>,
    },
    /// Let an application read a secret
    GrantSecret { name: String, application: String },
    /// Give a secret a new content
    UpdateSecret {
        name: String,
        /// `key=value`
        #[arg(required = true)]
        content: Vec<String>,
    },
    /// Remove a secret
    RemoveSecret { name: String },
    /// Change the number of units
    ScaleApplication { application: String, units: usize },
    /// Upgrade an application to the charm as it is now
    Refresh { application: String },
    /// Replace a unit's pod
    Churn { unit: String },
    /// Run a failed hook again
    Resolved {
        unit: String,
        /// Skip it instead
        #[arg(long)]
        no_retry: bool,
    },
    /// Remove an application
    RemoveApplication {
        application: String,
        /// Do not ask; the site never does
        #[arg(long)]
        no_prompt: bool,
    },
    /// Run update-status, as Juju does every five minutes
    UpdateStatus { unit: String },
    /// Run update-status until an application is active, and say what its status is meanwhile
    WaitFor {
        #[arg(value_enum)]
        what: Waited,
        name: String,
        /// What its status is to be, as `status=="active"`
        #[arg(long, default_value = "status==\"active\"")]
        query: String,
        /// As `10m`, `90s` or `300`, which are seconds
        #[arg(long, default_value = "300", value_parser = words::duration)]
        timeout: Duration,
    },
    /// Show the log
    DebugLog {
        /// From its beginning; the site always does
        #[arg(long)]
        replay: bool,
        /// End with what is there; the site always does
        #[arg(long)]
        no_tail: bool,
        /// Only of this application or unit
        #[arg(long)]
        include: Option<String>,
    },
    /// Show the objects the charm made, as YAML
    Objects {
        /// Only of this kind
        kind: Option<String>,
    },
    /// Show the whole thing: up, deploy, a new version, remove, down. On a full site, with a model that answers, where this
    /// machine can run one
    Demo {
        /// On a full site, or fail with what is missing for one
        #[arg(long, conflicts_with = "small")]
        full: bool,
        /// On a small site, without a model that answers: quicker
        #[arg(long)]
        small: bool,
    },
    #[command(name = LEAD, hide = true)]
    Lead { to: String },
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Waited {
    Application,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatusFormat {
    Tabular,
    Json,
    Yaml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    Plain,
    Json,
}

/// Reads the command line and does what it says; 1 when that fails, 2 when it cannot be read.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    QUIET.store(arguments.quiet, Ordering::Relaxed);
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR {error:#}");
            ExitCode::from(1)
        }
    }
}

/// Whether only what Juju would say is said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Tells what goes on, beside what a command prints and what Juju says.
fn progress(line: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        tell(line);
    }
}

/// Says what Juju says, beside what a command prints.
fn tell(line: &str) {
    eprintln!("{line}");
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let home = site::Home::new(arguments.dir, arguments.dispatch)?;
    match arguments.command {
        Command::Lead { to } => lead(&to)?,
        Command::Demo { full, small } => {
            let request = match (full, small) {
                (true, _) => Request::Full,
                (_, true) => Request::Small,
                (false, false) => Request::Fullest,
            };
            demo::demo(home, request)?;
        }
        Command::Up { full, model, juju } => {
            let wanted = if full { Size::Full(Models::All) } else { Size::Small };
            let site = Site::up(home, &model, juju, wanted)?;
            progress(&format!("the site is up; its model is {}", site.world.model.name));
            if let Some(full) = site.full() {
                progress(&format!("its models will be at http://{}/model/…/", full.gateway()));
            }
        }
        Command::Deploy {
            what,
            name,
            trust,
            config,
        } => {
            if what.extension().is_some_and(|ending| ending == "charm") {
                let mut site = Site::up(home, site::MODEL, Version::default(), Size::Small)?;
                site.deploy_charm(&what, name.as_deref(), trust, &config)?;
                return Ok(ExitCode::SUCCESS);
            }
            ensure!(
                name.is_none() && config.is_empty(),
                "a bundle names its applications and their options itself"
            );
            let read = consented(&what, trust)?;
            let mut site = Site::up(home, site::MODEL, Version::default(), Size::Small)?;
            site.deploy(&read, &what)?;
            tell("Deploy of bundle completed.");
        }
        Command::Down => Site::end(home)?,
        command => return on_site(&mut Site::existing(home)?, command),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a bundle whose rights the operator consents to.
fn consented(path: &std::path::Path, trust: bool) -> Result<Bundle> {
    let bundle = Bundle::read(path)?;
    let needing = bundle.needing_trust();
    if !trust && !needing.is_empty() {
        bail!(
            "bundle cannot be deployed without trusting applications with your cloud credentials; repeat the command with --trust if you consent to trust: {}",
            needing.join(", ")
        );
    }
    Ok(bundle)
}

/// The commands that need a site and leave it up.
fn on_site(site: &mut Site, command: Command) -> Result<ExitCode> {
    match command {
        Command::Config {
            application,
            values,
            reset,
        } => config::config(site, &application, &values, &reset)?,
        Command::Status { selectors, format } => match format {
            StatusFormat::Tabular => print!("{}", status::table(&site.world, &selectors)),
            StatusFormat::Json => println!("{}", status::tree(&site.world)),
            StatusFormat::Yaml => print!("{}", serde_yaml::to_string(&status::tree(&site.world))?),
        },
        Command::Run {
            unit,
            action,
            pairs,
            string_args,
            params,
            format,
        } => {
            let file = params.map(std::fs::read_to_string).transpose()?;
            let given = Given {
                pairs: &pairs,
                as_text: string_args,
                file: file.as_deref(),
            };
            let unit = site.world.unit_named(&unit)?.name.clone();
            return action::run(site, &unit, &action, given, format);
        }
        Command::Integrate { first, second } => {
            site.world.integrate(&first, &second)?;
            site.settle()?;
        }
        Command::RemoveRelation { first, second } => {
            site.world.remove_relation(&first, &second)?;
            site.settle()?;
        }
        Command::Trust {
            application,
            scope,
            remove,
        } => {
            if scope.as_deref() != Some("cluster") {
                bail!("on Kubernetes trust is for the whole cluster; type: site trust {application} --scope=cluster");
            }
            site.world.application_mut(&application)?.trust = !remove;
            site.settle()?;
        }
        Command::AddSecret { name, content } => {
            println!("{}", site.world.add_secret(&name, &words::pairs(&content)?)?);
            site.settle()?;
        }
        Command::GrantSecret { name, application } => {
            site.world.grant_secret(&name, &application)?;
            site.settle()?;
        }
        Command::UpdateSecret { name, content } => {
            site.world.update_secret(&name, &words::pairs(&content)?)?;
            site.settle()?;
        }
        Command::RemoveSecret { name } => {
            site.world.remove_secret(&name)?;
            site.settle()?;
        }
        Command::ScaleApplication { application, units } => {
            site.hooks(|agent, world| agent.scale(world, &application, units))?;
        }
        Command::Refresh { application } => site.hooks(|agent, world| agent.refresh(world, &application))?,
        Command::Churn { unit } => site.hooks(|agent, world| agent.churn(world, &unit))?,
        Command::Resolved { unit, no_retry } => {
            site.hooks(|agent, world| agent.resolved(world, &unit, !no_retry))?;
        }
        Command::UpdateStatus { unit } => site.hooks(|agent, world| agent.update_status(world, &unit))?,
        Command::WaitFor {
            what: Waited::Application,
            name,
            query,
            timeout,
        } => {
            site.wait_for(&name, words::status_of(&query)?, timeout)?;
        }
        Command::RemoveApplication { application, .. } => site.remove_application(&application)?,
        Command::DebugLog { include, .. } => {
            let meant = |module: &str| include.as_ref().is_none_or(|of| words::is_of(module, of));
            for line in site.world.log.iter().filter(|line| meant(&line.module)) {
                println!("{} {} {} {}", line.time, line.module, line.level, line.message);
            }
        }
        Command::Objects { kind } => {
            let objects = site.objects(kind.as_deref())?;
            if objects.is_empty() {
                progress(&format!(
                    "No objects of the charm found in namespace {}.",
                    site.world.model.name
                ));
            }
            print!("{}", objects::yaml(&objects)?);
        }
        Command::Up { .. } | Command::Down | Command::Deploy { .. } | Command::Demo { .. } | Command::Lead { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether an application is still meant to be there.
fn is_alive(life: Life) -> bool {
    life == Life::Alive
}
