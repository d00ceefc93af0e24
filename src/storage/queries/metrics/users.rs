//! Distinct counts of users, and sessions: what does not add up over groups or buckets.

use chrono::DateTime;

use super::frame::{DEVICE, Frame, whole};
use super::sql::Sql;
use super::{Cut, Groups};
use crate::domain::calendar::{day_of, whole_days};

/// Of a day of a user: whether they bought, other than as a bot.
const BOUGHT: &str = "activity & 4 <> 0";

/// Of a day of a user: whether they did anything that counts.
fn did(cut: &Cut<'_>) -> &'static str {
    if cut.bots {
        "true"
    } else {
        "activity & 127 <> 0"
    }
}

/// Several ids of one user are one.
const WHO: &str = "coalesce(canonical_id, fact.user_id)";

/// The users of a frame's rows; of lines, those who bought.
pub(super) fn distinct(cut: &Cut<'_>, frame: Frame) -> Sql {
    let condition = match frame {
        Frame::Lines => "sold",
        _ => "true",
    };
    counted(cut, frame, condition, &[], &["count(*)"])
}

/// Who put something into a cart, and who of them bought.
pub(super) fn carts(cut: &Cut<'_>) -> Sql {
    counted(
        cut,
        Frame::Events,
        "fact.event_type IN ('add_to_cart', 'purchase')",
        &[
            "bool_or(fact.event_type = 'add_to_cart') AS carted",
            "bool_or(fact.event_type = 'purchase') AS bought",
        ],
        &[
            "count(*) FILTER (WHERE carted)",
            "count(*) FILTER (WHERE carted AND bought)",
        ],
    )
}

/// A row for each bucket, group and user first; then what is counted over those.
fn counted(
    cut: &Cut<'_>,
    frame: Frame,
    condition: &str,
    columns: &[&str],
    quantities: &[&str],
) -> Sql {
    let mut sql = Sql::default();
    let bounds = sql.bind(cut.bounds.to_vec());
    let from = frame.from(&mut sql, cut);
    let keys = frame.keys(&mut sql, cut);
    let wanted = frame.condition(&mut sql, cut, &keys);
    let shown = shown(cut, &keys);
    let columns = listed(columns.iter().map(ToString::to_string));
    let grouped = listed((0..shown.len()).map(|n| (n + 3).to_string()));
    let named = named(shown);
    let from = format!(
        "FROM (SELECT width_bucket(fact.timestamp, {bounds}) AS bucket, {WHO} AS who{named},
                      count(*) AS facts{columns}
               FROM {from} WHERE {condition} AND {wanted}
               GROUP BY 1, 2{grouped}) AS seen"
    );
    sql.select(
        cut,
        &places(shown),
        "bucket",
        quantities,
        "sum(facts)",
        &from,
    );
    sql
}

/// The same over the days on which users did something, or bought; bots' purchases are not told.
pub(super) fn by_day(cut: &Cut<'_>, bought: bool) -> Sql {
    let mut sql = Sql::default();
    let days = whole_days(cut.bounds, cut.tenant_zone).unwrap_or_default();
    let (first, last) = (days.first().copied(), days.last().copied());
    let (bounds, from, to) = (sql.bind(days), sql.bind(first), sql.bind(last));
    let tenant = sql.bind(cut.view.tenant().0);
    let did = if bought { BOUGHT } else { did(cut) };
    let from = format!(
        "FROM (SELECT width_bucket(day, {bounds}) AS bucket, coalesce(canonical_id, user_id) AS who,
                      count(*) AS facts
               FROM user_day LEFT JOIN user_alias USING (tenant_id, user_id)
               WHERE tenant_id = {tenant} AND {whole} AND day >= {from} AND day < {to} AND {did}
               GROUP BY 1, 2) AS seen",
        whole = whole(cut),
    );
    sql.select(cut, &[], "bucket", &["count(*)"], "sum(facts)", &from);
    sql
}

/// The users whose first event, or first purchase, lies in the range. It is of the groups of that
/// event, and of those of the lines of that purchase.
pub(super) fn new(cut: &Cut<'_>, frame: Frame) -> Sql {
    let mut sql = Sql::default();
    let bounds = sql.bind(cut.bounds.to_vec());
    let from = frame.from(&mut sql, cut);
    let keys = frame.keys(&mut sql, cut);
    let fits = frame.condition(&mut sql, cut, &keys);
    earlier(&mut sql, cut, frame);
    let shown = shown(cut, &keys);
    let bought = match frame {
        Frame::Lines => "sold",
        _ => "true",
    };
    // All lines of an order have its event's id and time.
    let from = format!(
        "FROM (SELECT DISTINCT bucket, who{places} FROM (
                   SELECT width_bucket(fact.timestamp, {bounds}) AS bucket, {WHO} AS who{named},
                          {fits} AS fits,
                          rank() OVER (PARTITION BY {WHO} ORDER BY fact.timestamp, fact.event_id)
                   FROM {from} WHERE {bought}) AS all_of_them
               WHERE rank = 1 AND fits AND who NOT IN (SELECT who FROM earlier)) AS first",
        places = listed(places(shown)),
        named = named(shown),
    );
    sql.select(
        cut,
        &places(shown),
        "bucket",
        &["count(*)"],
        "count(*)",
        &from,
    );
    sql
}

/// Defines `earlier`: who did something, or bought, before the range. Days tell it of all but the
/// day before the range and that in which it begins.
fn earlier(sql: &mut Sql, cut: &Cut<'_>, frame: Frame) {
    let begin = cut.bounds[0];
    let day_before = day_of(begin - chrono::Duration::days(1), cut.tenant_zone);
    let local = day_before.from.with_timezone(&cut.tenant_zone).date_naive();
    let (tenant, bots) = (sql.bind(cut.view.tenant().0), sql.bind(cut.bots));
    let (from, to) = (sql.bind(day_before.from), sql.bind(begin));
    let (table, did) = match frame {
        Frame::Lines => ("purchase", BOUGHT),
        _ => ("event", did(cut)),
    };
    // That a bot bought is in no day.
    let since = if frame == Frame::Lines && cut.bots {
        sql.bind(DateTime::UNIX_EPOCH)
    } else {
        from
    };
    let day = sql.bind(local);
    sql.with(format!(
        "earlier AS (
             SELECT coalesce(canonical_id, user_id) AS who
             FROM user_day LEFT JOIN user_alias USING (tenant_id, user_id)
             WHERE tenant_id = {tenant} AND {whole} AND day < {day} AND {did}
             UNION
             SELECT coalesce(canonical_id, user_id)
             FROM {table} LEFT JOIN user_alias USING (tenant_id, user_id)
             WHERE tenant_id = {tenant} AND timestamp >= {since} AND timestamp < {to}
                   AND {whole} AND (NOT bot OR {bots}))",
        whole = whole(cut),
    ));
}

/// Sessions by the bucket and the groups of their first event. A session is what one user did under
/// one session id on one day of the tenant's zone.
pub(super) fn sessions(cut: &Cut<'_>) -> Sql {
    let mut sql = Sql::default();
    let frame = Frame::Events;
    let (begin, end) = (cut.bounds[0], cut.bounds[cut.bounds.len() - 1]);
    let first_day = day_of(begin, cut.tenant_zone);
    let last_day = day_of(end - chrono::Duration::microseconds(1), cut.tenant_zone);
    // A day may go on after the next one began, where a clock is put back over midnight.
    let more = chrono::Duration::hours(3);
    let (from, to) = (
        sql.bind(first_day.from - more),
        sql.bind(last_day.to + more),
    );
    let (first, last) = (sql.bind(begin), sql.bind(end));
    let bounds = sql.bind(cut.bounds.to_vec());
    let zone = sql.bind(cut.tenant_zone.name());
    let rows = frame.between(&mut sql, cut, &from, &to);
    let keys = frame.keys(&mut sql, cut);
    let fits = frame.condition(&mut sql, cut, &keys);
    let shown = shown(cut, &keys);
    let of_first = |expression: &str| {
        format!("(array_agg({expression} ORDER BY fact.timestamp, fact.event_id))[1]")
    };
    let firsts = shown.iter().enumerate();
    let named = listed(firsts.map(|(n, key)| format!("{} AS p{n}", of_first(key))));
    let from = format!(
        "FROM (SELECT min(fact.timestamp) AS began, max(fact.timestamp) AS ended,
                      count(*) AS facts, {fits} AS fits{named}
               FROM {rows} WHERE fact.session_id IS NOT NULL
               GROUP BY {WHO}, fact.session_id, (fact.timestamp AT TIME ZONE {zone})::date) AS session
         WHERE fits AND began >= {first} AND began < {last}",
        fits = of_first(&fits),
    );
    sql.select(
        cut,
        &places(shown),
        &format!("width_bucket(began, {bounds})"),
        &[
            "count(*)",
            "count(*) FILTER (WHERE facts = 1)",
            "sum(extract(epoch FROM ended - began) * 1000000)::bigint",
        ],
        "sum(facts)",
        &from,
    );
    sql
}

/// The keys by which an answer is grouped.
fn shown<'a>(cut: &Cut<'_>, keys: &'a [String]) -> &'a [String] {
    match cut.groups {
        Groups::Except(_) => &[],
        Groups::All | Groups::Only(_) => keys,
    }
}

/// The keys as columns of an inner question.
fn named(keys: &[String]) -> String {
    let keys = keys.iter().enumerate();
    listed(keys.map(|(n, key)| format!("{key} AS p{n}")))
}

/// The names of those columns.
fn places(keys: &[String]) -> Vec<String> {
    (0..keys.len()).map(|n| format!("p{n}")).collect()
}

/// Items that go on a list which has some already.
fn listed(items: impl IntoIterator<Item = String>) -> String {
    items
        .into_iter()
        .fold(String::new(), |list, item| list + ", " + &item)
}

/// Who the users of a bucket and group are, by their numbers or, without one, their ids; of carts,
/// apart for each of what they did.
pub(super) fn members(cut: &Cut<'_>, frame: Frame, carts: bool) -> Sql {
    let mut sql = Sql::default();
    let bounds = sql.bind(cut.bounds.to_vec());
    let from = frame.from(&mut sql, cut);
    let keys = frame.keys(&mut sql, cut);
    let wanted = frame.condition(&mut sql, cut, &keys);
    let (condition, did) = match frame {
        Frame::Lines => ("sold", "0"),
        _ if carts => (
            "fact.event_type IN ('add_to_cart', 'purchase')",
            "(fact.event_type = 'purchase')::integer",
        ),
        _ => ("true", "0"),
    };
    let grouped = listed((0..keys.len()).map(|n| (n + 4).to_string()));
    let named = named(&keys);
    let tenant = sql.bind(cut.view.tenant().0);
    // By the key, whatever the planner thinks of how many there are.
    sql.text(format!(
        "SELECT bucket, ARRAY[{keys}]::text[] AS key, did,
                coalesce(array_agg(number) FILTER (WHERE number IS NOT NULL), '{{}}') AS numbers,
                coalesce(array_agg(who) FILTER (WHERE number IS NULL), '{{}}') AS ids,
                sum(facts)::bigint AS rows_read
         FROM (SELECT *, (SELECT number FROM user_number
                          WHERE tenant_id = {tenant} AND user_id = who) AS number
               FROM (SELECT width_bucket(fact.timestamp, {bounds}) AS bucket, {WHO} AS who,
                            {did} AS did{named}, count(*) AS facts
                     FROM {from} WHERE {condition} AND {wanted}
                     GROUP BY 1, 2, 3{grouped}) AS seen) AS numbered
         GROUP BY bucket, did{columns}",
        keys = places(&keys).join(", "),
        columns = listed(places(&keys)),
    ));
    sql
}

/// What each user did under each session id, whoever they turned out to be, with the place of the
/// first of it; of no groups.
pub(super) fn visits(cut: &Cut<'_>) -> Sql {
    let mut sql = Sql::default();
    let (first, last) = (cut.bounds[0], cut.bounds[cut.bounds.len() - 1]);
    let (from, to) = (sql.bind(first), sql.bind(last));
    let (tenant, bots) = (sql.bind(cut.view.tenant().0), sql.bind(cut.bots));
    // By the key, whatever the planner thinks of how many there are.
    sql.text(format!(
        "SELECT (SELECT number FROM user_number
                 WHERE tenant_id = {tenant} AND user_id = who) AS number,
                who, session_id, timestamp AS first, event_id, last, facts,
                coalesce(region, '') AS region, coalesce(channel, '') AS channel,
                coalesce(campaign, '') AS campaign, coalesce(page_url, '') AS page,
                {DEVICE} AS device
         FROM (SELECT *, row_number() OVER its AS n,
                      max(timestamp) OVER (PARTITION BY who, session_id) AS last,
                      count(*) OVER (PARTITION BY who, session_id) AS facts
               FROM (SELECT {WHO} AS who, session_id, timestamp, event_id, region, channel,
                            campaign, page_url, user_agent_id
                     FROM event AS fact
                     LEFT JOIN user_alias ON user_alias.tenant_id = {tenant}
                                          AND user_alias.user_id = fact.user_id
                     WHERE fact.tenant_id = {tenant} AND timestamp >= {from} AND timestamp < {to}
                           AND {whole} AND (NOT bot OR {bots})
                           AND session_id IS NOT NULL) AS fact
               WINDOW its AS (PARTITION BY who, session_id ORDER BY timestamp, event_id)
              ) AS visit
         LEFT JOIN user_agent ON user_agent.tenant_id = {tenant}
                              AND user_agent.user_agent_id = visit.user_agent_id
         WHERE n = 1",
        whole = whole(cut),
    ));
    sql
}
