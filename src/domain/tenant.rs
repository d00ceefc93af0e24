//! Whose data it is.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::money::Currency;

/// A shop on this server. Every row carries it and every query takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantId(pub i32);

/// Who sends events, or asks: what of a tenant its events are judged by, and its questions have
/// unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Whose events they become.
    pub tenant: TenantId,
    /// Whose days users are counted by.
    pub zone: Tz,
    /// The currency of orders that name none.
    pub currency: Currency,
}
