//! The question of `metrics`.

use async_graphql::{Enum, InputObject, OneofObject};

use super::range::{Granularity, TimeRangeInput};
use crate::access::Identity;
use crate::domain::condition::{Condition, Key, MAX_DEPTH, MAX_VALUES, Test};
use crate::domain::event::EventType;
use crate::domain::measure;
use crate::domain::money::{Currency, Decimal};
use crate::error::{Code, Problem};
use crate::reports::Reports;
use crate::reports::metrics::{self, MetricsQuestion, Span};
use crate::reports::parameters::{staleness, zone};

/// How many groups an answer has unless it is asked for more.
const DEFAULT_LIMIT: i32 = 50;
/// How many names a property's path may have, and how many bytes a value.
const MAX_PATH: usize = 16;
const MAX_VALUE: usize = 2_048;
/// How many digits a number in a filter may have.
const MAX_DIGITS: usize = 40;

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

/// Which facts count.
#[derive(OneofObject)]
pub(in crate::graphql) enum MetricsFilter {
    /// Those for which all of these hold.
    And(Vec<MetricsFilter>),
    /// Those for which one of these holds.
    Or(Vec<MetricsFilter>),
    /// Those for which this does not hold.
    Not(Box<MetricsFilter>),
    /// Those of some values of a dimension.
    Dimension(DimensionFilter),
    /// Those of events with some property; for orders, of the order's event.
    Property(PropertyFilter),
}

/// Some values of a dimension.
#[derive(InputObject)]
pub(in crate::graphql) struct DimensionFilter {
    /// Of which.
    dimension: Dimension,
    /// One of these: at most 100. A category stands for those below it, too; empty for facts
    /// without one.
    r#in: Vec<String>,
}

/// What is asked of a property; exactly one of `exists`, `in`, `min` and `max`.
#[derive(InputObject)]
pub(in crate::graphql) struct PropertyFilter {
    /// Its name, after those of the objects that it lies in: at most 16.
    path: Vec<String>,
    /// That it is there, or is not, or is null.
    exists: Option<bool>,
    /// That it is one of these texts; numbers as they were sent.
    r#in: Option<Vec<String>>,
    /// That it is a number, of at least this.
    min: Option<Decimal>,
    /// That it is a number, of at most this.
    max: Option<Decimal>,
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
    /// The one of the same length that ends where the range begins.
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
    #[graphql(default_with = "DEFAULT_LIMIT")]
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
        let currency = self.currency.as_deref().map(|code| {
            Currency::from_code(code).ok_or_else(|| Problem::from(Code::InvalidCurrency))
        });
        let currency = currency.transpose()?;
        let level = self.category_level;
        let key = |dimension: Dimension| Key {
            dimension: dimension.into(),
            level: level.filter(|_| dimension == Dimension::Category),
        };
        if level.is_some_and(|level| level < 1) {
            let detail = "`categoryLevel` is 1 or more.";
            return Err(Problem::with(Code::InvalidMetrics, detail));
        }
        let count = |number: i32| usize::try_from(number).unwrap_or(0);
        let condition = |filter: MetricsFilter| filter.condition(MAX_DEPTH);
        Ok(MetricsQuestion {
            tenant: identity.tenant,
            tenant_zone: identity.timezone,
            measures: self.measures.into_iter().map(Into::into).collect(),
            keys: self.dimensions.into_iter().map(key).collect(),
            range: reports.range(self.range.try_into()?, week_start, zone)?,
            granularity: self.granularity.into(),
            week_start,
            zone,
            filter: self.filter.map(condition).transpose()?,
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
            currency: currency.unwrap_or(identity.currency),
            buyers_by_currency: currency.is_some(),
            bots: self.include_bots,
            max_staleness: staleness(self.max_staleness)?,
            explain: self.explain,
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

fn refused(detail: impl Into<String>) -> Problem {
    Problem::with(Code::InvalidFilter, detail)
}

/// Values that the database can be asked for.
fn values(values: Vec<String>) -> Result<Vec<String>, Problem> {
    let is_good = |value: &String| value.len() <= MAX_VALUE && !value.contains('\0');
    if values.len() > MAX_VALUES || !values.iter().all(is_good) {
        let detail = format!(
            "A filter lists at most {MAX_VALUES} values, of {MAX_VALUE} bytes without NUL at most."
        );
        return Err(refused(detail));
    }
    Ok(values)
}

/// A plain decimal, which PostgreSQL reads as a number.
fn number(Decimal(text): Decimal) -> Result<String, Problem> {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > MAX_DIGITS || !is_number(whole) || !is_number(fraction) {
        return Err(refused("`min` and `max` are plain decimals such as -1.5."));
    }
    Ok(text)
}

impl MetricsFilter {
    fn condition(self, depth: usize) -> Result<Condition, Problem> {
        if depth == 0 {
            let detail = format!("A filter nests at most {MAX_DEPTH} deep.");
            return Err(refused(detail));
        }
        let all = |inner: Vec<Self>| {
            let conditions = inner.into_iter().map(|one| one.condition(depth - 1));
            conditions.collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::And(inner) => Condition::All(all(inner)?),
            Self::Or(inner) => Condition::Any(all(inner)?),
            Self::Not(inner) => Condition::Not(Box::new(inner.condition(depth - 1)?)),
            Self::Dimension(filter) => {
                let mut listed = values(filter.r#in)?;
                if filter.dimension == Dimension::EventType {
                    // As they are stored: `page_view` is `pageview`.
                    let stored = |name: &String| Some(EventType::parse(name)?.as_str().to_owned());
                    let stored: Option<Vec<String>> = listed.iter().map(stored).collect();
                    listed = stored.ok_or(Code::InvalidEventType)?;
                }
                Condition::Among(filter.dimension.into(), listed)
            }
            Self::Property(filter) => filter.condition()?,
        })
    }
}

impl PropertyFilter {
    fn condition(self) -> Result<Condition, Problem> {
        let path = values(self.path)?;
        if path.is_empty() || path.len() > MAX_PATH {
            return Err(refused(format!("A path has 1 to {MAX_PATH} names.")));
        }
        let property = |test| Condition::Property(path.clone(), test);
        match (self.exists, self.r#in, self.min, self.max) {
            (Some(true), None, None, None) => Ok(property(Test::Exists)),
            (Some(false), None, None, None) => Ok(Condition::Not(Box::new(property(Test::Exists)))),
            (None, Some(listed), None, None) => Ok(property(Test::Among(values(listed)?))),
            (None, None, Some(min), None) => Ok(property(Test::AtLeast(number(min)?))),
            (None, None, None, Some(max)) => Ok(property(Test::AtMost(number(max)?))),
            _ => Err(refused(
                "Ask exactly one of `exists`, `in`, `min` and `max` of a property.",
            )),
        }
    }
}
