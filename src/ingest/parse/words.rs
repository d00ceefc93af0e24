//! What others call an event, and what we call it.

use std::borrow::Cow;

use crate::domain::event::{PURCHASE, REFUND};

/// How long a type may be.
const MAX: usize = 64;

/// The names of other vocabularies (of Segment's e-commerce events), as words, that have one of
/// our own. All others are kept: `Product Viewed` is `product_viewed`.
const OURS: [(&str, &str); 8] = [
    ("order_completed", PURCHASE),
    ("order_refunded", REFUND),
    ("product_added", "add_to_cart"),
    ("product_removed", "remove_from_cart"),
    ("products_searched", "search"),
    ("signed_up", "sign_up"),
    ("signed_in", "sign_in"),
    ("signed_out", "sign_out"),
];

/// The type that a name stands for; empty if it has no letter or digit of `a-z 0-9`.
pub(super) fn event_word(name: Cow<'_, str>) -> Cow<'_, str> {
    let word = if is_word(&name) {
        name
    } else {
        Cow::Owned(to_word(&name))
    };
    let ours = OURS.iter().find(|(theirs, _)| *theirs == word);
    ours.map_or(word, |(_, ours)| Cow::Borrowed(*ours))
}

fn is_word(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    name.len() <= MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(allowed)
}

fn to_word(name: &str) -> String {
    let mut word = String::with_capacity(MAX);
    let mut pending = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            pending = !word.is_empty();
            continue;
        }
        if pending {
            word.push('_');
            pending = false;
        }
        if word.is_empty() && c.is_ascii_digit() {
            word.push_str("e_");
        }
        word.push(c.to_ascii_lowercase());
        if word.len() >= MAX {
            break;
        }
    }
    word.truncate(MAX);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_and_some_become_ours() {
        let cases = [
            ("Product Viewed", "product_viewed"),
            ("Order Completed", "purchase"),
            ("order completed", "purchase"),
            ("Order Refunded", "refund"),
            ("Order Cancelled", "order_cancelled"),
            ("Product Added", "add_to_cart"),
            ("Products Searched", "search"),
            ("Signed Up", "sign_up"),
            ("$pageview", "pageview"),
            ("$create_alias", "create_alias"),
            ("3D Viewer – opened!", "e_3d_viewer_opened"),
            ("add_to_cart", "add_to_cart"),
            ("  ", ""),
            ("購入", ""),
        ];
        for (name, word) in cases {
            assert_eq!(event_word(name.into()), word, "{name}");
        }
        assert_eq!(event_word("x y".repeat(60).into()).len(), MAX);
        assert!(matches!(
            event_word("coupon_applied".into()),
            Cow::Borrowed(_)
        ));
    }
}
