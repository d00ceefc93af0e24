//! A key that lets a client in; the secret itself is not stored.

use sea_orm::entity::prelude::*;

/// A row of `api_key`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// Names the key in lists and in `revoke`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub api_key_id: Uuid,
    /// Whose data it opens.
    pub tenant_id: i32,
    /// What it is for, in the operator's words.
    pub label: String,
    /// What it may do: `ingest`, `read`, `export`, `admin`.
    pub scopes: Vec<String>,
    /// The secret's first characters.
    pub prefix: String,
    /// The secret's HMAC-SHA-256; its SHA-256, if it was made before and not used since.
    #[sea_orm(unique)]
    pub key_hash: Vec<u8>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Since when it opens nothing.
    pub revoked_at: Option<DateTimeUtc>,
    /// 0 for servers, 1 for browsers.
    pub kind: i16,
    /// When it opens nothing more, if ever.
    pub expires_at: Option<DateTimeUtc>,
    /// The pages it may be used from; any, and none, if empty.
    pub allowed_origins: Vec<String>,
    /// The networks it may be used from; any if empty.
    pub allowed_ips: Vec<String>,
    /// Which rows it sees, if not all.
    pub row_scope: Option<Json>,
    /// How much it may do, where that is not what all may.
    pub quota: Option<Json>,
    /// The hash of the secret before the last rotation.
    #[sea_orm(unique)]
    pub previous_hash: Option<Vec<u8>>,
    /// Until when that secret opens, too.
    pub previous_until: Option<DateTimeUtc>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// From where, truncated.
    pub last_used_address: Option<String>,
    /// Whether it may run listed documents alone.
    pub persisted_only: bool,
    /// In which change of keys it changed last.
    pub changed: i64,
    /// Whose data it opens.
    #[sea_orm(belongs_to, from = "tenant_id", to = "tenant_id")]
    pub tenant: BelongsTo<super::tenant::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
