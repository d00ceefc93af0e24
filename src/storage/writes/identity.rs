//! Joins ids that turned out to be one user: keeps what was said, and works out what follows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::sqlx;
use uuid::Uuid;

use super::{Incoming, Transaction};
use crate::domain::event::LinkKind;
use crate::domain::identity::{Kept, Link, MAX_LINKS, keep, news, resolve};
use crate::domain::tenant::TenantId;
use crate::storage::StorageError;

/// What events say of ids that are one user.
pub(super) fn said(accepted: &[Incoming<'_>]) -> BTreeMap<TenantId, Vec<Link>> {
    let mut links: BTreeMap<TenantId, Vec<Link>> = BTreeMap::new();
    for incoming in accepted {
        let event = incoming.event;
        if let Some(link) = &event.link {
            links.entry(incoming.tenant()).or_default().push(Link {
                timestamp: event.timestamp,
                user_id: event.user.id,
                other_id: link.user_id,
                kind: link.kind,
            });
        }
    }
    links
}

/// What became of links.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// How many were refused because they would have made too large a user.
    pub(super) refused: usize,
    /// The ids of each tenant that are somebody else's now, or nobody else's any more.
    pub(super) ids: BTreeMap<TenantId, Vec<Uuid>>,
}

/// Adds links. The ids are rows of `"user"` by now.
///
/// Whoever changes the users of a tenant holds its lock until the transaction ends, so two writers
/// never work out the same users at once. Most links are not new (shops identify a user with each
/// visit): those take one look-up and no lock, and where there are none it costs nothing.
pub(super) async fn link(
    transaction: &mut Transaction,
    said: &BTreeMap<TenantId, Vec<Link>>,
) -> Result<Joined, StorageError> {
    let mut joined = Joined::default();
    for (tenant, links) in said {
        let others = links.iter().map(|link| link.other_id);
        let known = links_of(transaction, *tenant, others.collect()).await?;
        let new = news(&known, links);
        if !new.is_empty() {
            add(transaction, *tenant, &new, &mut joined).await?;
        }
    }
    Ok(joined)
}

async fn add(
    transaction: &mut Transaction,
    tenant: TenantId,
    new: &[Link],
    joined: &mut Joined,
) -> Result<(), StorageError> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tidewater identity'), $1)")
        .bind(tenant.0)
        .execute(&mut **transaction)
        .await?;
    let members = members(transaction, tenant, new).await?;
    let known = links_of(transaction, tenant, members.keys().copied().collect()).await?;

    let Kept { links, refused } = keep(&known, new);
    if refused > 0 {
        tracing::warn!(
            tenant = tenant.0,
            refused,
            "ids were not joined: more than {MAX_LINKS} links would make one user"
        );
    }
    joined.refused += refused;
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
    if !changed.is_empty() {
        let ids = changed.iter().map(|(id, _)| *id).collect();
        joined.ids.insert(tenant, ids);
    }
    store_aliases(transaction, tenant, &changed).await?;
    let canonical = changed.into_iter().map(|(_, whose)| whose);
    share_traits(transaction, tenant, canonical.collect()).await
}

/// What is known of one of a user's ids is known of the user, unless something else is.
async fn share_traits(
    transaction: &mut Transaction,
    tenant: TenantId,
    canonical: BTreeSet<Uuid>,
) -> Result<(), StorageError> {
    if canonical.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"WITH told AS (
               SELECT canonical_id,
                      (array_agg(username ORDER BY user_id)
                           FILTER (WHERE username IS NOT NULL))[1] AS username,
                      (array_agg(email ORDER BY user_id)
                           FILTER (WHERE email IS NOT NULL))[1] AS email
               FROM user_alias JOIN "user" USING (tenant_id, user_id)
               WHERE tenant_id = $1 AND canonical_id = ANY($2)
               GROUP BY canonical_id
           )
           UPDATE "user" AS known
           SET username = coalesce(known.username, told.username),
               email = coalesce(known.email, told.email)
           FROM told
           WHERE known.tenant_id = $1 AND known.user_id = told.canonical_id
                 AND (known.username IS NULL AND told.username IS NOT NULL
                      OR known.email IS NULL AND told.email IS NOT NULL)"#,
    )
    .bind(tenant.0)
    .bind(canonical.into_iter().collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// An id of a user that a new link touches.
struct Member {
    canonical_id: Uuid,
    anonymous: bool,
}

type MemberRow = (Uuid, Uuid, bool);

/// Every id of every user that the links touch. By the keys of `user_alias` and `"user"`, and by
/// `user_alias_canonical`, whatever their size was when the statement was planned.
async fn members(
    transaction: &mut Transaction,
    tenant: TenantId,
    links: &[Link],
) -> Result<BTreeMap<Uuid, Member>, StorageError> {
    let ends = links.iter().flat_map(|link| [link.user_id, link.other_id]);
    let rows: Vec<MemberRow> = sqlx::query_as(
        r#"WITH touched AS (
               SELECT DISTINCT coalesce((SELECT canonical_id FROM user_alias
                                         WHERE tenant_id = $1 AND user_id = id), id) AS whose
               FROM unnest($2::uuid[]) AS id
           ), member AS (
               SELECT whose AS id, whose FROM touched
               UNION ALL
               SELECT id, whose
               FROM touched, LATERAL (SELECT user_id AS id FROM user_alias
                                      WHERE tenant_id = $1 AND canonical_id = whose
                                      OFFSET 0) AS other
           )
           SELECT id, whose, coalesce((SELECT anonymous FROM "user"
                                       WHERE tenant_id = $1 AND user_id = id), true)
           FROM member"#,
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

/// The links of these ids to others, by the key, as above. All ids of a user together have all
/// links that count for that user.
async fn links_of(
    transaction: &mut Transaction,
    tenant: TenantId,
    ids: BTreeSet<Uuid>,
) -> Result<Vec<Link>, StorageError> {
    let rows: Vec<LinkRow> = sqlx::query_as(
        "SELECT other_id, user_id, kind = 'identify', timestamp
         FROM unnest($2::uuid[]) AS id,
              LATERAL (SELECT * FROM user_link
                       WHERE tenant_id = $1 AND other_id = id OFFSET 0) AS link",
    )
    .bind(tenant.0)
    .bind(ids.into_iter().collect::<Vec<_>>())
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
