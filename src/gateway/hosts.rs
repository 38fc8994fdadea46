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
pub fn hosts_overlap(first_hosts: &[String], second_hosts: &[String]) -> bool {
    first_hosts
        .iter()
        .any(|first| second_hosts.iter().any(|second| host_overlaps(first, second)))
}

fn host_overlaps(first: &str, second: &str) -> bool {
    match (first.strip_prefix('*'), second.strip_prefix('*')) {
        (None, None) => first.eq_ignore_ascii_case(second),
        (Some(end), None) => second.ends_with(end),
        (None, Some(end)) => first.ends_with(end),
        (Some(first), Some(second)) => first.ends_with(second) || second.ends_with(first),
    }
}

/// How specific the best match for a name is. Requests go to the routes of the most specific host only (Envoy,
/// `config.route.v3.VirtualHost`, `domains`).
pub fn host_specificity(hosts: &[String], name: &str) -> Option<usize> {
    let specificity = |host: &String| match host.strip_prefix('*') {
        Some(end) => name.ends_with(end).then_some(end.len()),
        None => (host == name).then_some(usize::MAX),
    };
    hosts.iter().filter_map(specificity).max()
}
