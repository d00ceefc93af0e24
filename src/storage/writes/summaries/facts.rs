//! What the facts of an hour come to, and the visits of a day's hours. What bots did is left out.

use std::collections::{BTreeMap, HashSet};

use futures_util::TryStreamExt;
use sea_orm::sqlx::{self, PgConnection, Row};
use uuid::Uuid;

use crate::domain::calendar::TimeRange;
use crate::domain::event::PURCHASE;
use crate::domain::measure::{Dimension, Subject};
use crate::domain::summary::visits::{self, SessionId, Visits, Who};
use crate::domain::summary::{Cells, Part};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// The word of the type of events that put something into a cart.
const ADD_TO_CART: &str = "add_to_cart";

pub(super) type Parts = BTreeMap<Part, Cells>;

/// A statement that knows what device each of the tenant's user agents (`$1`) is.
fn with_devices(select: &str) -> String {
    format!(
        "WITH device AS MATERIALIZED (
             SELECT user_agent_id, device FROM user_agent WHERE tenant_id = $1
         ) {select}"
    )
}

/// Gives the users of an hour numbers, and those they turned out to be, where they have none.
pub(super) async fn number_users(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
) -> Result<(), StorageError> {
    sqlx::query(
        "WITH seen AS (
             SELECT DISTINCT user_id FROM event
             WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot
         ), named AS (
             SELECT user_id FROM seen
             UNION
             SELECT canonical_id FROM seen JOIN user_alias USING (user_id) WHERE tenant_id = $1
         )
         INSERT INTO user_number (tenant_id, user_id, number)
         SELECT $1, user_id,
                (SELECT coalesce(max(number), 0) FROM user_number WHERE tenant_id = $1)
                + row_number() OVER (ORDER BY user_id)
         FROM named
         WHERE NOT EXISTS (SELECT FROM user_number AS known
                           WHERE known.tenant_id = $1 AND known.user_id = named.user_id)",
    )
    .bind(tenant.0)
    .bind(hour.from)
    .bind(hour.to)
    .execute(connection)
    .await?;
    Ok(())
}

/// All parts of an hour but sessions.
pub(super) async fn sum(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
) -> Result<Parts, StorageError> {
    let mut parts: Parts = Part::all()
        .filter(|part| part.subject != Subject::Sessions)
        .map(|part| (part, Cells::default()))
        .collect();
    sum_events(connection, tenant, hour, &mut parts).await?;
    sum_pages(connection, tenant, hour, &mut parts).await?;
    sum_lines(connection, tenant, hour, &mut parts).await?;
    Ok(parts)
}

/// Where a row was found: what it has of each dimension.
struct Place<'a> {
    event_type: &'a str,
    currency: &'a str,
    category: &'a str,
    product: &'a str,
    region: &'a str,
    channel: &'a str,
    campaign: &'a str,
    device: &'a str,
    page: &'a str,
}

impl Place<'_> {
    /// What stands for a part's dimensions.
    fn value(&self, part: Part) -> String {
        part.value(|dimension| self.of(dimension))
    }

    fn of(&self, dimension: Dimension) -> &str {
        match dimension {
            Dimension::EventType => self.event_type,
            Dimension::Category => self.category,
            Dimension::Product => self.product,
            Dimension::Region => self.region,
            Dimension::Channel => self.channel,
            Dimension::Campaign => self.campaign,
            Dimension::Device => self.device,
            Dimension::Currency => self.currency,
            Dimension::PageUrl => self.page,
            // That is not known when an hour is over.
            Dimension::UserCohort => "",
        }
    }
}

/// Whether pages are told apart: they are summed for themselves.
fn is_of_pages(part: Part) -> bool {
    part.dimensions.contains(&Dimension::PageUrl)
}

const NOWHERE: Place<'static> = Place {
    event_type: "",
    currency: "",
    category: "",
    product: "",
    region: "",
    channel: "",
    campaign: "",
    device: "",
    page: "",
};

/// The parts of a subject.
fn of(parts: &mut Parts, subject: Subject) -> impl Iterator<Item = (Part, &mut Cells)> {
    let parts = parts
        .iter_mut()
        .filter(move |(part, _)| part.subject == subject);
    parts.map(|(part, cells)| (*part, cells))
}

/// A user's number as sets have it.
fn number(row: &sqlx::postgres::PgRow) -> Result<u32, StorageError> {
    let number: i32 = row.try_get(0)?;
    u32::try_from(number).map_err(|_| StorageError::Bug("a user's number is negative".to_owned()))
}

/// Counts events of a type, and the pageviews among them.
fn count(cells: &mut Cells, value: &str, event_type: &str, (events, pageviews): (i64, i64)) {
    let numbers = &mut cells.cell(value, event_type).numbers;
    numbers[0] += i128::from(events);
    numbers[1] += i128::from(pageviews);
    if event_type == ADD_TO_CART {
        numbers[2] += i128::from(events);
    }
}

/// Events, users and carts, but for pages.
async fn sum_events(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
    parts: &mut Parts,
) -> Result<(), StorageError> {
    let sql = with_devices(
        "SELECT number, event_type, coalesce(region, ''), coalesce(channel, ''),
                coalesce(campaign, ''), coalesce(device, ''), count(*), count(page_url)
         FROM (SELECT * FROM event
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot) AS fact
         JOIN user_number USING (tenant_id, user_id)
         LEFT JOIN device USING (user_agent_id)
         GROUP BY 1, 2, 3, 4, 5, 6",
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    let query = query.bind(tenant.0).bind(hour.from).bind(hour.to);
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let user = number(&row)?;
        let place = Place {
            event_type: row.try_get(1)?,
            region: row.try_get(2)?,
            channel: row.try_get(3)?,
            campaign: row.try_get(4)?,
            device: row.try_get(5)?,
            ..NOWHERE
        };
        let counts = (row.try_get(6)?, row.try_get(7)?);
        for (part, cells) in of(parts, Subject::Events) {
            if !is_of_pages(part) {
                count(cells, &place.value(part), place.event_type, counts);
            }
        }
        for (part, cells) in of(parts, Subject::Users) {
            cells.cell(&place.value(part), "").sets[0].insert(user);
        }
        let set = match place.event_type {
            ADD_TO_CART => 0,
            PURCHASE => 1,
            _ => continue,
        };
        for (part, cells) in of(parts, Subject::Carts) {
            cells.cell(&place.value(part), "").sets[set].insert(user);
        }
    }
    Ok(())
}

/// Events by their pages.
async fn sum_pages(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
    parts: &mut Parts,
) -> Result<(), StorageError> {
    let query = sqlx::query(
        "SELECT coalesce(page_url, ''), event_type, count(*), count(page_url)
         FROM event
         WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot
         GROUP BY 1, 2",
    );
    let query = query.bind(tenant.0).bind(hour.from).bind(hour.to);
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let counts = (row.try_get(2)?, row.try_get(3)?);
        for (_, cells) in of(parts, Subject::Events).filter(|(part, _)| is_of_pages(*part)) {
            count(cells, row.try_get(0)?, row.try_get(1)?, counts);
        }
    }
    Ok(())
}

/// The lines of orders and refunds, and who bought.
async fn sum_lines(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
    parts: &mut Parts,
) -> Result<(), StorageError> {
    let sql = with_devices(
        "SELECT number, event_id, line.currency, line.category, line.product_id,
                coalesce(line.region, ''), coalesce(line.channel, ''), coalesce(campaign, ''),
                coalesce(device, ''), units, revenue, refunds, sold
         FROM (SELECT timestamp, event_id, user_id, currency, category, product_id, region, channel,
                      quantity::bigint AS units, amount AS revenue, 0::bigint AS refunds,
                      true AS sold
               FROM purchase
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot
               UNION ALL
               SELECT timestamp, event_id, user_id, currency, category, product_id, region, channel,
                      0, 0, amount, false
               FROM refund
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot) AS line
         JOIN (SELECT timestamp, event_id, campaign, user_agent_id FROM event
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3) AS its
              USING (timestamp, event_id)
         JOIN user_number ON user_number.tenant_id = $1 AND user_number.user_id = line.user_id
         LEFT JOIN device USING (user_agent_id)
         ORDER BY event_id",
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    let query = query.bind(tenant.0).bind(hour.from).bind(hour.to);
    let mut rows = query.fetch(connection);
    // An order counts once in each of its cells, however many of its lines are there.
    let mut order: Option<Uuid> = None;
    let mut counted: HashSet<(Part, String)> = HashSet::new();
    while let Some(row) = rows.try_next().await? {
        let user = number(&row)?;
        let event: Uuid = row.try_get(1)?;
        if order != Some(event) {
            order = Some(event);
            counted.clear();
        }
        let place = Place {
            currency: row.try_get(2)?,
            category: row.try_get(3)?,
            product: row.try_get(4)?,
            region: row.try_get(5)?,
            channel: row.try_get(6)?,
            campaign: row.try_get(7)?,
            device: row.try_get(8)?,
            ..NOWHERE
        };
        let (units, revenue, refunds): (i64, i64, i64) =
            (row.try_get(9)?, row.try_get(10)?, row.try_get(11)?);
        let sold: bool = row.try_get(12)?;
        for (part, cells) in of(parts, Subject::Lines) {
            let value = place.value(part);
            let numbers = &mut cells.cell(&value, place.currency).numbers;
            numbers[0] += i128::from(revenue);
            numbers[1] += i128::from(refunds);
            numbers[2] += i128::from(units);
            numbers[3] += i128::from(sold && counted.insert((part, value)));
        }
        if sold {
            for (part, cells) in of(parts, Subject::Buyers) {
                cells.cell(&place.value(part), "").sets[0].insert(user);
            }
        }
    }
    Ok(())
}

/// What each user did under each session id in an hour.
pub(super) async fn visits(
    connection: &mut PgConnection,
    tenant: TenantId,
    hour: TimeRange,
) -> Result<Visits, StorageError> {
    let sql = with_devices(
        "SELECT number, session_id, timestamp, event_id, last, facts,
                coalesce(region, ''), coalesce(channel, ''), coalesce(campaign, ''),
                coalesce(device, ''), coalesce(page_url, '')
         FROM (SELECT *, row_number() OVER its AS n,
                      max(timestamp) OVER (PARTITION BY user_id, session_id) AS last,
                      count(*) OVER (PARTITION BY user_id, session_id) AS facts
               FROM event
               WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND NOT bot
                     AND session_id IS NOT NULL
               WINDOW its AS (PARTITION BY user_id, session_id ORDER BY timestamp, event_id)
              ) AS visit
         JOIN user_number USING (tenant_id, user_id)
         LEFT JOIN device USING (user_agent_id)
         WHERE n = 1",
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    let query = query.bind(tenant.0).bind(hour.from).bind(hour.to);
    let mut rows = query.fetch(connection);
    let mut visits = Visits::default();
    while let Some(row) = rows.try_next().await? {
        let place = Place {
            region: row.try_get(6)?,
            channel: row.try_get(7)?,
            campaign: row.try_get(8)?,
            device: row.try_get(9)?,
            page: row.try_get(10)?,
            ..NOWHERE
        };
        let facts: i64 = row.try_get(5)?;
        visits.add(
            Who::Number(number(&row)?),
            SessionId::of(row.try_get(1)?),
            (row.try_get(2)?, row.try_get(3)?),
            (row.try_get(4)?, facts.unsigned_abs()),
            &visits::place(|dimension| place.of(dimension)),
        );
    }
    Ok(visits)
}
