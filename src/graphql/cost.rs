//! What a request costs, told with its answer as `extensions.cost`.
//!
//! The library tells complexity to extensions alone, and one of those would be called at every field
//! of every answer. So documents are weighed by a second schema, which has such an extension and runs
//! nothing; the first has none. It has no limit either: what is refused is told its complexity, too.

use std::sync::{Arc, OnceLock};

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, ValidationResult, to_value};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::FutureExt;
use serde::Serialize;

use super::document::shape;
use super::{Builder, Schema, limits};
use crate::access::limits::{Standing, points_of_rows};
use crate::cache::Collected;
use crate::reports::Reports;

/// The schema that weighs documents.
pub(super) struct Scales(Schema);

/// The complexity of a document.
type Weight = Arc<OnceLock<usize>>;

impl Scales {
    /// That of this schema.
    pub(super) fn of(builder: Builder) -> Self {
        let unlimited = builder.limit_complexity(usize::MAX);
        Self(unlimited.extension(Weighing).finish())
    }

    /// The complexity of a request; nothing if it is none of this schema, or may watch.
    fn weigh(&self, request: &mut Request) -> Option<usize> {
        let document = request.parsed_query().ok()?.clone();
        let name = request.operation_name.as_deref();
        if shape::operation(&document, name).ok()?.ty == OperationType::Subscription {
            return None;
        }
        let weight = Weight::default();
        let mut weighed = Request::new(String::new())
            .variables(request.variables.clone())
            .data(Arc::clone(&weight));
        weighed.operation_name.clone_from(&request.operation_name);
        weighed.set_parsed_query(document);
        // Nothing in it waits.
        self.0.execute(weighed).now_or_never()?;
        weight.get().copied()
    }
}

/// Notes the complexity of a document, and does not let it run.
struct Weighing;

impl ExtensionFactory for Weighing {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for Weighing {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(ctx).await?;
        if let Some(weight) = ctx.data_opt::<Weight>() {
            // It is weighed once.
            let _ = weight.set(valid.complexity);
        }
        Err(vec![ServerError::new("weighed", None)])
    }
}

/// What a request costs.
pub(super) struct Cost {
    complexity: Option<usize>,
    max_rows: Option<i64>,
    collected: Arc<Collected>,
}

/// The same as clients read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    requested: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_at: Option<DateTime<Utc>>,
    complexity: usize,
    max_complexity: usize,
    rows_estimated: i64,
    max_rows: Option<i64>,
}

impl Cost {
    /// Of a request whose answers are collected.
    pub(super) fn of(schema: &Schema, request: &mut Request, collected: &Arc<Collected>) -> Self {
        let scales = schema.data::<Scales>();
        Self {
            complexity: scales.and_then(|scales| scales.weigh(request)),
            max_rows: schema.data::<Reports>().and_then(Reports::max_rows),
            collected: Arc::clone(collected),
        }
    }

    /// Whether there is anything to tell.
    pub(super) fn is_told(&self) -> bool {
        self.complexity.is_some()
    }

    /// How many points it costs before it is answered.
    pub(super) fn points(&self) -> u32 {
        let points = self.complexity.map(u32::try_from);
        points.map_or(1, |points| points.unwrap_or(u32::MAX)).max(1)
    }

    /// How many more it turned out to cost.
    pub(super) fn points_of_rows(&self) -> u32 {
        points_of_rows(self.collected.rows_estimated())
    }

    /// The response that tells it, if there is anything to tell; with it where the limit stands.
    pub(super) fn tell(&self, response: Response, standing: Option<Standing>) -> Response {
        let Some(complexity) = self.complexity else {
            return response;
        };
        let told = Told {
            requested: self.points().saturating_add(self.points_of_rows()),
            remaining: standing.map(|standing| standing.remaining),
            reset_at: standing.map(|standing| standing.full_at),
            complexity,
            max_complexity: limits::COMPLEXITY,
            rows_estimated: self.collected.rows_estimated(),
            max_rows: self.max_rows,
        };
        let told = to_value(told).expect("numbers and a time are a value");
        response.extension("cost", told)
    }
}

/// A response with where the limit stands: what is kept of it is the same for all who ask.
pub(super) fn standing_in(body: &Bytes, standing: &Standing) -> Bytes {
    const COST: &[u8] = b"\"cost\":{";
    // In texts the quotes have a stroke before them, and what is behind the data has no such name.
    let at = body.windows(COST.len()).rposition(|part| part == COST);
    let Some(at) = at.map(|at| at + COST.len()) else {
        return body.clone();
    };
    let full_at = standing.full_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let told = format!(
        "\"remaining\":{},\"resetAt\":\"{full_at}\",",
        standing.remaining
    );
    [&body[..at], told.as_bytes(), &body[at..]].concat().into()
}
