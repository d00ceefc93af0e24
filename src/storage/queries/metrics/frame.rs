//! Where facts are, and where in them a dimension is found.

use super::sql::Sql;
use super::{Cut, Key, Span};
use crate::domain::condition::{Condition, PATH, Test};
use crate::domain::measure::Dimension;
use crate::domain::tenant::RowScope;
use crate::storage::entity::sales_minute::Grain;

/// What the program of a fact runs on, if it has one.
pub(super) const DEVICE: &str = "coalesce(user_agent.device, '')";

/// The month in which each user bought first.
const COHORT: &str = "cohort AS (
    SELECT coalesce(canonical_id, user_id) AS user_id, to_char(min(day), 'YYYY-MM') AS month
    FROM user_day LEFT JOIN user_alias USING (tenant_id, user_id)
    WHERE tenant_id = $tenant AND $whole AND activity & 4 <> 0
    GROUP BY 1)";

/// What a rollup calls its time.
pub(super) const fn unit(span: Span) -> &'static str {
    match span {
        Span::Minute => "minute",
        Span::Quarter => "quarter",
    }
}

/// Rows that have a time and dimensions; those of facts are called `fact`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Sales(Grain, Span),
    Traffic(Span),
    /// The lines of orders and refunds.
    Lines,
    Events,
}

impl Frame {
    /// When it was.
    pub(super) const fn time(self) -> &'static str {
        match self {
            Self::Sales(_, Span::Minute) | Self::Traffic(Span::Minute) => "fact.minute",
            Self::Sales(..) | Self::Traffic(_) => "fact.quarter",
            Self::Lines | Self::Events => "fact.timestamp",
        }
    }

    const fn is_rollup(self) -> bool {
        matches!(self, Self::Sales(..) | Self::Traffic(_))
    }

    /// The rows of the cut's range, joined with whatever its keys and conditions speak of, and
    /// with the user of each fact as `user_alias`.
    pub(super) fn from(self, sql: &mut Sql, cut: &Cut<'_>) -> String {
        let (first, last) = (cut.bounds[0], cut.bounds[cut.bounds.len() - 1]);
        let (from, to) = (sql.bind(first), sql.bind(last));
        self.between(sql, cut, &from, &to)
    }

    /// The same between other bounds.
    pub(super) fn between(self, sql: &mut Sql, cut: &Cut<'_>, from: &str, to: &str) -> String {
        let tenant = sql.bind(cut.view.tenant().0);
        let bots = sql.bind(cut.bots);
        let visible = self.visible(sql, cut);
        let within = |time: &str| {
            format!(
                "tenant_id = {tenant} AND {time} >= {from} AND {time} < {to}
                 AND (NOT bot OR {bots}){visible}"
            )
        };
        let text = match self {
            Self::Sales(grain, span) => {
                let (grain, unit) = (sql.bind(grain as i16), unit(span));
                let within = within(unit);
                format!("(SELECT * FROM sales_{unit} WHERE grain = {grain} AND {within}) AS fact")
            }
            Self::Traffic(span) => {
                let unit = unit(span);
                format!(
                    "(SELECT * FROM traffic_{unit} WHERE {}) AS fact",
                    within(unit)
                )
            }
            Self::Events => format!(
                "(SELECT * FROM event WHERE {}) AS fact",
                within("timestamp")
            ),
            Self::Lines => format!(
                "(SELECT tenant_id, timestamp, event_id, user_id, product_id, currency, category,
                         region, channel, quantity::bigint AS units, amount AS revenue,
                         0::bigint AS refunds, true AS sold
                  FROM purchase WHERE {within}
                  UNION ALL
                  SELECT tenant_id, timestamp, event_id, user_id, product_id, currency, category,
                         region, channel, 0, 0, amount, false
                  FROM refund WHERE {within}) AS fact",
                within = within("timestamp")
            ),
        };
        if self.is_rollup() {
            return text;
        }
        let mentioned = mentioned(cut);
        let has = |dimension| mentioned.contains(&dimension);
        let properties = cut.filter.is_some_and(Condition::has_properties);
        let of_event = properties || has(Dimension::Campaign) || has(Dimension::Device);
        let mut joins = vec![text];
        if self == Self::Lines && of_event {
            joins.push(format!(
                "JOIN event ON event.tenant_id = {tenant} AND event.timestamp = fact.timestamp
                      AND event.event_id = fact.event_id
                      AND event.timestamp >= {from} AND event.timestamp < {to}"
            ));
        }
        if has(Dimension::Device) {
            joins.push(format!(
                "LEFT JOIN user_agent ON user_agent.tenant_id = {tenant}
                      AND user_agent.user_agent_id = {}.user_agent_id",
                self.event()
            ));
        }
        joins.push(format!(
            "LEFT JOIN user_alias ON user_alias.tenant_id = {tenant}
                  AND user_alias.user_id = fact.user_id"
        ));
        if has(Dimension::UserCohort) {
            let cohort = COHORT.replace("$tenant", &tenant);
            sql.with(cohort.replace("$whole", whole(cut)));
            let join = "LEFT JOIN cohort ON cohort.user_id = coalesce(canonical_id, fact.user_id)";
            joins.push(join.to_owned());
        }
        joins.join(" ")
    }

    /// What of the rows the cut's view shows: the others are as if they were not there. Nothing is
    /// shown of a table that lacks what the view is limited by.
    fn visible(self, sql: &mut Sql, cut: &Cut<'_>) -> String {
        let limits = cut.view.rows().into_iter().flat_map(RowScope::limits);
        let one = |(dimension, values): (Dimension, &[String])| {
            let has_lines = matches!(self, Self::Sales(..) | Self::Lines);
            let condition = match dimension {
                Dimension::Region if !matches!(self, Self::Traffic(_)) => {
                    format!("region = ANY({})", sql.bind(values.to_vec()))
                }
                Dimension::Product if has_lines => {
                    format!("product_id = ANY({})", sql.bind(values.to_vec()))
                }
                Dimension::Category if has_lines => {
                    let (values, path) = (sql.bind(values.to_vec()), sql.bind(PATH));
                    format!(
                        "EXISTS (SELECT FROM unnest({values}::text[]) AS seen
                                 WHERE category = seen OR starts_with(category, seen || {path}))"
                    )
                }
                _ => "false".to_owned(),
            };
            format!(" AND {condition}")
        };
        limits.map(one).collect()
    }

    /// What has the columns that only events have.
    const fn event(self) -> &'static str {
        match self {
            Self::Lines => "event",
            _ => "fact",
        }
    }

    /// The expressions of the cut's keys; none is ever null.
    pub(super) fn keys(self, sql: &mut Sql, cut: &Cut<'_>) -> Vec<String> {
        cut.keys.iter().map(|key| self.key(sql, *key)).collect()
    }

    fn key(self, sql: &mut Sql, Key { dimension, level }: Key) -> String {
        let plain = self.dimension(dimension);
        match level {
            Some(level) if dimension == Dimension::Category => {
                let (level, path) = (sql.bind(level), sql.bind(PATH));
                format!("array_to_string((string_to_array({plain}, {path}))[1:{level}], {path})")
            }
            _ => plain,
        }
    }

    fn dimension(self, dimension: Dimension) -> String {
        match dimension {
            Dimension::EventType => "fact.event_type".to_owned(),
            Dimension::Category => "fact.category".to_owned(),
            Dimension::Product => "fact.product_id".to_owned(),
            Dimension::Currency => "fact.currency".to_owned(),
            Dimension::Region => "coalesce(fact.region, '')".to_owned(),
            Dimension::Channel => "coalesce(fact.channel, '')".to_owned(),
            Dimension::PageUrl => "coalesce(fact.page_url, '')".to_owned(),
            Dimension::Campaign => format!("coalesce({}.campaign, '')", self.event()),
            Dimension::Device => DEVICE.to_owned(),
            Dimension::UserCohort => "coalesce(cohort.month, '')".to_owned(),
        }
    }

    /// Whether a row counts: by filter, currency and group.
    pub(super) fn condition(self, sql: &mut Sql, cut: &Cut<'_>, keys: &[String]) -> String {
        let mut all = vec![sql.groups(cut, keys), self.filter(sql, cut)];
        let has_currency = matches!(self, Self::Sales(..) | Self::Lines);
        if has_currency && let Some(currency) = cut.currency {
            all.push(format!("fact.currency = {}", sql.bind(currency.code())));
        }
        all.join(" AND ")
    }

    /// Whether a row passes the filter.
    pub(super) fn filter(self, sql: &mut Sql, cut: &Cut<'_>) -> String {
        let filter = cut.filter.map(|filter| self.holds(sql, filter));
        filter.unwrap_or_else(|| "true".to_owned())
    }

    fn holds(self, sql: &mut Sql, condition: &Condition) -> String {
        let mut joined = |inner: &[Condition], word: &str, none: &str| {
            let parts: Vec<String> = inner.iter().map(|one| self.holds(sql, one)).collect();
            if parts.is_empty() {
                none.to_owned()
            } else {
                format!("({})", parts.join(word))
            }
        };
        match condition {
            Condition::All(inner) => joined(inner, " AND ", "true"),
            Condition::Any(inner) => joined(inner, " OR ", "false"),
            Condition::Not(inner) => format!("NOT {}", self.holds(sql, inner)),
            Condition::Among(Dimension::Category, values) => {
                let (values, path) = (sql.bind(values.clone()), sql.bind(PATH));
                format!(
                    "EXISTS (SELECT FROM unnest({values}::text[]) AS asked
                             WHERE fact.category = asked
                                   OR (asked <> '' AND starts_with(fact.category, asked || {path})))"
                )
            }
            Condition::Among(dimension, values) => {
                format!(
                    "{} = ANY({})",
                    self.dimension(*dimension),
                    sql.bind(values.clone())
                )
            }
            Condition::Property(path, test) => self.property(sql, path, test),
        }
    }

    fn property(self, sql: &mut Sql, path: &[String], test: &Test) -> String {
        let path = sql.bind(path.to_vec());
        let value = format!("({}.data #> {path}::text[])", self.event());
        let words = format!("({}.data #>> {path}::text[])", self.event());
        let mut number = |limit: &str, operator: &str| {
            let limit = sql.bind(limit.to_owned());
            format!(
                "CASE WHEN jsonb_typeof({value}) = 'number'
                      THEN {words}::numeric {operator} {limit}::numeric ELSE false END"
            )
        };
        match test {
            Test::Exists => format!("{words} IS NOT NULL"),
            Test::AtLeast(least) => number(least, ">="),
            Test::AtMost(most) => number(most, "<="),
            Test::Among(values) => {
                format!(
                    "coalesce({words} = ANY({}), false)",
                    sql.bind(values.clone())
                )
            }
        }
    }
}

/// The days of users tell nothing of rows: who does not see all sees none of them.
pub(super) const fn whole(cut: &Cut<'_>) -> &'static str {
    if cut.view.is_whole() { "true" } else { "false" }
}

/// The dimensions that a cut speaks of.
pub(super) fn mentioned(cut: &Cut<'_>) -> Vec<Dimension> {
    let mut all: Vec<Dimension> = cut.keys.iter().map(|key| key.dimension).collect();
    all.extend(cut.filter.map(Condition::dimensions).unwrap_or_default());
    all
}
