//! How much one may do.

use clap::Args;

/// The limits of keys that have none of their own, and of those who show none.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitConfig {
    /// How many events a key may send in a minute. 0: any number.
    #[arg(
        global = true,
        long = "max-events-per-minute",
        env = "TIDEWATER_EVENTS_PER_MINUTE",
        value_name = "EVENTS",
        default_value = "6000000"
    )]
    pub events_per_minute: u32,

    /// How many points a key's questions may cost in a minute: a point for each of a query's
    /// complexity, and one for each 1,000 rows that it goes through. 0: any number.
    #[arg(
        global = true,
        long = "max-points-per-minute",
        env = "TIDEWATER_POINTS_PER_MINUTE",
        value_name = "POINTS",
        default_value = "6000000"
    )]
    pub points_per_minute: u32,

    /// How many exports, and streams of whole lists, a key may begin in an hour. 0: any number.
    #[arg(
        global = true,
        long = "max-exports-per-hour",
        env = "TIDEWATER_EXPORTS_PER_HOUR",
        value_name = "EXPORTS",
        default_value = "600"
    )]
    pub exports_per_hour: u32,

    /// How many subscriptions a key may have open in a process. 0: any number.
    #[arg(
        global = true,
        long = "max-open-subscriptions",
        env = "TIDEWATER_OPEN_SUBSCRIPTIONS",
        value_name = "SUBSCRIPTIONS",
        default_value = "10000"
    )]
    pub open_subscriptions: u32,

    /// How many requests without a valid key are answered in a minute to one address (of IPv6: to the
    /// 64 bits that are one customer's). 0: any number.
    #[arg(
        global = true,
        long = "max-anonymous-requests-per-minute",
        env = "TIDEWATER_ANONYMOUS_REQUESTS_PER_MINUTE",
        value_name = "REQUESTS",
        default_value = "600"
    )]
    pub requests_per_minute: u32,
}
