//! What each measure is, in the plainest words.

const BOUGHT: [&str; 9] = [
    "CATEGORY",
    "PRODUCT",
    "CURRENCY",
    "REGION",
    "CHANNEL",
    "CAMPAIGN",
    "DEVICE",
    "USER_COHORT",
    "REGION",
];
const DONE: [&str; 8] = [
    "EVENT_TYPE",
    "PAGE_URL",
    "REGION",
    "CHANNEL",
    "CAMPAIGN",
    "DEVICE",
    "USER_COHORT",
    "REGION",
];
const BOTH: [&str; 5] = ["REGION", "CHANNEL", "CAMPAIGN", "DEVICE", "USER_COHORT"];

/// A measure: its quantities, each with its subject; how it follows from them; its dimensions.
pub struct Measure {
    pub name: &'static str,
    pub of: &'static [(&'static str, &'static str)],
    pub formula: fn(&[Option<i128>]) -> Option<String>,
    pub dimensions: &'static [&'static str],
}

fn count(numbers: &[Option<i128>]) -> Option<String> {
    Some(numbers[0]?.to_string())
}

/// Cents as dollars; every currency of this test has two decimals.
fn money(numbers: &[Option<i128>]) -> Option<String> {
    Some(decimal(numbers[0]?, 2))
}

/// A number with decimals.
pub fn decimal(unscaled: i128, decimals: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// Of numbers that are not below zero, rounded half up.
fn ratio(above: Option<i128>, below: Option<i128>, decimals: u32) -> Option<String> {
    let below = below.filter(|below| *below > 0)?;
    let scaled = above.unwrap_or(0) * 10_i128.pow(decimals);
    Some(decimal(
        (2 * scaled + below) / (2 * below),
        decimals as usize,
    ))
}

pub const MEASURES: [Measure; 19] = [
    Measure {
        name: "REVENUE",
        of: &[("lines", "revenue")],
        formula: money,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "REFUNDS",
        of: &[("lines", "refunds")],
        formula: money,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "NET_REVENUE",
        of: &[("lines", "revenue"), ("lines", "refunds")],
        formula: |n| Some(decimal(n[0]? - n[1]?, 2)),
        dimensions: &BOUGHT,
    },
    Measure {
        name: "ORDERS",
        of: &[("lines", "orders")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "UNITS",
        of: &[("lines", "units")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "AVERAGE_ORDER_VALUE",
        of: &[("lines", "revenue"), ("lines", "orders")],
        formula: |n| {
            ratio(n[0], n[1], 0).map(|cents| decimal(cents[..cents.len() - 1].parse().unwrap(), 2))
        },
        dimensions: &BOUGHT,
    },
    Measure {
        name: "BUYERS",
        of: &[("buyers", "buyers")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "NEW_BUYERS",
        of: &[("newBuyers", "newBuyers")],
        formula: count,
        dimensions: &BOUGHT,
    },
    Measure {
        name: "EVENTS",
        of: &[("events", "events")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "PAGEVIEWS",
        of: &[("events", "pageviews")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "CART_ADDS",
        of: &[("events", "cartAdds")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "USERS",
        of: &[("users", "users")],
        formula: count,
        dimensions: &DONE,
    },
    Measure {
        name: "NEW_USERS",
        of: &[("newUsers", "newUsers")],
        formula: count,
        dimensions: &[
            "PAGE_URL",
            "REGION",
            "CHANNEL",
            "CAMPAIGN",
            "DEVICE",
            "USER_COHORT",
        ],
    },
    Measure {
        name: "SESSIONS",
        of: &[("sessions", "sessions")],
        formula: count,
        dimensions: &[
            "PAGE_URL",
            "REGION",
            "CHANNEL",
            "CAMPAIGN",
            "DEVICE",
            "USER_COHORT",
        ],
    },
    Measure {
        name: "BOUNCE_RATE",
        of: &[("sessions", "bounces"), ("sessions", "sessions")],
        formula: |n| ratio(n[0], n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "SESSION_DURATION",
        of: &[("sessions", "time"), ("sessions", "sessions")],
        // Microseconds; every time of this test is whole milliseconds.
        formula: |n| {
            ratio(n[0].map(|time| time / 1_000), n[1], 0)
                .map(|millis| decimal(millis[..millis.len() - 1].parse().unwrap(), 3))
        },
        dimensions: &BOTH,
    },
    Measure {
        name: "CONVERSION_RATE",
        of: &[("buyers", "buyers"), ("users", "users")],
        formula: |n| ratio(n[0], n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "CART_ABANDONMENT_RATE",
        of: &[("carts", "cartBuyers"), ("carts", "cartUsers")],
        formula: |n| ratio(Some(n[1]? - n[0]?), n[1], 6),
        dimensions: &BOTH,
    },
    Measure {
        name: "REVENUE_PER_USER",
        of: &[("lines", "revenue"), ("users", "users")],
        formula: |n| {
            ratio(n[0], n[1], 0).map(|cents| decimal(cents[..cents.len() - 1].parse().unwrap(), 2))
        },
        dimensions: &BOTH,
    },
];
