//! What of people's IP addresses is kept: by default only the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// What is kept of an IP address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpAddresses {
    /// All of it.
    Full,
    /// The network: the first 24 bits of IPv4, the first 48 of IPv6.
    #[default]
    Truncated,
    /// Nothing.
    Dropped,
}

impl IpAddresses {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Full, Self::Truncated, Self::Dropped];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Truncated => "truncated",
            Self::Dropped => "dropped",
        }
    }

    /// The choice of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The text of a JSON value with less of the addresses in it; nothing if it stays as it is. An
    /// address is a text, or several after commas, under a name that says so (`ip`, `$ip`,
    /// `client_ip`, `ipAddress`, `remoteAddr`, `x-forwarded-for`). Nothing else is touched, so every
    /// digit of every number stays.
    #[must_use]
    pub fn reduced(self, json: &str) -> Option<String> {
        if self == Self::Full || !HINTS.iter().any(|hint| json.contains(hint)) {
            return None;
        }
        Scan {
            keep: self,
            text: json,
            out: String::with_capacity(json.len()),
            changed: false,
        }
        .run()
    }

    /// What is kept of a text that has addresses in it; nothing if it has none. What stands between
    /// them, as the `unknown` of proxies, is left out.
    fn of(text: &str) -> Option<String> {
        let parts = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace());
        let kept = parts.filter_map(parse).map(|ip| match ip {
            IpAddr::V4(ip) => v4_network(ip).to_string(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => v4_network(ip).to_string(),
                None => v6_network(ip).to_string(),
            },
        });
        let kept = kept.collect::<Vec<_>>().join(", ");
        (!kept.is_empty()).then_some(kept)
    }
}

fn v4_network(ip: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = ip.octets();
    Ipv4Addr::new(a, b, c, 0)
}

fn v6_network(ip: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, ..] = ip.segments();
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

/// An address as people and proxies write it: with a port, a zone, a length of its network.
fn parse(text: &str) -> Option<IpAddr> {
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Some(with_port.ip());
    }
    let bare = text.split(['/', '%']).next().unwrap_or(text);
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

/// Whether an address stands under this name.
fn stands_for_address(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && before_is_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        before_is_lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    let plain = words.concat();
    words
        .iter()
        .any(|word| matches!(word.as_str(), "ip" | "ips" | "ipv4" | "ipv6"))
        || [
            "ipaddr",
            "remoteaddr",
            "clientaddr",
            "forwardedfor",
            "realip",
            "clientip",
            "remoteip",
        ]
        .iter()
        .any(|known| plain.contains(known))
}

/// Without any of these a text has no name that an address stands under; most have none.
const HINTS: [&str; 11] = [
    "ip", "IP", "Ip", "iP", "addr", "Addr", "ADDR", "orwarded", "orWarded", "ORWARDED", "\\u",
];

/// Goes through the text of a JSON value and copies it, but for addresses.
struct Scan<'a> {
    keep: IpAddresses,
    text: &'a str,
    out: String,
    changed: bool,
}

impl Scan<'_> {
    fn run(mut self) -> Option<String> {
        let bytes = self.text.as_bytes();
        // Of each open container, whether addresses stand in it, and of each object, under the name
        // that was read last.
        let mut open: Vec<(bool, bool)> = Vec::new();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let end = end_of_string(bytes, at);
                    let raw = self.text.get(at..end).unwrap_or_default();
                    let rest = bytes.get(end..).unwrap_or_default();
                    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
                    let here = open.last().copied().unwrap_or_default();
                    if next == Some(&b':') {
                        let name: String = serde_json::from_str(raw).unwrap_or_default();
                        if let Some(last) = open.last_mut() {
                            last.1 = here.0 || stands_for_address(&name);
                        }
                        self.out.push_str(raw);
                    } else {
                        self.value(raw, here.1);
                    }
                    at = end;
                    continue;
                }
                b'{' | b'[' => {
                    let inherited = open.last().is_some_and(|last| last.1);
                    open.push((inherited, inherited));
                }
                b'}' | b']' => {
                    open.pop();
                }
                _ => {}
            }
            let rest = self.text.get(at..).unwrap_or_default();
            let Some(c) = rest.chars().next() else { break };
            self.out.push(c);
            at += c.len_utf8();
        }
        self.changed.then_some(self.out)
    }

    fn value(&mut self, raw: &str, is_address: bool) {
        let text = is_address
            .then(|| serde_json::from_str::<String>(raw).ok())
            .flatten();
        let kept = text.and_then(|text| IpAddresses::of(&text).map(|kept| (text, kept)));
        match kept {
            Some((text, kept)) if self.keep == IpAddresses::Truncated => {
                self.changed |= text != kept;
                // Neither digits nor colons need escapes.
                self.out.push('"');
                self.out.push_str(&kept);
                self.out.push('"');
            }
            Some(_) => {
                self.changed = true;
                self.out.push_str("null");
            }
            None => self.out.push_str(raw),
        }
    }
}

/// Where a string of JSON that begins here is over.
fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_last_part_and_nothing_else_changes() {
        let text = r#"{"ip": "203.0.113.77", "n": 1.000000000000000000001, "zip": "10.1.2.3",
            "context": {"$ip":"2001:db8:1:2::3", "clientIp": ["198.51.100.9:80", "no"]},
            "x-forwarded-for": "203.0.113.77, ::ffff:198.51.100.9", "é\"ip": "1.2.3.4",
            "ip_address": {"v4": "192.0.2.1/32"}, "tooltip": "8.8.8.8"}"#;
        let expected = r#"{"ip": "203.0.113.0", "n": 1.000000000000000000001, "zip": "10.1.2.3",
            "context": {"$ip":"2001:db8:1::", "clientIp": ["198.51.100.0", "no"]},
            "x-forwarded-for": "203.0.113.0, 198.51.100.0", "é\"ip": "1.2.3.0",
            "ip_address": {"v4": "192.0.2.0"}, "tooltip": "8.8.8.8"}"#;
        assert_eq!(IpAddresses::Truncated.reduced(text).unwrap(), expected);
        assert_eq!(IpAddresses::Truncated.reduced(expected), None);
        assert_eq!(IpAddresses::Full.reduced(text), None);
        let dropped = IpAddresses::Dropped.reduced(text).unwrap();
        assert!(dropped.contains(r#""ip": null"#) && !dropped.contains("203.0.113"));
    }

    #[test]
    fn an_address_is_found_beside_what_is_none() {
        for list in [
            "203.0.113.77, unknown",
            "203.0.113.77,",
            "_hidden, 203.0.113.77",
            "203.0.113.77 ; 2001",
        ] {
            let text = format!(r#"{{"x-forwarded-for": "{list}", "ip": "unknown"}}"#);
            assert_eq!(
                IpAddresses::Truncated.reduced(&text).unwrap(),
                r#"{"x-forwarded-for": "203.0.113.0", "ip": "unknown"}"#
            );
            assert_eq!(
                IpAddresses::Dropped.reduced(&text).unwrap(),
                r#"{"x-forwarded-for": null, "ip": "unknown"}"#
            );
        }
    }

    #[test]
    fn what_is_no_json_harms_nothing() {
        for text in [
            "",
            "\"",
            "{\"ip\":\"",
            "{\"ip\":\"1.2.3.4\\",
            "]]}",
            "\u{1F600}\"ip\":",
        ] {
            let _ = IpAddresses::Truncated.reduced(text);
        }
    }
}
