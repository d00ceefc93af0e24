//! What narrows a list of records.

use async_graphql::InputObject;
use uuid::Uuid;

use crate::error::Problem;
use crate::graphql::types::range::TimeRangeInput;
use crate::reports::parameters::{types, word};
use crate::reports::records::RecordFilter;

/// Which events; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct EventFilter {
    /// Of any of these types: at most 50.
    types: Option<Vec<String>>,
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this region.
    region: Option<String>,
    /// Of bots alone, or of others alone.
    bot: Option<bool>,
}

/// Which user agents; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct UserAgentFilter {
    /// Bots alone, or others alone.
    bot: Option<bool>,
}

/// Which pageviews; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct PageviewFilter {
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this region.
    region: Option<String>,
}

/// Which purchases or refunds; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct PurchaseFilter {
    /// Within this range.
    range: Option<TimeRangeInput>,
    /// Of the user whom this id stands for, under whichever of their ids.
    user_id: Option<Uuid>,
    /// Of this product.
    product_id: Option<String>,
    /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
    category: Option<String>,
    /// Of this region.
    region: Option<String>,
}

/// Which products; what is absent does not narrow the list.
#[derive(Default, InputObject)]
pub(super) struct ProductFilter {
    /// Of this category or one below it, as in `Kitchen` or `Kitchen > Coffee`.
    category: Option<String>,
}

fn range(
    input: Option<TimeRangeInput>,
) -> Result<Option<crate::domain::calendar::TimeRange>, Problem> {
    input.map(TryInto::try_into).transpose()
}

impl TryFrom<EventFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: EventFilter) -> Result<Self, Problem> {
        Ok(Self {
            types: filter.types.map(types).transpose()?,
            range: range(filter.range)?,
            user_ids: filter.user_id.map(|id| vec![id]),
            region: word(filter.region)?,
            bot: filter.bot,
            ..Self::default()
        })
    }
}

impl TryFrom<PageviewFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: PageviewFilter) -> Result<Self, Problem> {
        Ok(Self {
            range: range(filter.range)?,
            user_ids: filter.user_id.map(|id| vec![id]),
            region: word(filter.region)?,
            ..Self::default()
        })
    }
}

impl TryFrom<PurchaseFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: PurchaseFilter) -> Result<Self, Problem> {
        Ok(Self {
            range: range(filter.range)?,
            user_ids: filter.user_id.map(|id| vec![id]),
            product_id: word(filter.product_id)?,
            category: word(filter.category)?,
            region: word(filter.region)?,
            ..Self::default()
        })
    }
}

impl From<UserAgentFilter> for RecordFilter {
    fn from(filter: UserAgentFilter) -> Self {
        Self {
            bot: filter.bot,
            ..Self::default()
        }
    }
}

impl TryFrom<ProductFilter> for RecordFilter {
    type Error = Problem;

    fn try_from(filter: ProductFilter) -> Result<Self, Problem> {
        Ok(Self {
            category: word(filter.category)?,
            ..Self::default()
        })
    }
}
