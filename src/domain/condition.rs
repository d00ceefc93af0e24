//! Which facts count: conditions over dimensions and over the properties of events.

use serde::{Deserialize, Serialize};

use super::measure::Dimension;

/// How deep conditions may nest.
pub const MAX_DEPTH: usize = 8;
/// How many conditions there may be in all.
pub const MAX_CONDITIONS: usize = 50;
/// How many values a condition may list.
pub const MAX_VALUES: usize = 100;

/// What parts a category's path.
pub const PATH: &str = " > ";

/// A dimension, and of a category how much of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// By what.
    pub dimension: Dimension,
    /// Of [`Dimension::Category`]: so many names of the path, from the department; all if absent.
    pub level: Option<i32>,
}

impl Key {
    /// What groups go by, of a value of the dimension.
    #[must_use]
    pub fn of<'a>(&self, value: &'a str) -> &'a str {
        let Some(level) = self.level else {
            return value;
        };
        let names = usize::try_from(level).unwrap_or_default();
        let end = value.match_indices(PATH).nth(names.saturating_sub(1));
        end.map_or(value, |(end, _)| &value[..end])
    }
}

impl From<Dimension> for Key {
    fn from(dimension: Dimension) -> Self {
        Self {
            dimension,
            level: None,
        }
    }
}

/// What is asked of a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// All of them; nothing is asked if there are none.
    All(Vec<Self>),
    /// One of them; nothing passes if there are none.
    Any(Vec<Self>),
    /// That this does not hold.
    Not(Box<Self>),
    /// That the dimension has one of these values; a category, or one below it.
    Among(Dimension, Vec<String>),
    /// Something of the event's property at this path.
    Property(Vec<String>, Test),
}

/// What is asked of a property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// That it is there, and not null.
    Exists,
    /// That its text is one of these; a number's is as it was sent.
    Among(Vec<String>),
    /// That it is a number, of at least this: a decimal.
    AtLeast(String),
    /// That it is a number, of at most this: a decimal.
    AtMost(String),
}

impl Condition {
    /// The dimensions that it speaks of.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Dimension> {
        let mut all = Vec::new();
        self.walk(&mut |condition| {
            if let Self::Among(dimension, _) = condition {
                all.push(*dimension);
            }
        });
        all
    }

    /// Whether it asks for properties.
    #[must_use]
    pub fn has_properties(&self) -> bool {
        let mut found = false;
        self.walk(&mut |condition| found |= matches!(condition, Self::Property(..)));
        found
    }

    /// How many conditions it is made of.
    #[must_use]
    pub fn count(&self) -> usize {
        let mut count = 0;
        self.walk(&mut |_| count += 1);
        count
    }

    /// Whether it holds of what has these values; nothing is known of properties.
    pub fn holds<'a>(&self, value: &impl Fn(Dimension) -> &'a str) -> bool {
        match self {
            Self::All(inner) => inner.iter().all(|one| one.holds(value)),
            Self::Any(inner) => inner.iter().any(|one| one.holds(value)),
            Self::Not(inner) => !inner.holds(value),
            Self::Among(Dimension::Category, asked) => {
                let category = value(Dimension::Category);
                let is_below = |above: &String| {
                    let rest = category.strip_prefix(above.as_str());
                    !above.is_empty() && rest.is_some_and(|rest| rest.starts_with(PATH))
                };
                let is = |asked: &String| category == asked || is_below(asked);
                asked.iter().any(is)
            }
            Self::Among(dimension, asked) => {
                let value = value(*dimension);
                asked.iter().any(|asked| asked == value)
            }
            Self::Property(..) => false,
        }
    }

    fn walk(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.walk(visit)),
            Self::Not(inner) => inner.walk(visit),
            Self::Among(..) | Self::Property(..) => {}
        }
    }
}
