//! Bounds of a document's text: bytes, tokens, and how deep brackets nest. One pass over the bytes;
//! nothing is kept.

use crate::error::{Code, Problem};
use crate::graphql::limits::{DOCUMENT_BYTES, NESTING, TOKENS};

/// Passes a text that a parser can be given.
///
/// # Errors
/// [`Code::DocumentTooLarge`], or [`Code::QueryTooDeep`]. What is no document at all may pass: the
/// parser will say so.
pub(in crate::graphql) fn check(text: &str) -> Result<(), Problem> {
    if text.len() > DOCUMENT_BYTES {
        let detail =
            format!("The document has more than {DOCUMENT_BYTES} bytes. Send values as variables.");
        return Err(Problem::with(Code::DocumentTooLarge, detail));
    }
    let (mut tokens, mut nesting) = (0, 0_usize);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begins = at;
        at = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = end_of_line(bytes, at);
                continue;
            }
            b'"' => end_of_text(bytes, at),
            b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' => end_of_word(bytes, at),
            _ => at + 1,
        };
        tokens += 1;
        match bytes[begins] {
            b'{' | b'(' | b'[' => nesting += 1,
            b'}' | b')' | b']' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if tokens > TOKENS {
            let detail = format!(
                "The document has more than {TOKENS} tokens. Send values as variables, or ask for less."
            );
            return Err(Problem::with(Code::DocumentTooLarge, detail));
        }
        if nesting > NESTING {
            return Err(Code::QueryTooDeep.into());
        }
    }
    Ok(())
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let ends = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    at + ends.unwrap_or(rest.len())
}

fn end_of_word(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at + 1..];
    let goes_on =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
    let ends = rest.iter().position(|byte| !goes_on(byte));
    at + 1 + ends.unwrap_or(rest.len())
}

/// Behind the text in quotes, or in three of them, that begins here.
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let is_block = bytes[at..].starts_with(b"\"\"\"");
    let mut next = at + if is_block { 3 } else { 1 };
    while next < bytes.len() {
        let rest = &bytes[next..];
        if is_block {
            if rest.starts_with(b"\\\"\"\"") {
                next += 4;
            } else if rest.starts_with(b"\"\"\"") {
                return next + 3;
            } else {
                next += 1;
            }
            continue;
        }
        match rest[0] {
            b'\\' => next += 2,
            b'"' => return next + 1,
            // It does not go over lines: the parser will say so.
            b'\n' | b'\r' => return next,
            _ => next += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_and_what_is_in_texts_is_not() {
        let passes = |text: &str| check(text).map_err(|problem| problem.code);
        assert_eq!(
            passes("{ a(b: \"{{{{\", c: \"\"\"[\\\"\"\"[\"\"\") # {{{{{\n }"),
            Ok(())
        );
        let braces = "{ ".repeat(NESTING);
        assert_eq!(passes(&format!("{{ a(b: \"{braces}{braces}\") }}")), Ok(()));
        assert_eq!(passes(&format!("{{ a #{braces}{braces}\n }}")), Ok(()));
        assert_eq!(passes(&format!("{braces}{{")), Err(Code::QueryTooDeep));
        assert_eq!(passes(&"[".repeat(100_000)), Err(Code::QueryTooDeep));
        assert_eq!(passes(&"a ".repeat(TOKENS)), Ok(()));
        assert_eq!(
            passes(&"a ".repeat(TOKENS + 1)),
            Err(Code::DocumentTooLarge)
        );
        assert_eq!(passes(&"(),".repeat(TOKENS)), Err(Code::DocumentTooLarge));
        assert_eq!(
            passes(&"\u{feff}".repeat(TOKENS)),
            Err(Code::DocumentTooLarge)
        );
        assert_eq!(
            passes(&"a".repeat(DOCUMENT_BYTES + 1)),
            Err(Code::DocumentTooLarge)
        );
        for broken in ["\"", "\"\"\"", "\"\\", "\"\n", "\"\"\"\\\"\"\"", "#", ""] {
            assert_eq!(passes(broken), Ok(()), "{broken}");
        }
    }
}
