//! Order lines as CSV (RFC 4180) with a header line; a field may not hold a line break.

use super::columns::Columns;
use super::source::{Lines, Numbered};
use crate::cli::Failure;

/// Reads CSV.
#[derive(Debug)]
pub(super) struct Reader {
    header: Option<Vec<String>>,
    columns: Columns,
    /// Of the header.
    flaw: Option<String>,
}

impl Reader {
    pub(super) fn new(columns: Columns) -> Self {
        Self {
            header: None,
            columns,
            flaw: None,
        }
    }
}

impl Lines for Reader {
    fn read(&mut self, number: u64, line: &str) -> Result<Numbered, Failure> {
        if line.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(line.as_bytes());
        let fields: Vec<String> = match reader.records().next() {
            Some(record) => record
                .map_err(|error| self.columns.unreadable(number, &error))?
                .iter()
                .map(|field| field.trim().to_owned())
                .collect(),
            None => return Ok(Vec::new()),
        };
        let Some(header) = &self.header else {
            let mut header = fields;
            if let Some(first) = header.first_mut() {
                // A byte order mark, as spreadsheets write it.
                *first = first.trim_start_matches('\u{feff}').to_owned();
            }
            let missing = self.columns.mapped().find(|name| !header.contains(name));
            self.flaw = missing.map(|name| {
                let known = header.join(", ");
                format!("there is no column `{name}`; there are: {known}")
            });
            self.header = Some(header);
            return Ok(Vec::new());
        };
        if fields.len() != header.len() {
            let (found, expected) = (fields.len(), header.len());
            let why = format!("{found} fields where the header has {expected}");
            return Err(self.columns.unreadable(number, &why));
        }
        self.columns.read(number, |name| {
            let n = header.iter().position(|column| column == name)?;
            fields.get(n).cloned()
        })
    }

    fn flaw(&self) -> Option<&str> {
        self.flaw.as_deref()
    }

    fn finish(&mut self) -> Numbered {
        self.columns.finish()
    }
}
