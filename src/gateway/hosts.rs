//! Host names of gateways and routes, which may be `*` or `*.domain`.

/// Whether a text is a host name, `*.domain` or `*`.
pub fn is_host(host: &str) -> bool {
    if host == "*" {
        return true;
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// A DNS-1123 label, of at most 63 characters.
pub(super) fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether some request matches both lists of hosts.
pub fn hosts_overlap(ours: &[String], theirs: &[String]) -> bool {
    ours.iter()
        .any(|one| theirs.iter().any(|other| host_overlaps(one, other)))
}

fn host_overlaps(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (None, None) => one.eq_ignore_ascii_case(other),
        (Some(end), None) => other.ends_with(end),
        (None, Some(end)) => one.ends_with(end),
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
    }
}

/// How specific the best match for a name is. Requests go to the routes of the most specific host only (Envoy,
/// `config.route.v3.VirtualHost`, `domains`).
pub fn nearest_host(hosts: &[String], name: &str) -> Option<usize> {
    let near = |host: &String| match host.strip_prefix('*') {
        Some(end) => name.ends_with(end).then_some(end.len()),
        None => (host == name).then_some(usize::MAX),
    };
    hosts.iter().filter_map(near).max()
}
