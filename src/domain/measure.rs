//! What is measured, and by what it can be told apart: the words of the metrics language.
//!
//! A [`Measure`] is a formula over [`Quantity`]s, which are what is counted and summed. A quantity
//! is of one [`Subject`], and the subject says which [`Dimension`]s it has. The next measure: a line
//! in [`Measure::formula`].

use serde::{Deserialize, Serialize};

/// A number that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Measure {
    /// What was paid.
    Revenue,
    /// Revenue without refunds.
    NetRevenue,
    /// What was paid back, at the time it was.
    Refunds,
    /// How many orders.
    Orders,
    /// How many pieces were sold.
    Units,
    /// Revenue over orders.
    AverageOrderValue,
    /// How many users bought.
    Buyers,
    /// How many users bought for the first time.
    NewBuyers,
    /// How many events.
    Events,
    /// How many pages were seen.
    Pageviews,
    /// How many users did anything.
    Users,
    /// How many users did anything for the first time.
    NewUsers,
    /// How many sessions began.
    Sessions,
    /// The share of sessions of one event.
    BounceRate,
    /// The mean time between a session's first and last event, in seconds.
    SessionDuration,
    /// Buyers over users.
    ConversionRate,
    /// How often something was put into a cart.
    CartAdds,
    /// The share of the users who put something into a cart that did not buy.
    CartAbandonmentRate,
    /// Revenue over users.
    RevenuePerUser,
}

/// By what numbers can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Dimension {
    /// The type of the event.
    EventType,
    /// The category of the product when it was bought.
    Category,
    /// The product.
    Product,
    /// Where the user was.
    Region,
    /// What brought the user.
    Channel,
    /// The campaign that brought the user.
    Campaign,
    /// What the user agent is of: `desktop`, `mobile`, `tablet`, or empty.
    Device,
    /// ISO 4217.
    Currency,
    /// The page.
    PageUrl,
    /// The month of the user's first purchase in the tenant's time zone, as `2026-03`; empty for
    /// who has not bought.
    UserCohort,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 10] = [
        Self::EventType,
        Self::Category,
        Self::Product,
        Self::Region,
        Self::Channel,
        Self::Campaign,
        Self::Device,
        Self::Currency,
        Self::PageUrl,
        Self::UserCohort,
    ];
}

/// What is counted or summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// Minor units paid.
    Revenue,
    /// Minor units paid back.
    Refunds,
    /// Pieces.
    Units,
    /// Different orders.
    Orders,
    /// Different users who bought.
    Buyers,
    /// Of them, those who had not before.
    NewBuyers,
    /// Events.
    Events,
    /// Of them, pageviews.
    Pageviews,
    /// Of them, additions to carts.
    CartAdds,
    /// Different users who did anything.
    Users,
    /// Of them, those who put something into a cart.
    CartUsers,
    /// Of those, the ones who bought as well.
    CartBuyers,
    /// Different users who had not done anything before.
    NewUsers,
    /// Sessions that began.
    Sessions,
    /// Of them, those of one event.
    Bounces,
    /// Microseconds between the first and the last event of those sessions.
    SessionTime,
}

/// What a quantity is of: those of one subject are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Subject {
    /// The lines of orders and refunds.
    Lines,
    /// Users, by their purchases.
    Buyers,
    /// Users, by their first purchases.
    NewBuyers,
    /// Events.
    Events,
    /// Users, by their events.
    Users,
    /// Users who put something into a cart.
    Carts,
    /// Users, by their first events.
    NewUsers,
    /// Sessions, in the order of their events.
    Sessions,
}

impl Quantity {
    /// What it is of.
    #[must_use]
    pub const fn subject(self) -> Subject {
        match self {
            Self::Revenue | Self::Refunds | Self::Units | Self::Orders => Subject::Lines,
            Self::Buyers => Subject::Buyers,
            Self::NewBuyers => Subject::NewBuyers,
            Self::Events | Self::Pageviews | Self::CartAdds => Subject::Events,
            Self::Users => Subject::Users,
            Self::CartUsers | Self::CartBuyers => Subject::Carts,
            Self::NewUsers => Subject::NewUsers,
            Self::Sessions | Self::Bounces | Self::SessionTime => Subject::Sessions,
        }
    }
}

impl Subject {
    /// Whether it can be told apart so.
    #[must_use]
    pub const fn has(self, dimension: Dimension) -> bool {
        let bought = matches!(self, Self::Lines | Self::Buyers | Self::NewBuyers);
        match dimension {
            Dimension::EventType => matches!(self, Self::Events | Self::Users),
            Dimension::PageUrl => !bought && !matches!(self, Self::Carts),
            Dimension::Category | Dimension::Product | Dimension::Currency => bought,
            Dimension::Region
            | Dimension::Channel
            | Dimension::Campaign
            | Dimension::Device
            | Dimension::UserCohort => true,
        }
    }
}

/// How a measure follows from quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// The quantity itself.
    Of(Quantity),
    /// The first without the second.
    Difference(Quantity, Quantity),
    /// The first over the second; none without the second.
    Ratio(Quantity, Quantity),
    /// One without the first over the second; none without the second.
    Rest(Quantity, Quantity),
}

impl Formula {
    /// What it needs.
    pub fn quantities(self) -> impl Iterator<Item = Quantity> {
        let (first, second) = match self {
            Self::Of(quantity) => (quantity, None),
            Self::Difference(a, b) | Self::Ratio(a, b) | Self::Rest(a, b) => (a, Some(b)),
        };
        std::iter::once(first).chain(second)
    }
}

/// What a measure's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Unit {
    /// A count.
    Count,
    /// An amount of a currency.
    Money,
    /// A share, from 0 to 1.
    Share,
    /// Seconds.
    Seconds,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 19] = [
        Self::Revenue,
        Self::NetRevenue,
        Self::Refunds,
        Self::Orders,
        Self::Units,
        Self::AverageOrderValue,
        Self::Buyers,
        Self::NewBuyers,
        Self::Events,
        Self::Pageviews,
        Self::Users,
        Self::NewUsers,
        Self::Sessions,
        Self::BounceRate,
        Self::SessionDuration,
        Self::ConversionRate,
        Self::CartAdds,
        Self::CartAbandonmentRate,
        Self::RevenuePerUser,
    ];

    /// How it follows from what is counted.
    #[must_use]
    pub const fn formula(self) -> Formula {
        use Formula::{Difference, Of, Ratio, Rest};
        match self {
            Self::Revenue => Of(Quantity::Revenue),
            Self::NetRevenue => Difference(Quantity::Revenue, Quantity::Refunds),
            Self::Refunds => Of(Quantity::Refunds),
            Self::Orders => Of(Quantity::Orders),
            Self::Units => Of(Quantity::Units),
            Self::AverageOrderValue => Ratio(Quantity::Revenue, Quantity::Orders),
            Self::Buyers => Of(Quantity::Buyers),
            Self::NewBuyers => Of(Quantity::NewBuyers),
            Self::Events => Of(Quantity::Events),
            Self::Pageviews => Of(Quantity::Pageviews),
            Self::Users => Of(Quantity::Users),
            Self::NewUsers => Of(Quantity::NewUsers),
            Self::Sessions => Of(Quantity::Sessions),
            Self::BounceRate => Ratio(Quantity::Bounces, Quantity::Sessions),
            Self::SessionDuration => Ratio(Quantity::SessionTime, Quantity::Sessions),
            Self::ConversionRate => Ratio(Quantity::Buyers, Quantity::Users),
            Self::CartAdds => Of(Quantity::CartAdds),
            Self::CartAbandonmentRate => Rest(Quantity::CartBuyers, Quantity::CartUsers),
            Self::RevenuePerUser => Ratio(Quantity::Revenue, Quantity::Users),
        }
    }

    /// What its numbers are.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Revenue
            | Self::NetRevenue
            | Self::Refunds
            | Self::AverageOrderValue
            | Self::RevenuePerUser => Unit::Money,
            Self::BounceRate | Self::ConversionRate | Self::CartAbandonmentRate => Unit::Share,
            Self::SessionDuration => Unit::Seconds,
            _ => Unit::Count,
        }
    }

    /// Whether it can be told apart so: all that it follows from can.
    #[must_use]
    pub fn has(self, dimension: Dimension) -> bool {
        let has = |quantity: Quantity| quantity.subject().has(dimension);
        self.formula().quantities().all(has)
    }
}
