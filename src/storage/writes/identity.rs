//! Joins ids that turned out to be one user: keeps what was said, and works out what follows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use uuid::Uuid;

use super::Transaction;
use crate::domain::event::LinkKind;
use crate::domain::identity::{Kept, Link, MAX_LINKS, MAX_REMEMBERED, keep, resolve};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// Two ids that an accepted event says are one user. Both are rows of `"user"` by now.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewLink {
    /// Whose users.
    pub(super) tenant: TenantId,
    /// The event's user.
    pub(super) user_id: Uuid,
    /// The id that turned out to be theirs.
    pub(super) other_id: Uuid,
    /// How it turned out.
    pub(super) kind: LinkKind,
    /// When the event happened.
    pub(super) timestamp: DateTime<Utc>,
}

impl NewLink {
    fn link(&self) -> Link {
        Link {
            timestamp: self.timestamp,
            user_id: self.user_id,
            other_id: self.other_id,
            kind: self.kind,
        }
    }
}

/// Adds links, and tells how many were refused because they would have made too large a user.
///
/// Whoever changes the users of a tenant holds its lock until the transaction ends, so two writers
/// never work out the same users at once. Most links are not new (shops identify a user with each
/// visit): those take one look-up and no lock, and where there are none it costs nothing.
pub(super) async fn link(
    transaction: &mut Transaction,
    links: &[NewLink],
) -> Result<usize, StorageError> {
    if links.is_empty() {
        return Ok(0);
    }
    let mut by_tenant: BTreeMap<TenantId, BTreeSet<Link>> = BTreeMap::new();
    for new in links {
        let links = by_tenant.entry(new.tenant).or_default();
        links.insert(new.link());
    }
    let mut refused = 0;
    for (tenant, links) in by_tenant {
        let new = unknown(transaction, tenant, links.into_iter().collect()).await?;
        if !new.is_empty() {
            refused += add(transaction, tenant, &new).await?;
        }
    }
    Ok(refused)
}

/// Leaves out what changes nothing, now or later: links that are kept already, and those of
/// visitors who are known to have been more users before than are remembered.
async fn unknown(
    transaction: &mut Transaction,
    tenant: TenantId,
    links: Vec<Link>,
) -> Result<Vec<Link>, StorageError> {
    let columns = Columns::of(&links);
    let places: Vec<i64> = sqlx::query_scalar(
        "SELECT place - 1
         FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[]) WITH ORDINALITY
              AS new (other_id, user_id, kind, timestamp, place)
         WHERE NOT EXISTS (
             SELECT FROM user_link AS known
             WHERE (known.tenant_id, known.other_id, known.user_id, known.kind)
                 = ($1, new.other_id, new.user_id, new.kind)
               AND known.timestamp <= new.timestamp)
           AND (new.kind <> 'identify' OR $6 > (
             SELECT count(*) FROM user_link AS rival
             WHERE rival.tenant_id = $1 AND rival.other_id = new.other_id
               AND rival.kind = 'identify'
               AND (rival.timestamp, rival.user_id) < (new.timestamp, new.user_id)))",
    )
    .bind(tenant.0)
    .bind(columns.other_ids)
    .bind(columns.user_ids)
    .bind(columns.kinds)
    .bind(columns.timestamps)
    .bind(i64::try_from(MAX_REMEMBERED).unwrap_or(i64::MAX))
    .fetch_all(&mut **transaction)
    .await?;
    let places = places.into_iter().filter_map(|n| usize::try_from(n).ok());
    Ok(places.map(|n| links[n]).collect())
}

async fn add(
    transaction: &mut Transaction,
    tenant: TenantId,
    new: &[Link],
) -> Result<usize, StorageError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidewater identity'), $1)")
        .bind(tenant.0)
        .execute(&mut **transaction)
        .await?;
    let members = members(transaction, tenant, new).await?;
    let ids: Vec<Uuid> = members.keys().copied().collect();
    let known = links_of(transaction, tenant, ids).await?;

    let Kept { links, refused } = keep(&known, new);
    if refused > 0 {
        tracing::warn!(
            tenant = tenant.0,
            refused,
            "ids were not joined: more than {MAX_LINKS} links would make one user"
        );
    }
    store_links(transaction, tenant, &known, &links).await?;

    let is_anonymous = |id| {
        members
            .get(&id)
            .is_none_or(|member: &Member| member.anonymous)
    };
    let resolved = resolve(&links, is_anonymous);
    let mut changed = Vec::new();
    for (id, member) in &members {
        let canonical = resolved.get(id).copied().unwrap_or(*id);
        if canonical != member.canonical_id {
            changed.push((*id, canonical));
        }
    }
    store_aliases(transaction, tenant, &changed).await?;
    Ok(refused)
}

/// An id of a user that a new link touches.
struct Member {
    canonical_id: Uuid,
    anonymous: bool,
}

type MemberRow = (Uuid, Uuid, bool);

/// Every id of every user that the links touch. By the keys of `user_alias` and `"user"`, and by
/// `user_alias_canonical`.
async fn members(
    transaction: &mut Transaction,
    tenant: TenantId,
    links: &[Link],
) -> Result<BTreeMap<Uuid, Member>, StorageError> {
    let ends = links.iter().flat_map(|link| [link.user_id, link.other_id]);
    let rows: Vec<MemberRow> = sqlx::query_as(
        r#"WITH touched AS (
               SELECT DISTINCT coalesce(canonical_id, id) AS canonical_id
               FROM unnest($2::uuid[]) AS id
               LEFT JOIN user_alias ON tenant_id = $1 AND user_id = id
           ), member AS (
               SELECT canonical_id AS user_id, canonical_id FROM touched
               UNION ALL
               SELECT user_id, canonical_id FROM touched JOIN user_alias USING (canonical_id)
               WHERE tenant_id = $1
           )
           SELECT user_id, canonical_id, coalesce(anonymous, true)
           FROM member
           LEFT JOIN (SELECT user_id, anonymous FROM "user" WHERE tenant_id = $1) AS known
               USING (user_id)"#,
    )
    .bind(tenant.0)
    .bind(ends.collect::<Vec<_>>())
    .fetch_all(&mut **transaction)
    .await?;
    let member = |(id, canonical_id, anonymous)| {
        let member = Member {
            canonical_id,
            anonymous,
        };
        (id, member)
    };
    Ok(rows.into_iter().map(member).collect())
}

type LinkRow = (Uuid, Uuid, bool, DateTime<Utc>);

/// The links of these ids to others, by the key. All of a user's ids have all links that count for
/// that user.
async fn links_of(
    transaction: &mut Transaction,
    tenant: TenantId,
    ids: Vec<Uuid>,
) -> Result<Vec<Link>, StorageError> {
    let rows: Vec<LinkRow> = sqlx::query_as(
        "SELECT other_id, user_id, kind = 'identify', timestamp
         FROM user_link WHERE tenant_id = $1 AND other_id = ANY($2)",
    )
    .bind(tenant.0)
    .bind(ids)
    .fetch_all(&mut **transaction)
    .await?;
    let link = |(other_id, user_id, is_identify, timestamp)| Link {
        timestamp,
        user_id,
        other_id,
        kind: if is_identify {
            LinkKind::Identify
        } else {
            LinkKind::Alias
        },
    };
    Ok(rows.into_iter().map(link).collect())
}

/// Makes `user_link` say `kept` where it said `known`.
async fn store_links(
    transaction: &mut Transaction,
    tenant: TenantId,
    known: &[Link],
    kept: &[Link],
) -> Result<(), StorageError> {
    let key = |link: &Link| (link.other_id, link.user_id, link.kind);
    let kept_keys: BTreeSet<_> = kept.iter().map(key).collect();
    let is_forgotten = |link: &&Link| !kept_keys.contains(&key(link));
    let forgotten: Vec<Link> = known.iter().filter(is_forgotten).copied().collect();
    if !forgotten.is_empty() {
        let columns = Columns::of(&forgotten);
        sqlx::query(
            "DELETE FROM user_link USING unnest($2::uuid[], $3::uuid[], $4::text[])
                 AS gone (other_id, user_id, kind)
             WHERE (user_link.tenant_id, user_link.other_id, user_link.user_id, user_link.kind)
                 = ($1, gone.other_id, gone.user_id, gone.kind)",
        )
        .bind(tenant.0)
        .bind(columns.other_ids)
        .bind(columns.user_ids)
        .bind(columns.kinds)
        .execute(&mut **transaction)
        .await?;
    }
    let known: BTreeSet<&Link> = known.iter().collect();
    let is_new = |link: &&Link| !known.contains(link);
    let new: Vec<Link> = kept.iter().filter(is_new).copied().collect();
    if !new.is_empty() {
        let columns = Columns::of(&new);
        sqlx::query(
            "INSERT INTO user_link (tenant_id, other_id, user_id, kind, timestamp)
             SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
             ON CONFLICT (tenant_id, other_id, user_id, kind)
             DO UPDATE SET timestamp = excluded.timestamp",
        )
        .bind(tenant.0)
        .bind(columns.other_ids)
        .bind(columns.user_ids)
        .bind(columns.kinds)
        .bind(columns.timestamps)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Makes `user_alias` say whose these ids are: an id that is its own has no row.
async fn store_aliases(
    transaction: &mut Transaction,
    tenant: TenantId,
    changed: &[(Uuid, Uuid)],
) -> Result<(), StorageError> {
    let (own, others): (Vec<_>, Vec<_>) = changed.iter().partition(|(id, whose)| id == whose);
    if !own.is_empty() {
        sqlx::query("DELETE FROM user_alias WHERE tenant_id = $1 AND user_id = ANY($2)")
            .bind(tenant.0)
            .bind(own.iter().map(|(id, _)| *id).collect::<Vec<Uuid>>())
            .execute(&mut **transaction)
            .await?;
    }
    if !others.is_empty() {
        let (ids, canonical_ids): (Vec<Uuid>, Vec<Uuid>) = others.into_iter().unzip();
        sqlx::query(
            "INSERT INTO user_alias (tenant_id, user_id, canonical_id)
             SELECT $1, * FROM unnest($2::uuid[], $3::uuid[])
             ON CONFLICT (tenant_id, user_id) DO UPDATE SET canonical_id = excluded.canonical_id",
        )
        .bind(tenant.0)
        .bind(ids)
        .bind(canonical_ids)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Links as the arrays that a statement takes.
struct Columns {
    other_ids: Vec<Uuid>,
    user_ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    timestamps: Vec<DateTime<Utc>>,
}

impl Columns {
    fn of(links: &[Link]) -> Self {
        let kind = |kind| match kind {
            LinkKind::Identify => "identify",
            LinkKind::Alias => "alias",
        };
        Self {
            other_ids: links.iter().map(|link| link.other_id).collect(),
            user_ids: links.iter().map(|link| link.user_id).collect(),
            kinds: links.iter().map(|link| kind(link.kind)).collect(),
            timestamps: links.iter().map(|link| link.timestamp).collect(),
        }
    }
}
