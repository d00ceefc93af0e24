//! Lines of an upload without an end, gathered into blocks: what is held is one block and one line.

use std::ops::Range;

use super::super::{MAX_EVENT_BYTES, MAX_EVENTS};

/// Where a block ends even if it has few lines.
const MAX_BLOCK: usize = 2 * 1024 * 1024;

/// One line of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Where its bytes are.
    At(Range<usize>),
    /// How many bytes it has: too many to be kept.
    TooLong(usize),
}

/// Gathers lines; those of white space alone are counted, not gathered.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    ready: Vec<(u64, Line)>,
    /// Where the line that is not complete begins.
    begun: usize,
    /// How much of it was left out, once it has too many bytes.
    skipped: Option<usize>,
    /// How many lines are complete.
    complete: u64,
}

impl Lines {
    /// Takes bytes until the block is full; answers how many it took.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_full() {
            let rest = &bytes[taken..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.extend(&rest[..end]);
                    self.end_line();
                    taken += end + 1;
                }
                None => {
                    self.extend(rest);
                    taken = bytes.len();
                }
            }
        }
        taken
    }

    /// Whether the block is to be stored before more is pushed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ready.len() >= MAX_EVENTS || self.begun >= MAX_BLOCK
    }

    /// Whether no line is complete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Ends the last line, which may have no line feed.
    pub fn finish(&mut self) {
        if self.bytes.len() > self.begun || self.skipped.is_some() {
            self.end_line();
        }
    }

    /// The number of the line that comes next, or is not complete, from 1.
    #[must_use]
    pub const fn next_line(&self) -> u64 {
        self.complete + 1
    }

    /// The lines that are complete, with their numbers, and the bytes that they are in. What is
    /// begun stays.
    pub fn take(&mut self) -> (Vec<(u64, Line)>, Vec<u8>) {
        let rest = self.bytes.split_off(self.begun);
        self.begun = 0;
        let block = std::mem::replace(&mut self.bytes, rest);
        (std::mem::take(&mut self.ready), block)
    }

    fn extend(&mut self, bytes: &[u8]) {
        if let Some(skipped) = &mut self.skipped {
            *skipped += bytes.len();
            return;
        }
        let length = self.bytes.len() - self.begun + bytes.len();
        // A carriage return may come on top.
        if length > MAX_EVENT_BYTES + 1 {
            self.bytes.truncate(self.begun);
            self.skipped = Some(length);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        self.complete += 1;
        let line = match self.skipped.take() {
            Some(length) => Line::TooLong(length),
            None => {
                let text = &self.bytes[self.begun..];
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                let range = self.begun..self.begun + text.len();
                let blank = text.iter().all(u8::is_ascii_whitespace);
                self.begun = self.bytes.len();
                if blank {
                    return;
                }
                Line::At(range)
            }
        };
        self.ready.push((self.complete, line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(lines: &mut Lines) -> Vec<(u64, String)> {
        let (lines, bytes) = lines.take();
        let text = |line| match line {
            Line::At(range) => String::from_utf8(bytes[range].to_vec()).unwrap(),
            Line::TooLong(length) => format!("<{length}>"),
        };
        lines.into_iter().map(|(n, line)| (n, text(line))).collect()
    }

    #[test]
    fn a_block_is_full_when_it_has_enough_lines() {
        let mut lines = Lines::default();
        let text = "{}\n".repeat(MAX_EVENTS + 1);
        assert_eq!(lines.push(text.as_bytes()), 3 * MAX_EVENTS);
        assert!(lines.is_full());
        assert_eq!(lines.take().0.len(), MAX_EVENTS);
        assert_eq!(lines.push(b"{}"), 2);
        assert!(lines.is_empty());
        lines.finish();
        assert_eq!(texts(&mut lines), [(2_501, "{}".to_owned())]);
    }

    #[test]
    fn a_line_that_is_too_long_takes_no_room() {
        let mut lines = Lines::default();
        let piece = [b'x'; 8_192];
        for _ in 0..1_000 {
            assert_eq!(lines.push(&piece), piece.len());
            assert!(lines.bytes.len() <= MAX_EVENT_BYTES + 1);
        }
        lines.push(b"\n{}\n");
        let told = [(1, "<8192000>".to_owned()), (2, "{}".to_owned())];
        assert_eq!(texts(&mut lines), told);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            text in "[a-c \r\n]{0,200}",
            cuts in prop::collection::vec(1_usize..9, 1..50),
        ) {
            let mut lines = Lines::default();
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let size = cuts.next().unwrap().min(rest.len());
                prop_assert_eq!(lines.push(&rest[..size]), size);
                rest = &rest[size..];
            }
            lines.finish();
            let whole: Vec<(u64, String)> = (1..)
                .zip(text.split('\n'))
                .map(|(n, line)| (n, line.strip_suffix('\r').unwrap_or(line).to_owned()))
                .filter(|(_, line)| !line.trim().is_empty())
                .collect();
            prop_assert_eq!(texts(&mut lines), whole);
        }
    }
}
