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
pub fn is_dns_label(label: &str) -> bool {
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

/// How the hosts of another route relate to those of a model at one gateway, which has a list of routes for each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostRelation {
    /// It is in a list that the model's route is in too.
    pub same: bool,
    /// It is in a list that takes some of the model's requests and that the model's route is not in.
    pub nearer: bool,
}

impl HostRelation {
    /// `served` are the hosts of the gateway. In its lists a route has the narrower one of each two that overlap
    /// (`istio/istio` 1.20, `pilot/pkg/networking/core/v1alpha3/gateway.go`: `serverHosts.Intersection`).
    pub fn new(ours: &[String], theirs: &[String], served: &[String]) -> Self {
        let ours = narrowed(ours, served);
        let mut relation = Self::default();
        for host in narrowed(theirs, served) {
            let covering = ours.iter().filter(|own| covers(own, &host));
            match covering.max_by_key(|own| own.len()) {
                Some(own) if *own == host => relation.same = true,
                Some(_) => relation.nearer = true,
                None => {}
            }
        }
        relation
    }

    /// The same for requests to one name.
    pub fn for_name(name: &str, ours: &[String], theirs: &[String], served: &[String]) -> Self {
        let ours = host_specificity(&narrowed(ours, served), name);
        let theirs = host_specificity(&narrowed(theirs, served), name);
        Self {
            same: theirs.is_some() && theirs == ours,
            nearer: theirs > ours,
        }
    }
}

fn narrowed(hosts: &[String], served: &[String]) -> Vec<String> {
    let narrower = |host: &String, served: &String| {
        if covers(served, host) {
            Some(host.clone())
        } else {
            covers(host, served).then(|| served.clone())
        }
    };
    let pairs = hosts
        .iter()
        .flat_map(|host| served.iter().map(move |served| (host, served)));
    pairs.filter_map(|(host, served)| narrower(host, served)).collect()
}

/// Whether every name of `narrow` is one of `wide`.
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_prefix('*') {
        Some(end) => narrow.strip_prefix('*').unwrap_or(narrow).ends_with(end),
        None => wide.eq_ignore_ascii_case(narrow),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_host_has_a_list_of_its_own() {
        for (ours, theirs, served, same, nearer) in [
            ("*", "*", "*", true, false),
            ("*", "a.example", "*", false, true),
            ("a.example", "*", "*", false, false),
            ("a.example", "a.example", "*", true, false),
            ("a.example", "b.example", "*", false, false),
            ("*.example", "a.example", "*", false, true),
            ("*.example", "*.a.example", "*", false, true),
            ("*.a.example", "*.example", "*", false, false),
            // The gateway narrows both to its own host.
            ("a.example", "*", "a.example", true, false),
            ("*", "a.example", "a.example", true, false),
            ("*", "b.example", "a.example", false, false),
            ("a.example", "*.example", "*.example", false, false),
        ] {
            let list = |host: &str| [host.to_owned()];
            let relation = HostRelation::new(&list(ours), &list(theirs), &list(served));
            assert_eq!(relation, HostRelation { same, nearer }, "{ours} {theirs} {served}");
        }
        let both = ["*".to_owned(), "a.example".to_owned()];
        let relation = HostRelation::new(&both, &["a.example".to_owned()], &["*".to_owned()]);
        assert!(relation.same && !relation.nearer);
    }
}
