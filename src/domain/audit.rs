//! Who did what: the words of the audit log.

use std::fmt;
use std::net::IpAddr;

use uuid::Uuid;

use super::network::truncated;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds this key, from this address.
    Key(Uuid, Option<IpAddr>),
    /// An operator, with a command of the program.
    Command,
    /// The server itself, as when it starts.
    Server,
}

impl Actor {
    /// Where the request came from, as much of it as is kept.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Key(_, address) => address.map(truncated),
            Self::Command | Self::Server => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id, _) => write!(out, "key:{id}"),
            Self::Command => out.write_str("command"),
            Self::Server => out.write_str("server"),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])+ $variant:ident $name:literal,)+) => {
        /// What was done. The next action: a line in this table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($(#[$doc])+ $variant,)+ }

        impl Action {
            /// The word for it, which is kept.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

actions! {
    /// A tenant was made.
    TenantCreated "tenant_created",
    /// A key was made.
    KeyCreated "key_created",
    /// A key got another secret.
    KeyRotated "key_rotated",
    /// A key was revoked.
    KeyRevoked "key_revoked",
    /// The schema of a type of events was put.
    SchemaPut "schema_put",
    /// The schema of a type of events was deleted.
    SchemaDeleted "schema_deleted",
    /// Events were to be replayed out of quarantine.
    QuarantineReplayed "quarantine_replayed",
    /// Events in quarantine were discarded.
    QuarantineDiscarded "quarantine_discarded",
    /// All of a user was exported.
    UserExported "user_exported",
    /// A user was erased.
    UserErased "user_erased",
    /// It was decided for how long what of people is kept.
    PrivacyPolicyPut "privacy_policy_put",
}
