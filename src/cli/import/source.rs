//! A file read line by line into events, with a progress bar and a bound on memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::cli::Failure;

/// The longest line.
const MAX_LINE: u64 = 1024 * 1024;
/// Where a batch ends even if it has few events: the API takes bodies of 4 MiB, and a line more may
/// come on top.
const MAX_BATCH: usize = 2 * 1024 * 1024;
/// Where the ids of imported events come from.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d5e_41b7_3f0c_4e5e_8a41_6a34_15a1_77c2);

/// Events with the numbers of the lines that they begin at.
pub(in crate::cli) type Numbered = Vec<(u64, Value)>;

/// What was read: events as JSON with the numbers of the lines that they begin at, or what is wrong with a
/// line that cannot be read.
pub(in crate::cli) type Batch = Vec<(u64, Result<Box<RawValue>, String>)>;

/// A format: turns lines into events.
pub(in crate::cli) trait Lines {
    /// Reads a line; answers the events that are complete now, or what is wrong with the line.
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure>;
    /// Why nothing of the file can be read as it is meant, as far as the lines so far tell.
    fn flaw(&self) -> Option<&str> {
        None
    }
    /// Answers what is still open at the end of the file.
    fn finish(&mut self) -> Numbered {
        Vec::new()
    }
}

/// The id of an event: of what it says and of which time it says it.
pub(in crate::cli) fn event_id(content: &str, occurrence: u32) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{content}#{occurrence}").as_bytes())
}

/// How often each content was seen. Keeps a hash of it: contents are as long as lines.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<Uuid, u32>);

impl Seen {
    /// The id of the next event that says this.
    pub(super) fn next_id(&mut self, content: &str) -> Uuid {
        let occurrence = self.0.entry(event_id(content, 0)).or_default();
        *occurrence += 1;
        event_id(content, *occurrence)
    }
}

/// A file that is being read.
pub(in crate::cli) struct Source<L> {
    reader: BufReader<File>,
    format: L,
    size: u64,
    bytes_read: u64,
    line: u64,
    finished: bool,
}

impl<L: Lines> Source<L> {
    /// Opens a file of a format.
    pub(in crate::cli) fn open(path: &Path, format: L) -> Result<Self, Failure> {
        let named = |error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(named)?;
        let size = file.metadata().map_err(named)?.len();
        Ok(Self {
            reader: BufReader::new(file),
            format,
            size,
            bytes_read: 0,
            line: 0,
            finished: false,
        })
    }

    /// How far the file is read.
    pub(in crate::cli) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// A bar as long as the file.
    pub(in crate::cli) fn progress(&self, label: &'static str) -> ProgressBar {
        let template = format!("{label} {{bar:30}} {{bytes}}/{{total_bytes}}");
        let style = ProgressStyle::with_template(&template).expect("the template is well formed");
        ProgressBar::new(self.size).with_style(style)
    }

    /// The next events, about `size` of them or [`MAX_BATCH`] bytes of JSON; none at the end.
    pub(in crate::cli) fn next_batch(&mut self, size: usize) -> Result<Batch, Failure> {
        let mut batch = Vec::with_capacity(size);
        let mut bytes = 0;
        let mut line = String::new();
        while batch.len() < size && bytes < MAX_BATCH && !self.finished {
            line.clear();
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_line(&mut line);
            let read = u64::try_from(read.map_err(|error| self.at_line(&error))?)?;
            if read > MAX_LINE {
                return Err(self.at_line(&"the line is too long").into());
            }
            self.bytes_read += read;
            self.line += 1;
            let events = if read == 0 {
                self.finished = true;
                self.format.finish()
            } else {
                let text = line.trim_end_matches(['\n', '\r']);
                let events = self.format.read(self.line, text);
                if let Some(flaw) = self.format.flaw() {
                    return Err(self.at_line(&flaw).into());
                }
                match events {
                    Ok(events) => events,
                    Err(error) => {
                        let why = error.to_string().trim_end().to_owned();
                        bytes += why.len();
                        batch.push((self.line, Err(why)));
                        continue;
                    }
                }
            };
            for (line, event) in events {
                // Order lines of a few bytes become many times as much.
                let event = to_raw_value(&event)?;
                bytes += event.get().len();
                batch.push((line, Ok(event)));
            }
        }
        Ok(batch)
    }

    fn at_line(&self, error: &dyn std::fmt::Display) -> String {
        format!("line {}: {error}", self.line + u64::from(self.line == 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line is an event.
    struct Texts;

    impl Lines for Texts {
        fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure> {
            Ok(vec![(number, line.into())])
        }
    }

    #[test]
    fn a_batch_of_long_lines_stays_below_what_the_api_takes_and_no_line_is_lost() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("long");
        let line = "x".repeat(900 * 1024) + "\n";
        std::fs::write(&path, line.repeat(10) + &"short\n".repeat(3_000)).unwrap();

        let mut source = Source::open(&path, Texts).unwrap();
        let mut lines = Vec::new();
        loop {
            let batch = source.next_batch(2_000).unwrap();
            if batch.is_empty() {
                break;
            }
            let events: Vec<&Box<RawValue>> = batch.iter().flat_map(|(_, event)| event).collect();
            assert!(serde_json::to_vec(&events).unwrap().len() < 4 * 1024 * 1024);
            lines.push((batch[0].0, batch.len()));
        }
        let expected = [(1, 3), (4, 3), (7, 3), (10, 2_000), (2_010, 1_001)];
        assert_eq!(lines, expected);
    }
}
