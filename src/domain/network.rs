//! Internet addresses: which of them are meant, and how much of one is kept.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// How much of an IPv6 address is one customer's.
const SITE_BITS: u8 = 64;

/// Addresses that begin alike: `203.0.113.0/24`, `2001:db8::/32`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// A text that names no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as 203.0.113.0/24")]
pub struct NotANetwork(String);

impl Network {
    /// Whether this address is one of them. An IPv4 address that came as IPv6 is the same.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        begin(address.to_canonical(), self.bits) == Some(begin_of(self.base, self.bits))
            && address.to_canonical().is_ipv4() == self.base.is_ipv4()
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let unfit = || NotANetwork(text.to_owned());
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.trim().parse().map_err(|_| unfit())?;
        let base = base.to_canonical();
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.trim().parse().map_err(|_| unfit())?,
        };
        if bits > most {
            return Err(unfit());
        }
        Ok(Self { base, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.bits)
    }
}

/// The first bits of an address, if it has so many.
fn begin(address: IpAddr, bits: u8) -> Option<u128> {
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then(|| begin_of(address, bits))
}

fn begin_of(address: IpAddr, bits: u8) -> u128 {
    let (value, length) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let rest = u32::from(length - bits);
    value.checked_shr(rest).unwrap_or(0)
}

/// Who is limited together: an IPv4 address by itself, of an IPv6 address the customer's part, for
/// who has one address of those has all.
#[must_use]
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let rest = 128 - u32::from(SITE_BITS);
            Ipv6Addr::from_bits(address.to_bits() >> rest << rest).into()
        }
    }
}

/// As much of an address as is kept: an IPv4 address without its last byte, three groups of an
/// IPv6 address.
#[must_use]
pub fn truncated(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00).to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        let has = |network: &str, address| network.parse::<Network>().unwrap().has(at(address));
        assert!(has("203.0.113.0/24", "203.0.113.77"));
        assert!(has("203.0.113.0/24", "::ffff:203.0.113.77"));
        assert!(!has("203.0.113.0/24", "203.0.114.1"));
        assert!(has("203.0.113.7", "203.0.113.7"));
        assert!(!has("203.0.113.7", "203.0.113.8"));
        assert!(has("0.0.0.0/0", "198.51.100.1"));
        assert!(!has("0.0.0.0/0", "2001:db8::1"));
        assert!(!has("::/0", "198.51.100.1"));
        assert!(has("::/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1"));
        assert!(!has("2001:db8::/32", "2001:db9::1"));
        for text in [
            "",
            "203.0.113.0/33",
            "::/129",
            "shop.example",
            "1.2.3.4/-1",
            "1.2.3/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn as_much_of_an_address_is_kept_as_says_where_it_is_about() {
        assert_eq!(truncated(at("203.0.113.77")), "203.0.113.0");
        assert_eq!(truncated(at("::ffff:203.0.113.77")), "203.0.113.0");
        assert_eq!(truncated(at("2001:db8:1:2:3::4")), "2001:db8:1::");
        assert_eq!(site(at("2001:db8:1:2:3::4")), at("2001:db8:1:2::"));
        assert_eq!(site(at("203.0.113.77")), at("203.0.113.77"));
    }
}
