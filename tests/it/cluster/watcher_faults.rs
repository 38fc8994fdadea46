//! Watchers that receive nothing any more: connections that die silently, processes that hang, and how hooks handle them.

use std::fs;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use juju_sim::agent::HookRun;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use seldon_model::cluster::{WatchLimits, WatchNotice, Watched, Watches};
use seldon_model::identity::Identity;

use super::black_hole::BlackHole;
use super::fixture::{Live, runtime};
use crate::support::{assert_contains, log};

/// Limits as the watcher has them, but short. A watch must last 5 s to count as a good one.
const LIMITS: WatchLimits = WatchLimits {
    shortest: 6,
    longest: 6,
    grace: Duration::from_secs(2),
    accept: Duration::from_secs(5),
};
/// Long enough for anything that is not asserted to be quick.
const PATIENCE: Duration = Duration::from_secs(40);

/// Watches the SeldonDeployments of a charm through such a network. Returns its notices with their times.
fn watch(live: &Live) -> (BlackHole, Receiver<(WatchNotice, Instant)>) {
    let text = fs::read_to_string(live.agent.kubeconfig.clone().unwrap()).unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&text).unwrap();
    let identity = Identity {
        application: "iris".to_owned(),
        model_uuid: live.world.model.uuid.clone(),
        namespace: live.model(),
    };
    let options = KubeConfigOptions::default();
    let mut config = live.wait(Config::from_custom_kubeconfig(kubeconfig, &options)).unwrap();
    let server: SocketAddr = config.cluster_url.authority().unwrap().as_str().parse().unwrap();
    let network = BlackHole::in_front_of(server);
    config.cluster_url = format!("https://{}", network.address).parse().unwrap();
    let (notify, notices) = channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let watches = Watches::new(Client::try_from(config).unwrap(), identity, LIMITS);
            let notify = move |notice| {
                // The test may be over.
                let _ = notify.send((notice, Instant::now()));
            };
            watches.watch(Watched::SeldonDeployments, notify).await;
        });
    });
    (network, notices)
}

/// Waits for that notice. Returns those before it.
#[track_caller]
fn until(wanted: WatchNotice, notices: &Receiver<(WatchNotice, Instant)>) -> (Vec<WatchNotice>, Instant) {
    let mut before = Vec::new();
    loop {
        match notices.recv_timeout(PATIENCE) {
            Ok((notice, at)) if notice == wanted => return (before, at),
            Ok((notice, _)) => before.push(notice),
            Err(error) => panic!("no {wanted:?} behind {before:?}: {error}"),
        }
    }
}

#[test]
fn dead_connection_is_noticed_and_replaced() {
    let live = Live::new("dropped");
    let (network, notices) = watch(&live);
    until(WatchNotice::Changed, &notices);
    let start = Instant::now();
    network.drop_open_connections();
    let (before, end) = until(WatchNotice::Unusable, &notices);
    assert!(!before.contains(&WatchNotice::Changed), "it hears: {before:?}");
    let limit = Duration::from_secs(LIMITS.longest.into()) + LIMITS.grace + Duration::from_secs(2);
    assert!(end - start < limit, "{:?}", end - start);
    // The cluster is observed again after that, and changes arrive.
    until(WatchNotice::Changed, &notices);
    let (before, _) = until(WatchNotice::Started, &notices);
    assert!(!before.contains(&WatchNotice::Unusable), "{before:?}");
    assert!(network.connections() > 1);
}

#[test]
fn watch_recovers_after_network_dropped_everything() {
    let live = Live::new("dropped-all");
    let (network, notices) = watch(&live);
    until(WatchNotice::Changed, &notices);
    network.drop_all_connections();
    until(WatchNotice::Unusable, &notices);
    // A new connection gets no response either.
    let (before, _) = until(WatchNotice::Unusable, &notices);
    assert!(!before.contains(&WatchNotice::Changed), "{before:?}");
    network.drop_open_connections();
    until(WatchNotice::Changed, &notices);
}

#[test]
fn watch_ended_by_server_triggers_no_probe() {
    let live = Live::new("ended");
    let (_network, notices) = watch(&live);
    until(WatchNotice::Started, &notices);
    until(WatchNotice::Changed, &notices);
    for _ in 0..2 {
        let (before, _) = until(WatchNotice::Started, &notices);
        assert_eq!(before, []);
    }
}

/// The one line of the log about the watcher.
#[track_caller]
fn warned(run: &HookRun) -> String {
    let lines: Vec<&str> = run.logged("WARNING").filter(|line| line.contains("watcher")).collect();
    let [line] = lines.as_slice() else {
        panic!("{lines:#?} in {}", log(run));
    };
    (*line).to_owned()
}

#[track_caller]
fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn stopped_watcher_is_replaced_by_next_hook() {
    let mut live = Live::watched("stopped-watcher");
    let stopped = live.watcher("iris/0");
    signal("-STOP", stopped);
    let run = live.hook("update-status");
    assert_contains(
        &warned(&run),
        &[&format!(
            "watcher (process {stopped}) did not answer within 5 s; killed and replaced"
        )],
    );
    assert!(run.wall < Duration::from_secs(12), "{:?}", run.wall);
    let new = live.watcher("iris/0");
    assert_ne!(new, stopped);
    live.restores_route();
    // It is reported once.
    let run = live.hook("update-status");
    assert_eq!(run.logged("WARNING").count(), 0, "{}", log(&run));
    assert_eq!(live.watcher("iris/0"), new);
}

#[test]
fn stopped_watcher_is_ended_with_its_unit() {
    let mut live = Live::watched("stopped-unit");
    signal("-STOP", live.watcher("iris/0"));
    live.hook("stop");
    live.no_watcher("iris/0");
}

#[test]
fn replaced_watcher_ends_its_hanging_juju_exec() {
    let mut live = Live::watched("hanging-exec");
    let watcher = live.watcher("iris/0");
    // Nobody answers its juju-exec.
    live.delete(&crate::support::kinds::deployment(), "iris-default-0-iris");
    let start = Instant::now();
    while live.agent.left_behind("iris/0").len() < 2 {
        assert!(start.elapsed() < PATIENCE, "nothing is run");
    }
    // It hangs, and the watcher answers hooks nevertheless.
    let run = live.hook("update-status");
    assert_eq!(run.logged("WARNING").filter(|line| line.contains("watcher")).count(), 0);
    signal("-STOP", watcher);
    live.hook("update-status");
    assert_ne!(live.watcher("iris/0"), watcher);
}

#[test]
fn foreign_process_on_the_socket_is_left_alone() {
    let mut live = Live::new("foreign-socket");
    let name = format!("seldon-model/iris/0/{}", live.world.model.uuid);
    let _held = UnixListener::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap()).unwrap();
    live.agent.listen().unwrap();
    let run = live.hook("config-changed");
    assert_contains(
        &warned(&run),
        &[
            "watcher cannot run: its socket is held by a process that did not answer within 5 s",
            "Run: kubectl -n foreign-socket delete pod iris-0 (",
        ],
    );
}

#[test]
fn full_socket_queue_does_not_hang_hook() {
    let mut live = Live::new("full-queue");
    let name = format!("seldon-model/iris/0/{}", live.world.model.uuid);
    let address = UnixAddress::from_abstract_name(&name).unwrap();
    let _held = UnixListener::bind_addr(&address).unwrap();
    let (filled, done) = channel();
    // The last of them waits for ever.
    thread::spawn(move || {
        let mut queue = Vec::new();
        while let Ok(stream) = UnixStream::connect_addr(&address) {
            queue.push(stream);
            let _ = filled.send(());
        }
    });
    while done.recv_timeout(Duration::from_secs(2)).is_ok() {}
    live.agent.listen().unwrap();
    let run = live.hook("config-changed");
    assert_contains(
        &warned(&run),
        &["watcher cannot run: its socket is held by a process that accepts no connections"],
    );
}
