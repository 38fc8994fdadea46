//! Where a server listens.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};

/// Above what sites use themselves, as 16443 of `MicroK8s`.
const FIRST: u16 = 20000;
/// How many ports are looked at, of twelve thousand, until none is found to be free.
const LOOKED_AT: usize = 100;

/// A port of loopback that nobody listens on: the wished one if it is free. It may be taken before it is used.
///
/// It is below those that the kernel deals out by itself, so that nobody gets it by chance during an outage.
///
/// # Errors
/// When none was found.
pub fn free(wished: Option<u16>) -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // The first of those that the kernel deals out, and what it is unless somebody set it.
    let end = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(32768_u16);
    let ports = end.saturating_sub(FIRST).max(1);
    let random = || RandomState::new().build_hasher().finish() % u64::from(ports);
    wished
        .into_iter()
        .chain(
            std::iter::repeat_with(random)
                .take(LOOKED_AT)
                .filter_map(|port| FIRST.checked_add(u16::try_from(port).ok()?)),
        )
        .find(is_free)
        .with_context(|| format!("no port of 127.0.0.1 from {FIRST} on is free"))
}
