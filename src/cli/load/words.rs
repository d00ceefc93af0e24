//! What stands between the parts of an event that differ, in each format.

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page that was seen.
    Pageview,
    /// One of [`Words::others`].
    Other(usize),
    /// An order with its lines.
    Purchase,
}

/// The fixed texts of a format. An event is its kind, its id, time and user, the visit, and what
/// belongs to the kind.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) pageview: &'static [u8],
    pub(super) purchase: &'static [u8],
    pub(super) others: [&'static [u8]; 5],
    /// Before the id.
    pub(super) id: &'static [u8],
    /// Where and through what.
    pub(super) visits: [&'static [u8]; 6],
    /// Around the product, the position and the session of a pageview.
    pub(super) page: &'static [&'static [u8]; 4],
    /// The same of what is neither page nor order.
    pub(super) look: &'static [&'static [u8]; 4],
    /// Around the order's number and its lines.
    pub(super) order: [&'static [u8]; 3],
    /// Around a line's product, quantity and money.
    pub(super) line: [&'static [u8]; 4],
    /// Whether a line's money is its total, not the price of one.
    pub(super) line_totals: bool,
}

impl Words {
    pub(super) fn kind(&self, kind: Kind) -> &'static [u8] {
        match kind {
            Kind::Pageview => self.pageview,
            Kind::Other(which) => self.others[which],
            Kind::Purchase => self.purchase,
        }
    }
}

pub(super) static NATIVE: Words = Words {
    pageview: br#"{"type":"pageview"#,
    purchase: br#"{"type":"purchase"#,
    others: [
        br#"{"type":"add_to_cart"#,
        br#"{"type":"click"#,
        br#"{"type":"search"#,
        br#"{"type":"product_viewed"#,
        br#"{"type":"checkout_started"#,
    ],
    id: br#"","eventId":""#,
    visits: [
        br#"","region":"DE","channel":"search""#,
        br#"","region":"FR","channel":"direct""#,
        br#"","region":"US","channel":"email""#,
        br#"","region":"JP","channel":"search""#,
        br#"","region":"US","channel":"ads""#,
        br#"","region":"GB","channel":"direct""#,
    ],
    page: &[
        br#","url":"https://shop.example/products/"#,
        br#"","properties":{"device":"phone","referrer":"https://search.example/","position":"#,
        br#"},"sessionId":"session-"#,
        br#""}"#,
    ],
    look: &[
        br#","properties":{"device":"phone","productId":"sku-"#,
        br#"","position":"#,
        br#"},"sessionId":"session-"#,
        br#""}"#,
    ],
    order: [
        br#","currency":"USD","properties":{"device":"phone","order":""#,
        br#""},"lines":["#,
        br"]}",
    ],
    line: [
        br#"{"productId":"sku-"#,
        br#"","quantity":"#,
        br#","amount":""#,
        br#""}"#,
    ],
    line_totals: true,
};

/// Short: 1,000 of them stay below the 500 KB of that API.
pub(super) static SEGMENT: Words = Words {
    pageview: br#"{"type":"page"#,
    purchase: br#"{"type":"track","event":"Order Completed"#,
    others: [
        br#"{"type":"track","event":"Product Added"#,
        br#"{"type":"track","event":"Product Clicked"#,
        br#"{"type":"track","event":"Products Searched"#,
        br#"{"type":"track","event":"Product Viewed"#,
        br#"{"type":"track","event":"Checkout Started"#,
    ],
    id: br#"","messageId":""#,
    visits: [
        br#"","context":{"locale":"de-DE"}"#,
        br#"","context":{"locale":"fr-FR"}"#,
        br#"","context":{"locale":"en-US"}"#,
        br#"","context":{"locale":"ja-JP"}"#,
        br#"","context":{"locale":"es-US"}"#,
        br#"","context":{"locale":"en-GB"}"#,
    ],
    page: &[
        br#","properties":{"url":"https://shop.example/products/"#,
        br#"","referrer":"https://search.example/","position":"#,
        br#","visit":"#,
        br"}}",
    ],
    look: &[
        br#","properties":{"product_id":"sku-"#,
        br#"","position":"#,
        br#","visit":"#,
        br"}}",
    ],
    order: [
        br#","properties":{"currency":"USD","order_id":""#,
        br#"","products":["#,
        br"]}}",
    ],
    line: [
        br#"{"product_id":"sku-"#,
        br#"","quantity":"#,
        br#","price":"#,
        br"}",
    ],
    line_totals: false,
};
