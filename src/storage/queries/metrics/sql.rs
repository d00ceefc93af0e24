//! A statement under construction: its text, and the values that are bound in it.

use std::fmt::Write as _;

use sea_orm::{DbBackend, Statement, Value};

use super::{Cut, Groups};

/// The statement.
#[derive(Debug, Default)]
pub(super) struct Sql {
    /// Common table expressions that were asked for.
    with: Vec<String>,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// Binds a value; the text that stands for it.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Defines a table for the rest of the statement, once.
    pub(super) fn with(&mut self, definition: String) {
        if !self.with.contains(&definition) {
            self.with.push(definition);
        }
    }

    /// Groups rows by bucket and keys. `from` goes on after the columns.
    pub(super) fn select(
        &mut self,
        cut: &Cut<'_>,
        keys: &[String],
        bucket: &str,
        quantities: &[&str],
        rows_read: &str,
        from: &str,
    ) {
        let keys: &[String] = match cut.groups {
            Groups::Except(_) => &[],
            Groups::All | Groups::Only(_) => keys,
        };
        let mut inner = format!("SELECT {bucket} AS bucket");
        for (n, key) in keys.iter().enumerate() {
            let _ = write!(inner, ", {key} AS k{n}");
        }
        for (n, quantity) in quantities.iter().enumerate() {
            let _ = write!(inner, ", {quantity} AS q{n}");
        }
        let _ = write!(
            inner,
            ", ({rows_read})::bigint AS rows_read {from} GROUP BY 1"
        );
        for n in 0..keys.len() {
            let _ = write!(inner, ", {}", n + 2);
        }
        let list = |name: char, count: usize, cast: &str| {
            let items: Vec<String> = (0..count).map(|n| format!("{name}{n}{cast}")).collect();
            items.join(", ")
        };
        self.text = format!(
            "SELECT bucket, ARRAY[{}]::text[] AS key, ARRAY[{}]::text[] AS quantities, rows_read
             FROM ({inner}) AS grouped",
            list('k', keys.len(), ""),
            list('q', quantities.len(), "::text"),
        );
    }

    /// The statement itself, where it is none that groups sums.
    pub(super) fn text(&mut self, text: String) {
        self.text = text;
    }

    /// Whether a fact with these keys is of the groups that are asked for.
    pub(super) fn groups(&mut self, cut: &Cut<'_>, keys: &[String]) -> String {
        let (groups, not) = match cut.groups {
            Groups::All => return "true".to_owned(),
            Groups::Only(groups) => (groups, ""),
            Groups::Except(groups) => (groups, "NOT "),
        };
        let columns: Vec<String> = (0..keys.len())
            .map(|n| {
                let column: Vec<String> = groups.iter().map(|group| group[n].clone()).collect();
                format!("{}::text[]", self.bind(column))
            })
            .collect();
        format!(
            "{not}({}) IN (SELECT * FROM unnest({}))",
            keys.join(", "),
            columns.join(", ")
        )
    }

    /// The statement as it stands.
    pub(super) fn whole(self) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, self.text, self.values)
    }

    /// The statement, of so many rows at most.
    pub(super) fn limited(mut self, limit: u32) -> Statement {
        let limit = self.bind(i64::from(limit));
        let with = if self.with.is_empty() {
            String::new()
        } else {
            format!("WITH {} ", self.with.join(", "))
        };
        let text = format!("{with}{} LIMIT {limit}", self.text);
        Statement::from_sql_and_values(DbBackend::Postgres, text, self.values)
    }
}
