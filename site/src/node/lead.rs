//! From a port on loopback into a node's network.

use std::io;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Hands each connection that arrives at the listener, which is standard input, to an address of the network that this
/// process was started in. A listener stays in the network it was made in.
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
            let Ok((mut outside, _)) = listener.accept().await else {
                continue;
            };
            let to = to.to_owned();
            tokio::spawn(async move {
                // Whichever side ends it, the other learns it by the end of its connection.
                if let Ok(mut inside) = TcpStream::connect(&to).await {
                    let _ = outside.set_nodelay(true);
                    let _ = inside.set_nodelay(true);
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    })
}
