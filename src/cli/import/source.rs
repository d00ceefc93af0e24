//! A file read line by line into events, with a progress bar and a bound on memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use uuid::Uuid;

use crate::cli::Failure;

/// The longest line.
const MAX_LINE: u64 = 1024 * 1024;
/// Where the ids of imported events come from.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d5e_41b7_3f0c_4e5e_8a41_6a34_15a1_77c2);

/// Events with the numbers of the lines that they begin at.
pub(in crate::cli) type Numbered = Vec<(u64, Value)>;

/// What was read: events with the numbers of the lines that they begin at, or what is wrong with a
/// line that cannot be read.
pub(in crate::cli) type Batch = Vec<(u64, Result<Value, String>)>;

/// A format: turns lines into events.
pub(in crate::cli) trait Lines {
    /// Reads a line; answers the events that are complete now, or what is wrong with the line.
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure>;
    /// Answers what is still open at the end of the file.
    fn finish(&mut self) -> Numbered {
        Vec::new()
    }
}

/// The id of an event: of what it says and of which time it says it.
pub(in crate::cli) fn event_id(content: &str, occurrence: u32) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{content}#{occurrence}").as_bytes())
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

    /// The next events, about `size` of them; none at the end.
    pub(in crate::cli) fn next_batch(&mut self, size: usize) -> Result<Batch, Failure> {
        let mut batch = Vec::with_capacity(size);
        let mut line = String::new();
        while batch.len() < size && !self.finished {
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
                match self.format.read(self.line, text) {
                    Ok(events) => events,
                    Err(error) => {
                        batch.push((self.line, Err(error.to_string().trim_end().to_owned())));
                        continue;
                    }
                }
            };
            batch.extend(events.into_iter().map(|(line, event)| (line, Ok(event))));
        }
        Ok(batch)
    }

    fn at_line(&self, error: &dyn std::fmt::Display) -> String {
        format!("line {}: {error}", self.line + u64::from(self.line == 0))
    }
}
