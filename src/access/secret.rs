//! Secrets: how they are made, told from what is none, and hashed.
//!
//! `tw_live_` or `tw_pub_`, 30 letters and digits, of which there are 62 to the power of 30, and six
//! that are their CRC-32: so a secret that leaked is found by its form alone, as
//! `tw_(live|pub)_[0-9A-Za-z]{36}`, and a mistyped one is refused without a look-up.
//!
//! What is kept of one is its HMAC-SHA-256 under a secret of the server's. Keys of before were kept
//! as a plain SHA-256, those of an installation whose secret was set later under its own secret; both
//! are kept anew when they are used.

use hmac::{Hmac, Mac};
use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Kind;
use crate::config::Secret;

/// How many letters and digits are random, and how many check them.
const RANDOM: usize = 30;
const CHECK: usize = 6;
/// What keys of before begin with.
const OLD_PREFIX: &str = "tw_";
/// How many hexadecimal digits follow.
const OLD_LENGTH: usize = 48;

/// What is kept of a secret.
pub(super) type Hash = [u8; 32];

/// What a secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One that was made here.
    Made,
    /// One of before, or one that an operator thought of.
    Other,
}

impl Form {
    /// The form of a secret; none if it was meant to be one that was made here, and is not whole.
    pub(super) fn of(secret: &str) -> Option<Self> {
        let Some(rest) = Kind::ALL
            .into_iter()
            .find_map(|kind| secret.strip_prefix(kind.prefix()))
        else {
            return Some(Self::Other);
        };
        let (random, check) = rest.split_at_checked(RANDOM)?;
        let checked = &secret[..secret.len() - check.len()];
        let is_whole = random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_whole && check == checksum(checked)).then_some(Self::Made)
    }
}

/// Makes a secret.
pub(super) fn make(kind: Kind) -> String {
    let random = rand::rng().sample_iter(&Alphanumeric).take(RANDOM);
    let text: String = kind
        .prefix()
        .chars()
        .chain(random.map(char::from))
        .collect();
    let check = checksum(&text);
    text + &check
}

/// The CRC-32 of a text as six letters and digits.
fn checksum(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = ['0'; CHECK];
    for digit in digits.iter_mut().rev() {
        let place = usize::try_from(rest % 62).expect("it is less than 62");
        *digit = char::from(DIGITS[place]);
        rest /= 62;
    }
    digits.iter().collect()
}

/// Whether a key stands in a text, such as an address.
#[must_use]
pub fn looks_like_a_key(text: &str) -> bool {
    let has_made = Kind::ALL.iter().any(|kind| text.contains(kind.prefix()));
    let is_old = |(at, _): (usize, &str)| {
        let rest = text[at + OLD_PREFIX.len()..].bytes().take(OLD_LENGTH);
        rest.filter(u8::is_ascii_hexdigit).count() == OLD_LENGTH
    };
    has_made || text.match_indices(OLD_PREFIX).any(is_old)
}

/// Hashes secrets.
pub(super) struct Hasher {
    /// Under what, the one in use first.
    under: Vec<Vec<u8>>,
}

impl Hasher {
    /// Under the secret that is set, or else the installation's own.
    pub(super) fn new(set: Option<&Secret>, own: Vec<u8>) -> Self {
        let set = set.map(|secret| secret.reveal().as_bytes().to_vec());
        Self {
            under: set.into_iter().chain([own]).collect(),
        }
    }

    /// What is kept of a secret.
    pub(super) fn hash(&self, secret: &str) -> Hash {
        keyed(&self.under[0], secret)
    }

    /// The same, and before which of others it may have been kept.
    pub(super) fn hashes(&self, secret: &str, form: Form) -> Vec<Hash> {
        let keyed = self.under.iter().map(|under| keyed(under, secret));
        let plain = (form == Form::Other).then(|| Sha256::digest(secret.as_bytes()).into());
        keyed.chain(plain).collect()
    }
}

fn keyed(under: &[u8], secret: &str) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(under).expect("it takes keys of any length");
    mac.update(secret.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Whether two hashes are the same, in a time that tells nothing of where they differ.
pub(super) fn are_equal(one: &Hash, other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_made_is_whole_and_one_letter_less_is_not() {
        for kind in Kind::ALL {
            let secret = make(kind);
            assert_eq!(secret.len(), kind.prefix().len() + RANDOM + CHECK);
            assert_eq!(Form::of(&secret), Some(Form::Made));
            assert_eq!(Form::of(&secret[..secret.len() - 1]), None);
            assert_eq!(Form::of(&format!("{secret}0")), None);
            for place in kind.prefix().len()..secret.len() {
                let mut other = secret.clone().into_bytes();
                other[place] = if other[place] == b'x' { b'y' } else { b'x' };
                assert_eq!(Form::of(&String::from_utf8(other).unwrap()), None);
            }
        }
        assert_eq!(Form::of("tw_live_"), None);
        assert_eq!(Form::of("tw_live_é"), None);
        assert_eq!(Form::of("a-key-for-tests"), Some(Form::Other));
    }

    #[test]
    fn keys_are_found_in_a_text() {
        let old = format!("tw_{}", "0a".repeat(24));
        assert!(looks_like_a_key(&format!(
            "/v1/sales?k={}",
            make(Kind::Live)
        )));
        assert!(looks_like_a_key(&format!("/v1/sales?k={old}&x=1")));
        assert!(!looks_like_a_key("/v1/sales?k=tw_0a0a"));
        assert!(!looks_like_a_key("/v1/sales?name=tw_éé"));
    }

    #[test]
    fn a_hash_is_hmac_sha_256() {
        // RFC 4231, test case 2.
        let hash = keyed(b"Jefe", "what do ya want for nothing?");
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
            0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9,
            0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(hash, expected);
    }
}
