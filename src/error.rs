//! The one table of error codes, and the [`Problem`] that carries one to a client.
//!
//! A code is a promise: clients match on it, so it never changes its meaning. The next code is a
//! line in the table below and a line in docs/API.md (a test compares them). Internal errors keep
//! their text to the logs; a client sees the code's public sentence.

use std::time::Duration;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal $sentence:literal;)+) => {
        /// What went wrong, in a word that clients can match on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $sentence] $variant,)+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable identifier.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The HTTP status of an answer that fails as a whole with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// What it means and what to do, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

codes! {
    // The request as a whole.
    MissingKey "missing_key" 401 "No API key was sent. Send `Authorization: Bearer <key>`.";
    UnknownKey "unknown_key" 401 "The API key is not known. Check it, or make a new one with `tidewater keys create`.";
    MalformedKey "malformed_key" 401 "The API key is not whole: its last six characters do not fit the others. Copy it again.";
    ExpiredKey "expired_key" 401 "The API key has expired, or was replaced by a rotation. Use the new one.";
    RevokedKey "revoked_key" 401 "The API key was revoked. Make a new one.";
    KeyInUrl "key_in_url" 400 "There is an API key in the address, where logs and histories keep it. Revoke or rotate it, and send the new one as `Authorization: Bearer <key>`.";
    WrongOrigin "wrong_origin" 403 "The API key may not be used from this page: its origin is none of the key's allowed origins.";
    WrongAddress "wrong_address" 403 "The API key may not be used from this address.";
    OutOfScope "out_of_scope" 403 "The API key sees some rows alone, and this cannot be limited to them.";
    Forbidden "forbidden" 403 "The API key lacks the scope that this needs.";
    MalformedJson "malformed_json" 400 "The body is not valid JSON.";
    MalformedBatch "malformed_batch" 400 "The body is neither an array of events nor an object with a `batch` array.";
    MalformedRequest "malformed_request" 400 "The body is not a GraphQL request: send {\"query\": \"...\", \"variables\": {...}}.";
    UnsupportedMediaType "unsupported_media_type" 415 "Send the body as application/json, plain or gzip-encoded.";
    BatchTooLarge "batch_too_large" 413 "The batch holds too many events. Split it.";
    BodyTooLarge "body_too_large" 413 "The body is too large. Split it.";
    NotFound "not_found" 404 "There is nothing at this address.";
    MethodNotAllowed "method_not_allowed" 405 "This address does not answer that method.";
    UriTooLong "uri_too_long" 414 "The address has more than 16 384 bytes. Send the query with POST.";
    NotAcceptable "not_acceptable" 406 "The answer cannot be given in a format that `Accept` names. Ask for application/json, text/csv or application/x-ndjson.";
    RequestTimeout "request_timeout" 408 "The request took too long to arrive or to answer. Send less, or ask for less.";
    InvalidParameter "invalid_parameter" 400 "A parameter of the address is not known or has a value that it cannot have.";
    RateLimited "rate_limited" 429 "A limit is used up. Come back when `Retry-After` says.";
    TooManySubscriptions "too_many_subscriptions" 429 "The API key has as many subscriptions open as it may. Close one.";
    InvalidKey "invalid_key" 400 "An API key cannot be made so.";
    NoSuchKey "no_such_key" 404 "There is no such API key, or it was revoked.";
    InvalidTenant "invalid_tenant" 400 "A tenant cannot be made so.";
    // One event of a batch.
    EventTooLarge "event_too_large" 413 "The event has more than 32 768 bytes of JSON.";
    InvalidType "invalid_type" 422 "The field holds a value of another type than expected.";
    MissingField "missing_field" 422 "A required field is missing.";
    UnknownField "unknown_field" 422 "The field is not known. Check its spelling, or move it into `properties`.";
    UnexpectedField "unexpected_field" 422 "The field does not belong to an event of this type.";
    DuplicateField "duplicate_field" 422 "The field is given more than once.";
    InvalidEventId "invalid_event_id" 422 "`eventId` is not a UUID.";
    InvalidEventType "invalid_event_type" 422 "The type is not 1 to 64 characters of a-z, 0-9, `_`, `.`, `:` and `-`, the first a letter.";
    InvalidTimestamp "invalid_timestamp" 422 "The timestamp is not an RFC 3339 date and time with an offset.";
    TimestampOutOfRange "timestamp_out_of_range" 422 "The timestamp lies before 1970 or more than a day ahead.";
    InvalidText "invalid_text" 422 "The text is empty, too long, or holds a NUL character.";
    InvalidUrl "invalid_url" 422 "The URL is empty, too long, or holds spaces or control characters.";
    InvalidCurrency "invalid_currency" 422 "The currency is not an ISO 4217 code such as USD.";
    InvalidAmount "invalid_amount" 422 "The amount is not a plain decimal number, negative, or more than 1 000 000 000 000 minor units (10 billion dollars).";
    TooManyDecimals "too_many_decimals" 422 "The amount has more decimals than its currency has.";
    InvalidQuantity "invalid_quantity" 422 "The quantity is not a whole number from 1 to 1 000 000.";
    InvalidLines "invalid_lines" 422 "An order has 1 to 500 lines.";
    InvalidProperties "invalid_properties" 422 "The properties are nested too deep, too large, or hold what cannot be stored.";
    IdConflict "id_conflict" 409 "Another event with this id and other content was stored before; it stays as it was.";
    SchemaViolation "schema_violation" 422 "The properties do not fit the schema that the tenant set for events of this type.";
    TooManyEventTypes "too_many_event_types" 422 "The tenant has as many types of events as it can have. Put what differs into `properties`.";
    QuarantineFull "quarantine_full" 422 "The quarantine holds as much as it can. Replay or discard what is in it.";
    StorageRejected "storage_rejected" 422 "The database cannot store this event.";
    UserErased "user_erased" 422 "The event is of before its user was erased, and is not stored again.";
    // A question.
    InvalidRange "invalid_range" 400 "The range must end after it starts, and lie between 1970 and 2100.";
    InvalidTimezone "invalid_timezone" 400 "The time zone is not an IANA name such as Europe/Berlin.";
    TooManyBuckets "too_many_buckets" 400 "The answer would have too many buckets. Choose a coarser granularity or a shorter range.";
    InvalidCursor "invalid_cursor" 400 "The cursor was not made by this connection.";
    InvalidId "invalid_id" 400 "The id was not made by this server.";
    InvalidPage "invalid_page" 400 "Ask for `first` or `last`, from 1 to 100, not both.";
    InvalidFilter "invalid_filter" 400 "The filter holds a value that cannot be.";
    InvalidMetrics "invalid_metrics" 400 "The question of metrics asks for too much, or for what cannot be.";
    UnsupportedDimension "unsupported_dimension" 400 "A measure that is asked for cannot be told apart by a dimension, or narrowed to it.";
    InvalidProduct "invalid_product" 400 "The product cannot be stored.";
    InvalidStaleness "invalid_staleness" 400 "`maxStaleness` is a number of seconds from 0 to 3600.";
    InvalidSchema "invalid_schema" 400 "The JSON Schema cannot be used.";
    UnknownReceipt "unknown_receipt" 404 "There is no receipt of this batch: it is not stored yet, older than receipts are kept, or not yours.";
    UnknownExport "unknown_export" 404 "There is no such export: it expired, was deleted, or is not yours.";
    ExportNotReady "export_not_ready" 409 "The export is not written. Wait until its state is DONE.";
    TooManyExports "too_many_exports" 429 "There are as many exports as there can be. Wait for one to end, or delete one.";
    ExportTooLarge "export_too_large" 413 "The export would have more than 5 000 000 rows or 512 MiB. Narrow it.";
    InvalidExport "invalid_export" 400 "The export asks for what cannot be.";
    InvalidErasure "invalid_erasure" 400 "The request names no person, or more than one.";
    InvalidPolicy "invalid_policy" 400 "The privacy policy holds a value that cannot be.";
    UnsatisfiableRange "unsatisfiable_range" 416 "The file has no such bytes.";
    InvalidQuery "invalid_query" 400 "The query cannot be parsed or does not fit the schema.";
    InvalidVariables "invalid_variables" 400 "The variables do not fit what the operation declares.";
    UnknownOperation "unknown_operation" 422 "The operation to run cannot be told: the document has several, or none of that name.";
    DocumentTooLarge "document_too_large" 422 "The document has too many bytes or tokens. Send values as variables, or ask for less.";
    TooManyValues "too_many_values" 422 "The JSON of the request holds more than 250 000 values. Send less at once.";
    QueryTooDeep "query_too_deep" 422 "The query is nested too deep. Ask for less.";
    QueryTooComplex "query_too_complex" 422 "The query asks for too much at once. Ask for less.";
    TooManyAliases "too_many_aliases" 422 "The operation has more than 50 aliases. Ask for less at once.";
    TooManyDirectives "too_many_directives" 422 "The operation has more than 5 directives at one place, or more than 50.";
    TooManyRootFields "too_many_root_fields" 422 "The operation has more than 50 fields at its root. Ask for less at once.";
    IntrospectionDisabled "introspection_disabled" 403 "This server does not tell its schema. Read schema.graphql instead.";
    DocumentNotAllowed "document_not_allowed" 403 "This server runs only the documents of its list. Send the id of one as `documentId`.";
    TooManyOperations "too_many_operations" 429 "There are as many operations open as there can be. Complete one first.";
    QueryTooExpensive "query_too_expensive" 400 "The question would go through more rows than one may. Narrow its range, tell fewer dimensions apart, or ask for no properties.";
    QueryTimeout "query_timeout" 504 "The question took too long. Shorten the range or ask for less.";
    PersistedQueryNotFound "PERSISTED_QUERY_NOT_FOUND" 404 "No document of this hash is kept. Send it again together with its text.";
    // The server.
    Overloaded "overloaded" 503 "The server has as much as it can hold. Send it again later.";
    Unavailable "unavailable" 503 "The database cannot be reached. Nothing of this request was acknowledged; send it again later.";
    LogUnavailable "log_unavailable" 503 "The event log cannot be reached. Nothing of this request was acknowledged; send it again later.";
    LogNotDurable "log_not_durable" 503 "The event log would not keep what it is given, so nothing of this request was acknowledged. Its operator has to mend this.";
    ShuttingDown "shutting_down" 503 "The server is stopping. Send it again later.";
    Internal "internal" 500 "Something failed on our side; the log knows more.";
}

impl Code {
    /// The code of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// When the same is worth trying again; nothing if it will fail again.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::ShuttingDown => Some(Duration::from_secs(1)),
            Self::Unavailable | Self::LogUnavailable => Some(Duration::from_secs(2)),
            Self::LogNotDurable => Some(Duration::from_mins(1)),
            _ => None,
        }
    }
}

/// An error on its way to a client.
///
/// It has no `Display` on purpose: no `?` can turn an internal text into a client's.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What went wrong.
    pub code: Code,
    /// What exactly, in words fit for clients; without it the code's sentence stands alone.
    pub detail: Option<String>,
    /// When to come back, where that is not what the code says.
    wait: Option<Duration>,
}

impl Problem {
    /// A problem that its code's sentence describes.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            wait: None,
        }
    }

    /// A problem with the particulars of this case.
    #[must_use]
    pub fn with(code: Code, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(code)
        }
    }

    /// The same for who comes back after so long.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self {
            wait: Some(wait),
            ..self
        }
    }

    /// When the same is worth trying again; nothing if it will fail again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.wait.or(self.code.retry_after())
    }

    /// The text a client reads.
    #[must_use]
    pub fn message(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.sentence())
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}
