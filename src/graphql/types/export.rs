//! The type `Export` and what it is asked with.

use async_graphql::{Enum, InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::metrics_input::MetricsInput;
use super::range::TimeRangeInput;
use crate::access::Identity;
use crate::error::{Code, Problem};
use crate::reports::Reports;
use crate::reports::exports::{self, ExportQuestion, Exported};
use crate::reports::parameters::{types, word};
use crate::reports::records::RecordFilter;

/// What is exported.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum ExportKind {
    /// Events; by `types`, `range`, `userId`, `region`, `bot`.
    Events,
    /// Pageviews; by `range`, `userId`, `region`.
    Pageviews,
    /// Users.
    Users,
    /// Lines of orders; by `range`, `userId`, `productId`, `category`, `region`.
    Purchases,
    /// Lines of what was paid back; as purchases.
    Refunds,
    /// The catalogue; by `category`.
    Products,
    /// Numbers: the answer to `metrics`.
    Metrics,
    /// All that is kept of a person: of `exportUserData` alone.
    UserData,
}

/// How a file is written.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "exports::ExportFormat")]
pub(in crate::graphql) enum ExportFormat {
    /// A table with a header: RFC 4180.
    Csv,
    /// Lines of JSON.
    Ndjson,
}

/// Which records; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(in crate::graphql) struct ExportFilter {
    /// Of any of these types: at most 50.
    types: Option<Vec<String>>,
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this product.
    product_id: Option<String>,
    /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
    category: Option<String>,
    /// Of this region.
    region: Option<String>,
    /// Of bots alone, or of others alone.
    bot: Option<bool>,
}

/// What is to be written to a file.
#[derive(InputObject)]
pub(in crate::graphql) struct ExportInput {
    /// What.
    what: ExportKind,
    /// How.
    #[graphql(default_with = "ExportFormat::Csv")]
    format: ExportFormat,
    /// Which records of a list: by what the list can be narrowed by.
    #[graphql(default)]
    filter: ExportFilter,
    /// The question, of `METRICS`.
    metrics: Option<MetricsInput>,
}

/// How far an export is.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "exports::ExportState")]
pub(in crate::graphql) enum ExportState {
    /// Nobody has begun.
    Queued,
    /// It is being written.
    Running,
    /// The file is there.
    Done,
    /// There will be no file: `error` says why.
    Failed,
    /// Its time is over, and the file is gone.
    Expired,
}

/// A list, or numbers, that are written to a file behind the requests.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Export {
    /// Names it.
    id: Uuid,
    /// How far it is.
    state: ExportState,
    /// What is exported; nothing if another version of the server was asked.
    what: Option<ExportKind>,
    /// How it is written.
    format: Option<ExportFormat>,
    /// How many rows are written.
    rows: i64,
    /// How many bytes they are, packed.
    bytes: i64,
    /// How much of it is written, from 0 to 1, about; nothing if that is not known.
    progress: Option<f64>,
    /// The code of why it failed.
    error: Option<&'static str>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When it was done, or failed.
    finished_at: Option<DateTime<Utc>>,
    /// When its file goes.
    expires_at: DateTime<Utc>,
    /// Where the file is, once it is `DONE`. In the answer of `createExport` it holds a secret, and
    /// whoever has it needs no key; anywhere else it needs the key.
    download_url: String,
}

impl Export {
    /// An export, with the secret of its link if it was just made.
    pub(in crate::graphql) fn of(export: &exports::Export, token: Option<&str>) -> Self {
        let asked = export.question.as_ref();
        let place = token.map_or_else(|| export.id.to_string(), str::to_owned);
        Self {
            id: export.id,
            state: export.state.into(),
            what: asked.map(|asked| ExportKind::of(&asked.what)),
            format: asked.map(|asked| asked.format.into()),
            rows: export.rows,
            bytes: export.bytes,
            progress: export.progress(),
            error: export.error.map(Code::name),
            created_at: export.created_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
            download_url: format!("/v1/exports/{place}"),
        }
    }
}

impl ExportKind {
    const fn of(what: &Exported) -> Self {
        match what {
            Exported::Events(_) => Self::Events,
            Exported::Pageviews(_) => Self::Pageviews,
            Exported::Users(_) => Self::Users,
            Exported::Purchases(_) => Self::Purchases,
            Exported::Refunds(_) => Self::Refunds,
            Exported::Products(_) => Self::Products,
            Exported::Metrics(_) => Self::Metrics,
            Exported::UserData(_) => Self::UserData,
        }
    }

    /// By what the list can be narrowed.
    const fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["types", "range", "userId", "region", "bot"],
            Self::Pageviews => &["range", "userId", "region"],
            Self::Purchases | Self::Refunds => {
                &["range", "userId", "productId", "category", "region"]
            }
            Self::Products => &["category"],
            Self::Users | Self::Metrics | Self::UserData => &[],
        }
    }
}

impl ExportFilter {
    /// What it narrows by.
    fn names(&self) -> Vec<&'static str> {
        let all = [
            ("types", self.types.is_some()),
            ("range", self.range.is_some()),
            ("userId", self.user_id.is_some()),
            ("productId", self.product_id.is_some()),
            ("category", self.category.is_some()),
            ("region", self.region.is_some()),
            ("bot", self.bot.is_some()),
        ];
        let asked = all.into_iter().filter(|(_, asked)| *asked);
        asked.map(|(name, _)| name).collect()
    }
}

impl TryFrom<ExportFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: ExportFilter) -> Result<Self, Problem> {
        Ok(Self {
            types: filter.types.map(types).transpose()?,
            range: filter.range.map(TryInto::try_into).transpose()?,
            user_ids: filter.user_id.map(|id| vec![id]),
            product_id: word(filter.product_id)?,
            category: word(filter.category)?,
            region: word(filter.region)?,
            bot: filter.bot,
        })
    }
}

fn refused(detail: String) -> Problem {
    Problem::with(Code::InvalidExport, detail)
}

impl ExportInput {
    /// What a holder of this identity asks.
    pub(in crate::graphql) fn question(
        self,
        reports: &Reports,
        identity: &Identity,
    ) -> Result<ExportQuestion, Problem> {
        let known = self.what.filters();
        let names = self.filter.names();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            let known = if known.is_empty() {
                "nothing".to_owned()
            } else {
                format!("`{}`", known.join("`, `"))
            };
            return Err(refused(format!(
                "This export cannot be narrowed by `{name}`, but by {known}."
            )));
        }
        if self.what == ExportKind::UserData {
            let detail = "What is kept of a person is asked for with `exportUserData`.";
            return Err(refused(detail.to_owned()));
        }
        let is_metrics = self.what == ExportKind::Metrics;
        if self.metrics.is_some() != is_metrics {
            let detail = "`metrics` is the question of `METRICS`, and of nothing else.";
            return Err(refused(detail.to_owned()));
        }
        let filter: RecordFilter = self.filter.try_into()?;
        let what = match (self.what, self.metrics) {
            (_, Some(input)) => {
                let mut question = input.question(reports, identity)?;
                // There is nobody to read a plan.
                question.explain = false;
                Exported::Metrics(Box::new(question))
            }
            (ExportKind::Pageviews, None) => Exported::Pageviews(filter),
            (ExportKind::Users, None) => Exported::Users(filter),
            (ExportKind::Purchases, None) => Exported::Purchases(filter),
            (ExportKind::Refunds, None) => Exported::Refunds(filter),
            (ExportKind::Products, None) => Exported::Products(filter),
            (ExportKind::Events | ExportKind::Metrics | ExportKind::UserData, None) => {
                Exported::Events(filter)
            }
        };
        Ok(ExportQuestion {
            what,
            format: self.format.into(),
        })
    }
}
