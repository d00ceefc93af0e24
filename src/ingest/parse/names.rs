//! What senders call the fields that a draft has, so that a judgement speaks their words.

/// The names of fields in one protocol.
#[derive(Debug)]
pub struct Names {
    pub(in crate::ingest) message_id: &'static str,
    pub(in crate::ingest) event_type: &'static str,
    pub(in crate::ingest) timestamp: &'static str,
    pub(in crate::ingest) sent_at: &'static str,
    pub(in crate::ingest) user_id: &'static str,
    pub(in crate::ingest) anonymous_id: &'static str,
    pub(in crate::ingest) previous_id: &'static str,
    pub(in crate::ingest) session_id: &'static str,
    pub(in crate::ingest) region: &'static str,
    pub(in crate::ingest) channel: &'static str,
    pub(in crate::ingest) campaign: &'static str,
    pub(in crate::ingest) user_agent: &'static str,
    pub(in crate::ingest) url: &'static str,
    pub(in crate::ingest) order_id: &'static str,
    pub(in crate::ingest) currency: &'static str,
    pub(in crate::ingest) lines: &'static str,
    pub(in crate::ingest) product_id: &'static str,
    pub(in crate::ingest) amount: &'static str,
    pub(in crate::ingest) properties: &'static str,
}

/// Our own words.
pub(super) static NATIVE: Names = Names {
    message_id: "messageId",
    event_type: "type",
    timestamp: "timestamp",
    sent_at: "sentAt",
    user_id: "userId",
    anonymous_id: "anonymousId",
    previous_id: "previousId",
    session_id: "sessionId",
    region: "region",
    channel: "channel",
    campaign: "campaign",
    user_agent: "userAgent",
    url: "url",
    order_id: "orderId",
    currency: "currency",
    lines: "lines",
    product_id: "productId",
    amount: "amount",
    properties: "properties",
};

/// Those of the Segment tracking API.
pub(super) static SEGMENT: Names = SEGMENT_NAMES;

/// The same where the original timestamp counts.
pub(super) static SEGMENT_ORIGINAL: Names = Names {
    timestamp: "originalTimestamp",
    ..SEGMENT_NAMES
};

const SEGMENT_NAMES: Names = Names {
    message_id: "messageId",
    event_type: "event",
    timestamp: "timestamp",
    sent_at: "sentAt",
    user_id: "userId",
    anonymous_id: "anonymousId",
    previous_id: "previousId",
    session_id: "context.sessionId",
    region: "context.location.country",
    channel: "context.campaign.medium",
    campaign: "context.campaign.name",
    user_agent: "context.userAgent",
    url: "properties.url",
    order_id: "properties.order_id",
    currency: "properties.currency",
    lines: "properties.products",
    product_id: "product_id",
    amount: "price",
    properties: "properties",
};

/// Those of PostHog.
pub(super) static POSTHOG: Names = Names {
    message_id: "uuid",
    event_type: "event",
    timestamp: "timestamp",
    sent_at: "sent_at",
    user_id: "distinct_id",
    anonymous_id: "properties.$anon_distinct_id",
    previous_id: "properties.alias",
    session_id: "properties.$session_id",
    region: "properties.$geoip_country_code",
    channel: "properties.utm_medium",
    campaign: "properties.utm_campaign",
    user_agent: "properties.$raw_user_agent",
    url: "properties.$current_url",
    ..SEGMENT_NAMES
};

impl Default for &Names {
    fn default() -> Self {
        &NATIVE
    }
}
