//! From a port on loopback into a node's network.

use std::io;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Hands each connection that arrives at the listener, which is standard input, to an address of the network that this
/// process was started in. A listener stays in the network it was made in. What breaks off a connection is said on
/// standard error: its client only sees that it was reset.
///
/// # Errors
/// When standard input is no listener. It does not end otherwise.
pub fn lead(to: &str) -> Result<()> {
    let listener = io::stdin().as_fd().try_clone_to_owned()?;
    let listener = std::net::TcpListener::from(listener);
    listener
        .set_nonblocking(true)
        .context("standard input is no listener")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let Ok((outside, client)) = listener.accept().await else {
                continue;
            };
            let to = to.to_owned();
            tokio::spawn(async move {
                if let Err(error) = join(outside, &to).await {
                    eprintln!("{} {client}: {error:#}", Timestamp::now());
                }
            });
        }
    })
}

/// Joins a connection to an address, until both sides have ended it or one has broken it off.
async fn join(mut outside: TcpStream, to: &str) -> Result<()> {
    let mut inside = TcpStream::connect(to)
        .await
        .with_context(|| format!("{to} cannot be reached"))?;
    let _ = outside.set_nodelay(true);
    let _ = inside.set_nodelay(true);
    // Whichever side ends it, the other learns it by the end of its connection.
    let joined = copy_bidirectional(&mut outside, &mut inside).await;
    joined.map(drop).with_context(|| {
        // A socket that was reset has no other end any more.
        if inside.peer_addr().is_ok() {
            "broken off by the client".to_owned()
        } else if matches!(outside.try_read(&mut [0]), Ok(0)) {
            // That harms nobody: who answers before it has read all that it was asked resets what comes after.
            format!("broken off by {to} after the client had ended it")
        } else {
            format!("broken off by {to}")
        }
    })
}
