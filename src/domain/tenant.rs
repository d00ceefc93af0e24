//! Whose data it is.

use serde::{Deserialize, Serialize};

/// A shop on this server. Every row carries it and every query takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantId(pub i32);
