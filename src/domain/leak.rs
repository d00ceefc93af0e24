//! Keys of ours in what others send: their libraries put them into events.

/// What the secrets of keys begin with that are kept on servers; letters and digits follow.
pub const LIVE: &str = "tw_live_";
/// The same of those that stand in pages.
pub const PUBLISHABLE: &str = "tw_pub_";
/// What stands in the place of the rest.
const MASK: &str = "***";

/// The text with nothing of keys in it but what they begin with; nothing if it stays as it is.
#[must_use]
pub fn masked(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, prefix)) = first(rest) {
        let (before, behind) = rest.split_at(at + prefix.len());
        out.push_str(before);
        rest = behind.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        if rest.len() < behind.len() {
            out.push_str(MASK);
        }
    }
    if out.is_empty() {
        return None;
    }
    out.push_str(rest);
    Some(out)
}

/// Where the first key begins, and with what.
fn first(text: &str) -> Option<(usize, &'static str)> {
    let found = [LIVE, PUBLISHABLE].map(|prefix| Some((text.find(prefix)?, prefix)));
    found.into_iter().flatten().min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_wherever_they_stand_and_nothing_else() {
        for (text, expected) in [
            (
                r#"{"token":"tw_live_Ab9"}"#,
                Some(r#"{"token":"tw_live_***"}"#),
            ),
            ("tw_pub_x1 é tw_live_y2,", Some("tw_pub_*** é tw_live_***,")),
            (r#"{"a":"tw_lively"}"#, None),
            ("tw_", None),
            ("", None),
        ] {
            assert_eq!(masked(text).as_deref(), expected, "{text}");
        }
    }
}
