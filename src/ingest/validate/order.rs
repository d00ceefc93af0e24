//! What was bought or paid back, to the minor unit.

use std::borrow::Cow;

use super::{MAX_ID, MAX_LINES, MAX_WORD, belongs_elsewhere, bounded, required};
use crate::domain::batch::Protocol;
use crate::domain::event::{self, EventType, Line, Order, OrderKind};
use crate::domain::money::{AmountError, Currency};
use crate::error::Code;
use crate::ingest::Rejection;
use crate::ingest::parse::{Draft, LineDraft};

const MAX_QUANTITY: i32 = 1_000_000;

/// The order of a purchase or a refund.
pub(super) fn order(
    draft: &Draft<'_>,
    event_type: &EventType,
    default_currency: Currency,
) -> Result<Option<Order>, Rejection> {
    let names = draft.names;
    let kind = match event_type.as_str() {
        event::PURCHASE => OrderKind::Purchase,
        event::REFUND => OrderKind::Refund,
        _ => {
            belongs_elsewhere(draft.currency.is_some(), names.currency, event::PURCHASE)?;
            belongs_elsewhere(draft.lines.is_some(), names.lines, event::PURCHASE)?;
            belongs_elsewhere(draft.order_id.is_some(), names.order_id, event::PURCHASE)?;
            return Ok(None);
        }
    };
    let currency = currency(draft, default_currency)?;
    let lines = draft
        .lines
        .as_ref()
        .ok_or_else(|| Rejection::new(Code::MissingField, names.lines))?;
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(Rejection::new(Code::InvalidLines, names.lines));
    }
    let lines = lines.iter().enumerate();
    let lines = lines.map(|(n, line)| Reading { draft, line, n }.line(kind, currency));
    let order_id = draft.order_id.as_ref();
    Ok(Some(Order {
        kind,
        order_id: order_id
            .map(|id| bounded(id, MAX_ID, names.order_id))
            .transpose()?,
        currency,
        lines: lines.collect::<Result<_, _>>()?,
    }))
}

fn currency(draft: &Draft<'_>, default: Currency) -> Result<Currency, Rejection> {
    let path = draft.names.currency;
    let is_native = draft.protocol == Protocol::Native;
    let code = match &draft.currency {
        None if !is_native => return Ok(default),
        code => required(code.as_ref(), path)?,
    };
    let code = if is_native {
        Cow::Borrowed(code)
    } else {
        code.to_ascii_uppercase().into()
    };
    Currency::from_code(&code).ok_or_else(|| Rejection::new(Code::InvalidCurrency, path))
}

/// A line that is being read, and where it stands.
struct Reading<'d> {
    draft: &'d Draft<'d>,
    line: &'d LineDraft<'d>,
    n: usize,
}

impl Reading<'_> {
    fn path(&self, field: &str) -> String {
        format!("{}[{}].{field}", self.draft.names.lines, self.n)
    }

    fn amount_path(&self) -> String {
        let sum = self.draft.sum_path.map(str::to_owned);
        sum.unwrap_or_else(|| self.path(self.draft.names.amount))
    }

    fn line(&self, kind: OrderKind, currency: Currency) -> Result<Line, Rejection> {
        // What is paid back need not be of a product.
        let may_lack = kind == OrderKind::Refund;
        let product_id = match &self.line.product_id {
            None if may_lack => String::new(),
            id => {
                let path = self.path(self.draft.names.product_id);
                bounded(required(id.as_ref(), &path)?, MAX_WORD, &path)?
            }
        };
        let quantity = match &self.line.quantity {
            None if may_lack => 0,
            text => self.quantity(required(text.as_ref(), &self.path("quantity"))?, may_lack)?,
        };
        Ok(Line {
            amount: self.amount(currency, quantity)?,
            product_id,
            quantity,
        })
    }

    fn quantity(&self, text: &str, may_be_none: bool) -> Result<i32, Rejection> {
        // Some languages write whole numbers with a point.
        let text = match (text.split_once('.'), self.draft.protocol) {
            (None, _) | (_, Protocol::Native) => text,
            (Some((whole, zeros)), _) if zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        let least = i32::from(!may_be_none);
        text.parse()
            .ok()
            .filter(|quantity| (least..=MAX_QUANTITY).contains(quantity))
            .ok_or_else(|| Rejection::new(Code::InvalidQuantity, self.path("quantity")))
    }

    fn amount(&self, currency: Currency, quantity: i32) -> Result<i64, Rejection> {
        let amount = match (&self.line.amount, &self.line.unit_price) {
            (None, Some(price)) => currency.parse_amount_of(price, quantity),
            (amount, _) => {
                let amount = amount.as_ref();
                let text = amount
                    .map(AsRef::as_ref)
                    .ok_or_else(|| Rejection::new(Code::MissingField, self.amount_path()))?;
                currency.parse_amount(text)
            }
        };
        amount.map_err(|error| match error {
            AmountError::Malformed => Rejection::new(Code::InvalidAmount, self.amount_path()),
            AmountError::TooManyDecimals(decimals) => {
                let code = currency.code();
                let detail = format!("An amount in {code} has at most {decimals} decimals.");
                Rejection::with(Code::TooManyDecimals, self.amount_path(), detail)
            }
        })
    }
}
