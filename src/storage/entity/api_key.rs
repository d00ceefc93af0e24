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
    /// What it may do: `ingest`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// The secret's first characters.
    pub prefix: String,
    /// The secret's SHA-256.
    #[sea_orm(unique)]
    pub key_hash: Vec<u8>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Since when it opens nothing.
    pub revoked_at: Option<DateTimeUtc>,
    /// Whose data it opens.
    #[sea_orm(belongs_to, from = "tenant_id", to = "tenant_id")]
    pub tenant: BelongsTo<super::tenant::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
