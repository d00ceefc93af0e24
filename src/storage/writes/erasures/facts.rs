//! What a person did: taken out, or made nameless.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::sqlx::{self, PgConnection};
use uuid::Uuid;

use super::{Erasure, Mode};
use crate::domain::calendar::{Hour, TimeRange, day_of};
use crate::storage::partitions::Span;
use crate::storage::writes::rollups::rebuild;
use crate::storage::writes::summaries::Owner;
use crate::storage::writes::{Transaction, changes};
use crate::storage::{Db, StorageError};

/// A word of so many bytes has no place in what is kept of a page's address.
const TELLING: usize = 4;

/// The hours in which this person did anything, by the Bloom filters of events and the indexes of
/// the lines.
const HOURS: &str = "
    SELECT DISTINCT floor(extract(epoch FROM timestamp) / 3600)::integer FROM (
        SELECT timestamp FROM event
        WHERE tenant_id = $1 AND user_id = ANY($2)
              AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')
        UNION ALL
        SELECT timestamp FROM purchase
        WHERE tenant_id = $1 AND user_id = ANY($2)
              AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')
        UNION ALL
        SELECT timestamp FROM refund
        WHERE tenant_id = $1 AND user_id = ANY($2)
              AND timestamp >= coalesce($3, '-infinity') AND timestamp < coalesce($4, 'infinity')
    ) AS fact";

/// In which hours there are facts of the person, and the last change before they were looked for.
///
/// # Errors
/// When the database cannot be reached or takes too long.
pub async fn hours(db: &Db, erasure: &Erasure) -> Result<(Vec<Hour>, i64), StorageError> {
    let mut transaction = rebuild::look(db).await?;
    let change = changes::last(&mut transaction).await?;
    let mut hours: Vec<i32> = sqlx::query_scalar(HOURS)
        .bind(erasure.person.tenant.0)
        .bind(&erasure.person.ids)
        .bind(erasure.range.map(|range| range.from))
        .bind(erasure.range.map(|range| range.to))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    hours.sort_unstable();
    Ok((hours.into_iter().map(Hour).collect(), change))
}

/// Whether anything was stored of the person after a change. Writers are locked out by now.
pub(super) async fn is_more(
    connection: &mut PgConnection,
    erasure: &Erasure,
    change: i64,
) -> Result<bool, StorageError> {
    let exists = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM changed_hour AS its, LATERAL (
                 SELECT FROM event
                 WHERE event.tenant_id = $1 AND event.user_id = ANY($2)
                       AND event.timestamp >= to_timestamp(its.hour::bigint * 3600)
                       AND event.timestamp < to_timestamp((its.hour::bigint + 1) * 3600)
                 LIMIT 1) AS fact
             WHERE its.tenant_id = $1 AND its.number > $3 AND its.hour <> $4)",
    );
    let exists = exists
        .bind(erasure.person.tenant.0)
        .bind(&erasure.person.ids)
        .bind(change)
        .bind(Hour::WHO.0);
    Ok(exists.fetch_one(connection).await?)
}

/// The events of a piece that go.
const DELETE_EVENTS: &str = "
    WITH gone AS (
        DELETE FROM event
        WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)
        RETURNING timestamp, user_agent_id
    )
    INSERT INTO erased_event SELECT * FROM gone";

const DELETE_LINES: [&str; 2] = [
    "DELETE FROM purchase
     WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)",
    "DELETE FROM refund
     WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)",
];

/// The programs of the events of a piece, before they are cleared.
const AGENTS: &str = "
    INSERT INTO erased_event
    SELECT timestamp, user_agent_id FROM event
    WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)";

/// Ids are hashed with a secret that nobody knows afterwards: what belonged together still does.
/// Of a page's address its path is kept, unless it names the person.
const CLEAR_EVENTS: &str = r"
    UPDATE event
    SET user_id = $5,
        event_id = encode(substring(sha256($6 || uuid_send(event_id)) FOR 16), 'hex')::uuid,
        session_id = encode(substring(sha256($6 || convert_to(session_id, 'UTF8')) FOR 12), 'hex'),
        data = '{}',
        page_url = CASE
            WHEN page_url IS NULL THEN NULL
            WHEN EXISTS (SELECT FROM unnest($7::text[]) AS word
                         WHERE position(word IN lower(page_url)) > 0) THEN '/'
            ELSE coalesce(nullif(
                regexp_replace(split_part(split_part(page_url, '?', 1), '#', 1),
                               '^([A-Za-z][A-Za-z0-9+.-]*://)?[^/@]*@', '\1'), ''), '/')
        END,
        user_agent_id = NULL
    WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)";

const CLEAR_LINES: [&str; 2] = [
    "UPDATE purchase
     SET user_id = $5, order_id = NULL,
         event_id = encode(substring(sha256($6 || uuid_send(event_id)) FOR 16), 'hex')::uuid,
         purchase_id = encode(substring(uuid_send(purchase_id) FOR 6)
                              || substring(sha256($6 || uuid_send(purchase_id)) FOR 10),
                              'hex')::uuid
     WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)",
    "UPDATE refund
     SET user_id = $5, order_id = NULL,
         event_id = encode(substring(sha256($6 || uuid_send(event_id)) FOR 16), 'hex')::uuid,
         refund_id = encode(substring(uuid_send(refund_id) FOR 6)
                            || substring(sha256($6 || uuid_send(refund_id)) FOR 10),
                            'hex')::uuid
     WHERE tenant_id = $1 AND timestamp >= $2 AND timestamp < $3 AND user_id = ANY($4)",
];

/// Takes out, or makes nameless, what the person did in an hour.
///
/// # Errors
/// When the database cannot be reached or takes too long. Pieces before stay done.
pub async fn take_out(
    db: &Db,
    owner: Owner,
    erasure: &Erasure,
    hour: Hour,
) -> Result<(), StorageError> {
    for mut piece in rebuild::pieces_of(db, owner.tenant, hour).await? {
        if let Some(range) = erasure.range {
            piece.from = piece.from.max(range.from);
            piece.to = piece.to.min(range.to);
        }
        if piece.from < piece.to {
            let step = || take_out_piece(db, owner.zone, erasure, piece);
            rebuild::settled(step).await?;
        }
    }
    Ok(())
}

async fn take_out_piece(
    db: &Db,
    zone: Tz,
    erasure: &Erasure,
    piece: TimeRange,
) -> Result<u64, StorageError> {
    let tenant = erasure.person.tenant;
    let mut transaction = db.writes().begin().await?;
    // As a change of bots: writers lock rows of `user_day` before the log.
    sqlx::query("LOCK TABLE user_day IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let change = changes::tell_writers(&mut transaction).await?;
    sqlx::query(
        "CREATE TEMPORARY TABLE erased_event (timestamp timestamptz, user_agent_id bigint)
         ON COMMIT DROP",
    )
    .execute(&mut *transaction)
    .await?;
    match erasure.mode {
        Mode::Delete => delete(&mut transaction, erasure, piece).await?,
        Mode::Anonymise => clear(&mut transaction, erasure, piece).await?,
    }
    let minutes: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "SELECT DISTINCT date_trunc('minute', timestamp, 'UTC') FROM erased_event",
    )
    .persistent(false)
    .fetch_all(&mut *transaction)
    .await?;
    changes::mark_hours(&mut transaction, tenant, change, [Hour::of(piece.from)]).await?;
    if erasure.mode == Mode::Delete {
        let whole = TimeRange {
            from: floor_minute(piece.from),
            to: floor_minute(piece.to + TimeDelta::seconds(59)),
        };
        rebuild::make_sums_anew(&mut transaction, tenant, whole, &minutes).await?;
    }
    make_days_anew(&mut transaction, zone, erasure, piece).await?;
    sqlx::query(
        "UPDATE erasure
         SET agents = ARRAY(SELECT DISTINCT unnest(agents || ARRAY(
                 SELECT DISTINCT user_agent_id FROM erased_event
                 WHERE user_agent_id IS NOT NULL))),
             months = ARRAY(SELECT DISTINCT unnest(months || $2::date))
         WHERE erasure_id = $1",
    )
    .persistent(false)
    .bind(erasure.id)
    .bind(Span::of(piece.from).from())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(minutes.len() as u64)
}

fn floor_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::microseconds(at.timestamp_micros().rem_euclid(60_000_000))
}

async fn delete(
    transaction: &mut Transaction,
    erasure: &Erasure,
    piece: TimeRange,
) -> Result<(), StorageError> {
    for statement in [DELETE_EVENTS].into_iter().chain(DELETE_LINES) {
        sqlx::query(statement)
            .persistent(false)
            .bind(erasure.person.tenant.0)
            .bind(piece.from)
            .bind(piece.to)
            .bind(&erasure.person.ids)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

async fn clear(
    transaction: &mut Transaction,
    erasure: &Erasure,
    piece: TimeRange,
) -> Result<(), StorageError> {
    let person = &erasure.person;
    sqlx::query(AGENTS)
        .persistent(false)
        .bind(person.tenant.0)
        .bind(piece.from)
        .bind(piece.to)
        .bind(&person.ids)
        .execute(&mut **transaction)
        .await?;
    for statement in CLEAR_LINES {
        sqlx::query(statement)
            .bind(person.tenant.0)
            .bind(piece.from)
            .bind(piece.to)
            .bind(&person.ids)
            .bind(erasure.new_id)
            .bind(&erasure.salt)
            .execute(&mut **transaction)
            .await?;
    }
    sqlx::query(CLEAR_EVENTS)
        .bind(person.tenant.0)
        .bind(piece.from)
        .bind(piece.to)
        .bind(&person.ids)
        .bind(erasure.new_id)
        .bind(&erasure.salt)
        .bind(as_in_addresses(&person.words))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The words as they stand in the addresses of pages, in small letters.
fn as_in_addresses(words: &[String]) -> Vec<String> {
    let encoded = |word: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        };
        word.bytes().map(byte).collect::<String>()
    };
    let telling = words.iter().filter(|word| word.len() >= TELLING);
    let forms = telling.flat_map(|word| {
        let lower = word.to_lowercase();
        let percent = encoded(&lower);
        let plus = lower.replace(' ', "+");
        [lower, percent, plus]
    });
    forms.collect()
}

/// Makes the days anew on which the person did what is gone, or nameless.
async fn make_days_anew(
    transaction: &mut Transaction,
    zone: Tz,
    erasure: &Erasure,
    piece: TimeRange,
) -> Result<(), StorageError> {
    sqlx::query(rebuild::CREATE_TOUCHED)
        .execute(&mut **transaction)
        .await?;
    let mut users: Vec<Uuid> = erasure.person.ids.clone();
    if erasure.mode == Mode::Anonymise {
        users.push(erasure.new_id);
    }
    let days: Vec<NaiveDate> = sqlx::query_scalar(
        "WITH day AS (SELECT DISTINCT (timestamp AT TIME ZONE $1)::date AS day FROM erased_event),
              touched AS (INSERT INTO touched_day SELECT day, unnest($2::uuid[]) FROM day)
         SELECT day FROM day",
    )
    .persistent(false)
    .bind(zone.name())
    .bind(users)
    .fetch_all(&mut **transaction)
    .await?;
    if days.is_empty() {
        return Ok(());
    }
    let last = piece.to - TimeDelta::microseconds(1);
    let whole = TimeRange {
        from: day_of(piece.from, zone).from,
        to: day_of(last, zone).to,
    };
    rebuild::make_days_anew(transaction, erasure.person.tenant, zone, whole).await?;
    Ok(())
}
