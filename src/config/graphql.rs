//! What may be asked of the GraphQL server, and how it answers.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Where a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// Among those who build with it.
    Development,
    /// Before the public.
    Production,
}

/// Which statuses requests are refused with that cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusCodes {
    /// As the audits of graphql-http want them: 400.
    Audited,
    /// As the draft of GraphQL over HTTP of August 2026 wants them: 422 for what is well formed.
    Draft,
}

/// GraphQL.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "GraphQL")]
pub struct GraphqlConfig {
    /// Where the server runs: `production` turns introspection, field suggestions and /graphiql off,
    /// unless they are set, and answers queries by GET to those alone who ask for JSON.
    #[arg(
        global = true,
        long = "environment",
        env = "TIDEWATER_ENV",
        value_name = "NAME",
        default_value = "development"
    )]
    pub environment: Environment,

    /// Whether the schema may be asked for. Unset: not in production.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_INTROSPECTION",
        value_name = "BOOL",
        action = ArgAction::Set
    )]
    pub introspection: Option<bool>,

    /// Whether errors name fields that may have been meant. Unset: not in production.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_SUGGESTIONS",
        value_name = "BOOL",
        action = ArgAction::Set
    )]
    pub suggestions: Option<bool>,

    /// Whether /graphiql is there. Unset: not in production.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_GRAPHIQL",
        value_name = "BOOL",
        action = ArgAction::Set
    )]
    pub graphiql: Option<bool>,

    /// How many requests one body may hold as a JSON array. 0: one alone, no array.
    #[arg(
        id = "graphql_batch",
        global = true,
        long = "graphql-batch",
        env = "TIDEWATER_GRAPHQL_BATCH",
        value_name = "N",
        default_value = "0",
        value_parser = clap::value_parser!(u8).range(0..=50)
    )]
    pub batch: u8,

    /// The status of requests that are well formed but cannot run, where the client accepts
    /// application/graphql-response+json: `audited` 400, `draft` 422.
    #[arg(
        id = "graphql_status",
        global = true,
        long = "graphql-status",
        env = "TIDEWATER_GRAPHQL_STATUS",
        value_name = "CODES",
        default_value = "audited"
    )]
    pub status: StatusCodes,

    /// A manifest of documents that clients may name by their ids, as Relay, GraphQL Code Generator
    /// or Apollo write it. Unset: none.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_PERSISTED_DOCUMENTS",
        value_name = "FILE"
    )]
    pub persisted_documents: Option<PathBuf>,

    /// Whether the documents of TIDEWATER_PERSISTED_DOCUMENTS are all that may run.
    #[arg(
        global = true,
        long,
        env = "TIDEWATER_PERSISTED_ONLY",
        value_name = "BOOL",
        default_value = "false",
        action = ArgAction::Set
    )]
    pub persisted_only: bool,
}

impl GraphqlConfig {
    /// Whether it runs before the public.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// Whether the schema may be asked for.
    #[must_use]
    pub fn introspection(&self) -> bool {
        self.introspection.unwrap_or(!self.is_production())
    }

    /// Whether errors name what may have been meant.
    #[must_use]
    pub fn suggestions(&self) -> bool {
        self.suggestions.unwrap_or(!self.is_production())
    }

    /// Whether the explorer is there.
    #[must_use]
    pub fn graphiql(&self) -> bool {
        self.graphiql.unwrap_or(!self.is_production())
    }

    /// The manifest, unless it is set to nothing.
    #[must_use]
    pub fn manifest(&self) -> Option<&PathBuf> {
        let set = self.persisted_documents.as_ref();
        set.filter(|path| !path.as_os_str().is_empty())
    }
}
