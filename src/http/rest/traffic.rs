//! `GET /v1/traffic`: what happened.

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Response};
use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Granularity, Parameters, instant, word, words};
use super::provenance::Provenance;
use super::{Reader, Sourced, report};
use crate::domain::calendar::{self, TimeRange};
use crate::error::Problem;
use crate::http::State;
use crate::reports::parameters::{staleness, zone};
use crate::reports::traffic::{TrafficAnswer, TrafficMeasures, TrafficQuestion};

/// The question.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TrafficParameters {
    /// The first instant inside: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    from: DateTime<Utc>,
    /// The first instant after: RFC 3339 with an offset. Widened to whole minutes.
    #[serde(deserialize_with = "instant")]
    to: DateTime<Utc>,
    /// How long a bucket is; `TOTAL`, one bucket, if absent.
    #[serde(default, deserialize_with = "word")]
    #[param(inline)]
    granularity: Option<Granularity>,
    /// Of whose days and hours the buckets are: an IANA name such as `Europe/Berlin`; the tenant's
    /// if absent.
    timezone: Option<String>,
    /// Whether to count what bots did, too; `false` if absent.
    #[serde(default)]
    include_bots: bool,
    /// How old the answer may be, in seconds, from 0 to 3,600: then a replica may give it; 0 if
    /// absent.
    #[serde(default)]
    max_staleness: i32,
    /// What to count besides, after commas. `USERS` of whole days of the tenant's time zone are
    /// counted over rows of who was there, others over the events themselves, which takes longer.
    #[serde(default, deserialize_with = "words")]
    #[param(inline, style = Form, explode = false)]
    include: Vec<TrafficInclude>,
}

/// What is counted only where it is asked for.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum TrafficInclude {
    /// Different users, of each bucket and in total.
    Users,
}

/// What happened over time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Traffic {
    /// Whose days and hours the buckets are: an IANA name.
    timezone: &'static str,
    /// Every bucket of the range.
    buckets: Vec<TrafficBucket>,
    /// Over the whole range; a user who came in several buckets is one user here.
    totals: TrafficNumbers,
    /// Where the numbers come from.
    provenance: Provenance,
}

/// One bucket.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TrafficBucket {
    /// Its first instant: RFC 3339 with the offset of the time zone.
    start: DateTime<FixedOffset>,
    /// The first instant after it: RFC 3339 with the offset of the time zone.
    end: DateTime<FixedOffset>,
    #[serde(flatten)]
    numbers: TrafficNumbers,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TrafficNumbers {
    /// How many events of all types.
    events: i64,
    /// How many of each type, in the order of the types.
    events_by_type: Vec<EventCount>,
    /// How many pages were seen.
    pageviews: i64,
    /// With `include=USERS`: how many different users.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<i64>,
}

/// How many events of a type.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct EventCount {
    /// What happened: the word of the type.
    #[serde(rename = "type")]
    event_type: String,
    /// How often.
    events: i64,
}

/// Events by type and pageviews over time.
///
/// From the minute rollup, exact in every time zone. With `include=USERS` also how many different
/// users there were. Needs the scope `read`.
#[utoipa::path(
    get, path = "/v1/traffic", tag = "Reports", params(TrafficParameters),
    responses((status = 200, description = "What happened.", body = Traffic))
)]
pub(in crate::http) async fn traffic(
    Extract(state): Extract<State>,
    Reader { identity, .. }: Reader,
    Parameters(asked): Parameters<TrafficParameters>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let users = asked.include.contains(&TrafficInclude::Users);
    let question = TrafficQuestion {
        shop: identity.shop(),
        range: TimeRange::new(asked.from, asked.to)?,
        granularity: asked
            .granularity
            .map_or(calendar::Granularity::Total, Into::into),
        zone: zone(asked.timezone.as_deref(), identity.timezone)?,
        bots: asked.include_bots,
        max_staleness: staleness(asked.max_staleness)?,
        users_per_bucket: users,
        users_in_total: users,
    };
    let answer = state.reports.traffic(&question).await?;
    Ok(report(&headers, Traffic::from(answer)))
}

impl Sourced for Traffic {
    fn provenance(&mut self) -> &mut Provenance {
        &mut self.provenance
    }
}

impl From<TrafficMeasures> for TrafficNumbers {
    fn from(measures: TrafficMeasures) -> Self {
        let by_type = measures.events_by_type.into_iter();
        Self {
            events: measures.events,
            events_by_type: by_type
                .map(|(event_type, events)| EventCount { event_type, events })
                .collect(),
            pageviews: measures.pageviews,
            users: measures.users,
        }
    }
}

impl From<TrafficAnswer> for Traffic {
    fn from(answer: TrafficAnswer) -> Self {
        let zone = answer.zone;
        let buckets = answer.buckets.into_iter().map(|bucket| TrafficBucket {
            start: bucket.start.with_timezone(&zone).fixed_offset(),
            end: bucket.end.with_timezone(&zone).fixed_offset(),
            numbers: bucket.measures.into(),
        });
        Self {
            buckets: buckets.collect(),
            timezone: zone.name(),
            totals: answer.totals.into(),
            provenance: answer.provenance.into(),
        }
    }
}
