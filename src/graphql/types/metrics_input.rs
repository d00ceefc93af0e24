//! The question of `metrics`.

use async_graphql::{Enum, InputObject, OneofObject};

use super::metrics_filter::MetricsFilter;
use super::range::{Granularity, TimeRangeInput};
use crate::access::Identity;
use crate::domain::measure;
use crate::error::{Code, Problem};
use crate::reports::Reports;
use crate::reports::metrics::{self, LIMIT, MetricsQuestion, Span};
use crate::reports::parameters::{currency, keys, staleness, zone};

/// A number that can be asked for.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "measure::Measure")]
pub(in crate::graphql) enum Measure {
    /// What was paid. An amount of the currency.
    Revenue,
    /// Revenue without refunds; below zero where more was paid back. An amount.
    NetRevenue,
    /// What was paid back, at the time it was, of whatever order. An amount.
    Refunds,
    /// How many orders.
    Orders,
    /// How many pieces were sold.
    Units,
    /// Revenue over orders. An amount.
    AverageOrderValue,
    /// How many different users bought, in whatever currency unless `currency` is given.
    Buyers,
    /// How many of them had never bought before, in whatever currency.
    NewBuyers,
    /// How many events.
    Events,
    /// How many pages were seen.
    Pageviews,
    /// How many different users did anything.
    Users,
    /// How many of them had never done anything before.
    NewUsers,
    /// How many sessions began: what one user did under one session id on one day of the tenant's
    /// time zone.
    Sessions,
    /// The share of sessions of one event, from 0 to 1.
    BounceRate,
    /// The mean time between the first and the last event of a session, in seconds.
    SessionDuration,
    /// Buyers over users, from 0 to 1.
    ConversionRate,
    /// How often something was put into a cart: events of the type `add_to_cart`.
    CartAdds,
    /// The share of the users who put something into a cart in a bucket that did not buy in it,
    /// from 0 to 1.
    CartAbandonmentRate,
    /// Revenue over users. An amount.
    RevenuePerUser,
}

/// By what numbers can be told apart, and narrowed.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "measure::Dimension")]
pub(in crate::graphql) enum Dimension {
    /// The type of the event.
    EventType,
    /// The product's category when it was bought, as `Kitchen > Coffee`.
    Category,
    /// The product's id.
    Product,
    /// Where the user was.
    Region,
    /// What brought the user.
    Channel,
    /// The campaign that brought the user.
    Campaign,
    /// What the user agent is of: `desktop`, `mobile`, `tablet`, or empty without one.
    Device,
    /// ISO 4217. Amounts of each are told apart, never converted.
    Currency,
    /// The page's address.
    PageUrl,
    /// The month of the user's first purchase in the tenant's time zone, as `2026-03`; empty for
    /// who has never bought.
    UserCohort,
}

/// A range of time.
#[derive(OneofObject)]
pub(in crate::graphql) enum MetricsRange {
    /// Between two instants.
    Between(TimeRangeInput),
    /// So many hours, days, months... until now.
    Last(LastInput),
    /// From the beginning of the current day, month, year... until now.
    ToDate(Granularity),
}

/// So many of a unit.
#[derive(InputObject)]
pub(in crate::graphql) struct LastInput {
    /// How many, from 1.
    count: i32,
    /// Of these; of days and longer ones as the wall clock goes.
    unit: Granularity,
}

/// Beside which range the numbers are shown.
#[derive(OneofObject)]
pub(in crate::graphql) enum CompareTo {
    /// One that follows from the range.
    Previous(Previous),
    /// This one.
    Range(TimeRangeInput),
}

/// A range before another.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::graphql) enum Previous {
    /// The one of the same length that ends where the range begins; of `toDate`, as much of the
    /// previous day, month, year...
    PreviousPeriod,
    /// The same on the calendar, a year before.
    PreviousYear,
}

/// What stands in a bucket in which nothing was.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "metrics::Fill")]
pub(in crate::graphql) enum Fill {
    /// 0; of a ratio nothing.
    Zero,
    /// Nothing.
    Null,
    /// What the bucket before has.
    Previous,
    /// What lies on a line between the buckets before and after that have something.
    Linear,
}

/// What is made of a window.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "metrics::Window")]
pub(in crate::graphql) enum WindowFunction {
    /// The sum of its buckets.
    Sum,
    /// Their mean.
    Mean,
}

/// Values over several buckets, the last of which is the bucket itself; nothing where there are not
/// that many.
#[derive(InputObject)]
pub(in crate::graphql) struct RollingInput {
    /// How many buckets: 1 to 366.
    buckets: i32,
    /// What is made of them.
    #[graphql(default_with = "WindowFunction::Mean")]
    function: WindowFunction,
}

/// Which groups come first.
#[derive(InputObject)]
pub(in crate::graphql) struct MetricsOrder {
    /// By the total of which measure.
    measure: Measure,
    /// Whether the largest comes first.
    #[graphql(default = true)]
    descending: bool,
}

/// On which day weeks begin.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "chrono::Weekday", rename_items = "SCREAMING_SNAKE_CASE")]
pub(in crate::graphql) enum WeekDay {
    /// Monday, as ISO 8601 says.
    #[graphql(name = "MONDAY")]
    Mon,
    /// Tuesday.
    #[graphql(name = "TUESDAY")]
    Tue,
    /// Wednesday.
    #[graphql(name = "WEDNESDAY")]
    Wed,
    /// Thursday.
    #[graphql(name = "THURSDAY")]
    Thu,
    /// Friday.
    #[graphql(name = "FRIDAY")]
    Fri,
    /// Saturday.
    #[graphql(name = "SATURDAY")]
    Sat,
    /// Sunday.
    #[graphql(name = "SUNDAY")]
    Sun,
}

/// What is asked of `metrics`.
#[derive(InputObject)]
pub(in crate::graphql) struct MetricsInput {
    /// 1 to 10.
    measures: Vec<Measure>,
    /// At most 3; each measure must have them.
    #[graphql(default)]
    dimensions: Vec<Dimension>,
    /// With `CATEGORY`: so many names of the path, from the department; the whole path if absent.
    category_level: Option<i32>,
    /// From when to when; widened to whole minutes.
    range: MetricsRange,
    /// How long a bucket is, on the wall clock of the time zone.
    #[graphql(default_with = "Granularity::Total")]
    granularity: Granularity,
    /// On which day weeks begin.
    #[graphql(default_with = "WeekDay::Mon")]
    week_start: WeekDay,
    /// An IANA name such as Europe/Berlin; the tenant's if absent.
    timezone: Option<String>,
    /// Which facts count; all if absent. Up to 50 conditions, 8 deep.
    filter: Option<MetricsFilter>,
    /// Beside which other range.
    compare_to: Option<CompareTo>,
    /// What stands in a bucket in which nothing was.
    #[graphql(default_with = "Fill::Zero")]
    fill: Fill,
    /// Over several buckets at a time, once they are filled.
    rolling: Option<RollingInput>,
    /// Which groups come first: those with the most of the first measure, if absent.
    order_by: Option<MetricsOrder>,
    /// How many groups, from 1 to 1,000; all others are one together.
    #[graphql(default_with = "i32::from(LIMIT)")]
    limit: i32,
    /// ISO 4217; the tenant's if absent. Orders in others are left out, unless `CURRENCY` tells
    /// them apart.
    currency: Option<String>,
    /// Whether to count what bots did, too.
    #[graphql(default)]
    include_bots: bool,
    /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it.
    #[graphql(default)]
    max_staleness: i32,
    /// Whether to answer with the plan alone, and read nothing.
    #[graphql(default)]
    explain: bool,
}

impl MetricsInput {
    /// What a holder of this identity asks.
    pub(in crate::graphql) fn question(
        self,
        reports: &Reports,
        identity: &Identity,
    ) -> Result<MetricsQuestion, Problem> {
        let zone = zone(self.timezone.as_deref(), identity.timezone)?;
        let week_start = self.week_start.into();
        let named = self.currency.is_some();
        let span = self.range.try_into()?;
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let measures = self.measures.into_iter().map(Into::into).collect();
        let dimensions = self.dimensions.into_iter().map(Into::into).collect();
        let range = reports.range(span, week_start, zone)?;
        Ok(MetricsQuestion {
            keys: keys(dimensions, self.category_level)?,
            to_date: span.to_date(),
            granularity: self.granularity.into(),
            week_start,
            zone,
            filter: self.filter.map(TryInto::try_into).transpose()?,
            compare: self.compare_to.map(TryInto::try_into).transpose()?,
            fill: self.fill.into(),
            rolling: self.rolling.map(|rolling| metrics::Rolling {
                buckets: count(rolling.buckets),
                window: rolling.function.into(),
            }),
            order: self.order_by.map(|order| metrics::Order {
                measure: order.measure.into(),
                descending: order.descending,
            }),
            limit: count(self.limit),
            currency: currency(self.currency.as_deref(), identity.currency)?,
            buyers_by_currency: named,
            bots: self.include_bots,
            max_staleness: staleness(self.max_staleness)?,
            explain: self.explain,
            ..MetricsQuestion::plain(&identity.shop(), measures, range)
        })
    }
}

impl TryFrom<MetricsRange> for Span {
    type Error = Problem;

    fn try_from(range: MetricsRange) -> Result<Self, Problem> {
        Ok(match range {
            MetricsRange::Between(range) => Self::Between(range.try_into()?),
            MetricsRange::ToDate(unit) => Self::ToDate(unit.into()),
            MetricsRange::Last(LastInput { count, unit }) => {
                let count = u32::try_from(count).map_err(|_| Code::InvalidRange)?;
                Self::Last(count, unit.into())
            }
        })
    }
}

impl TryFrom<CompareTo> for metrics::Compare {
    type Error = Problem;

    fn try_from(compare: CompareTo) -> Result<Self, Problem> {
        Ok(match compare {
            CompareTo::Previous(Previous::PreviousPeriod) => Self::PreviousPeriod,
            CompareTo::Previous(Previous::PreviousYear) => Self::PreviousYear,
            CompareTo::Range(range) => Self::Range(range.try_into()?),
        })
    }
}
