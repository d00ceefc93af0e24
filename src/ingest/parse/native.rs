//! Events in our own words. A field that is not known spoils its event: it may be a misspelt one.

use serde_json::value::RawValue;

use super::json::{AtMost, Members, fill, non_null, number, object, text};
use super::{Draft, LineDraft};
use crate::error::Code;
use crate::ingest::Rejection;
use crate::ingest::validate::MAX_LINES;

pub(super) fn read<'a>(members: &Members<'a>) -> Result<Draft<'a>, Rejection> {
    let mut draft = Draft::default();
    for (name, value) in members {
        let slot = match name.as_ref() {
            "eventId" => &mut draft.event_id,
            "messageId" => &mut draft.message_id,
            "type" => &mut draft.event_type,
            "timestamp" => &mut draft.timestamp,
            "userId" => &mut draft.user_id,
            "anonymousId" => &mut draft.anonymous_id,
            "previousId" => &mut draft.previous_id,
            "previousUserId" => &mut draft.previous_user_id,
            "sessionId" => &mut draft.session_id,
            "region" => &mut draft.region,
            "channel" => &mut draft.channel,
            "campaign" => &mut draft.campaign,
            "userAgent" => &mut draft.user_agent,
            "url" => &mut draft.url,
            "currency" => &mut draft.currency,
            "orderId" => &mut draft.order_id,
            "properties" => {
                let properties = non_null(value).map(|raw| raw.get().into());
                fill(&mut draft.properties, properties, name)?;
                continue;
            }
            "lines" => {
                let lines = non_null(value).map(lines).transpose()?;
                fill(&mut draft.lines, lines, name)?;
                continue;
            }
            _ => return Err(Rejection::new(Code::UnknownField, name.as_ref())),
        };
        let text = non_null(value).map(|raw| text(raw, name)).transpose()?;
        fill(slot, text, name)?;
    }
    if draft.event_id.is_some() && draft.message_id.is_some() {
        let detail = "Give `eventId` or `messageId`, not both.";
        return Err(Rejection::with(Code::UnexpectedField, "messageId", detail));
    }
    Ok(draft)
}

fn lines(raw: &RawValue) -> Result<Vec<LineDraft<'_>>, Rejection> {
    if !raw.get().starts_with('[') {
        let detail = "`lines` must be an array of objects.";
        return Err(Rejection::with(Code::InvalidType, "lines", detail));
    }
    let AtMost::<MAX_LINES>(lines) =
        serde_json::from_str(raw.get()).map_err(|_| Rejection::new(Code::InvalidLines, "lines"))?;
    let lines = lines.into_iter().enumerate();
    lines.map(|(n, raw)| line(raw, n)).collect()
}

fn line(raw: &RawValue, n: usize) -> Result<LineDraft<'_>, Rejection> {
    let mut line = LineDraft::default();
    for (name, value) in object(raw.get(), &format!("lines[{n}]"))? {
        let path = format!("lines[{n}].{name}");
        let value = non_null(value);
        match name.as_ref() {
            "productId" => fill(
                &mut line.product_id,
                value.map(|raw| text(raw, &path)).transpose()?,
                &path,
            )?,
            "quantity" => fill(
                &mut line.quantity,
                value.map(|raw| number(raw, &path)).transpose()?,
                &path,
            )?,
            "amount" => {
                let amount = value.map(|raw| number(raw, &path).or_else(|_| text(raw, &path)));
                fill(&mut line.amount, amount.transpose()?, &path)?;
            }
            _ => return Err(Rejection::new(Code::UnknownField, path)),
        }
    }
    Ok(line)
}
