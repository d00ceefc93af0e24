//! The rows of lists: one record each, as JSON and as a line of a table.

#![allow(
    clippy::struct_field_names,
    reason = "fields are named as clients read them"
)]

pub(in crate::http) mod event;
pub(in crate::http) mod pageview;
pub(in crate::http) mod product;
pub(in crate::http) mod purchase;
pub(in crate::http) mod refund;
pub(in crate::http) mod user;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::table::Table;
use crate::domain::money::Currency;
use crate::domain::tenant::View;
use crate::error::Problem;
use crate::reports::records::{Listed, RecordFilter, Records, RowOf};

/// A record of a list.
pub(in crate::http) trait Row: Serialize + Send + Sync + Sized + 'static {
    /// The list.
    type Of: Listed<Filter = RecordFilter, Model: Sync>;
    /// The columns of its table: its fields, in their order.
    const COLUMNS: &'static [&'static str];

    /// The records of a page, with what belongs to them.
    fn of_page(
        records: &Records<'_>,
        view: &View,
        page: Vec<RowOf<Self::Of>>,
    ) -> impl Future<Output = Result<Vec<Self>, Problem>> + Send;

    /// Writes a cell for each column.
    fn write(&self, table: &mut Table);
}

/// As JSON writes it.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Minor units as a decimal of a currency.
fn amount(minor: i64, code: &str) -> Option<String> {
    Some(Currency::from_code(code)?.format_amount(minor))
}

/// A word that is empty where there is none.
fn some(word: String) -> Option<String> {
    Some(word).filter(|word| !word.is_empty())
}
