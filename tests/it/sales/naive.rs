//! The same answers, worked out from the events themselves in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Offset, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

/// An order or a refund as a test knows it.
#[derive(Clone, Debug)]
pub struct Sale {
    pub at: DateTime<Utc>,
    /// Whether it is paid back.
    pub refund: bool,
    pub user: String,
    pub bot: bool,
    pub currency: &'static str,
    pub region: Option<&'static str>,
    pub channel: Option<&'static str>,
    /// Product (empty only in refunds), quantity, minor units.
    pub lines: Vec<(&'static str, i64, i64)>,
}

/// What the local clock and calendar read at the beginning of an instant's bucket. The offset
/// tells the two hours apart that autumn makes of one.
pub fn bucket(at: DateTime<Utc>, granularity: &str, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    let date = local.date_naive();
    let offset = local.offset().fix();
    let clock = |step: u32| {
        let minute = (local.hour() * 60 + local.minute()) / step * step;
        format!("{date} {:02}:{:02} {offset}", minute / 60, minute % 60)
    };
    match granularity {
        "MINUTE" => clock(1),
        "FIVE_MINUTES" => clock(5),
        "QUARTER_HOUR" => clock(15),
        "HOUR" => clock(60),
        "DAY" => date.to_string(),
        "WEEK" => format!("{:?}", date.iso_week()),
        "MONTH" => format!("{}-{:02}", date.year(), date.month()),
        "QUARTER" => format!("{}/{}", date.year(), date.month0() / 3),
        "YEAR" => date.year().to_string(),
        _ => String::new(),
    }
}

/// Units, minor units paid and paid back, orders and users.
#[derive(Default)]
struct Sums {
    units: i64,
    revenue: i64,
    refunds: i64,
    orders: BTreeSet<usize>,
    buyers: BTreeSet<String>,
}

impl Sums {
    fn add(&mut self, n: usize, sale: &Sale, (_, units, amount): (&str, i64, i64)) {
        if sale.refund {
            self.refunds += amount;
            return;
        }
        self.units += units;
        self.revenue += amount;
        self.orders.insert(n);
        self.buyers.insert(sale.user.clone());
    }

    fn measures(&self, currency: &str) -> Value {
        let orders = i64::try_from(self.orders.len()).unwrap();
        let mean =
            (orders > 0).then(|| decimal((2 * self.revenue + orders) / (2 * orders), currency));
        json!({
            "revenue": decimal(self.revenue, currency), "refunds": decimal(self.refunds, currency),
            "netRevenue": decimal(self.revenue - self.refunds, currency), "orders": orders, "units": self.units,
            "averageOrderValue": mean, "buyers": self.buyers.len(),
        })
    }
}

/// The words of a group: category, region, channel and product, where they were asked for.
pub type Group = [Option<String>; 4];

/// What `sales` has to answer for these orders: each bucket and group, and the whole.
pub fn sales(
    sales: &[Sale],
    currency: &str,
    (granularity, zone): (&str, Tz),
    groups: &[&str],
    category: impl Fn(&str) -> &'static str,
) -> (BTreeMap<(String, Group), Value>, Value) {
    let mut buckets: BTreeMap<(String, Group), Sums> = BTreeMap::new();
    let mut totals = Sums::default();
    for (n, sale) in sales
        .iter()
        .enumerate()
        .filter(|(_, sale)| sale.currency == currency)
    {
        for line in &sale.lines {
            let asked = |name: &str, word: &str| groups.contains(&name).then(|| word.to_owned());
            let group = [
                asked("CATEGORY", category(line.0)),
                asked("REGION", sale.region.unwrap_or_default()),
                asked("CHANNEL", sale.channel.unwrap_or_default()),
                asked("PRODUCT", line.0),
            ];
            let key = (bucket(sale.at, granularity, zone), group);
            buckets.entry(key).or_default().add(n, sale, *line);
            totals.add(n, sale, *line);
        }
    }
    let buckets = buckets
        .into_iter()
        .map(|(key, sums)| (key, sums.measures(currency)));
    (buckets.collect(), totals.measures(currency))
}

/// Minor units as a decimal.
pub fn decimal(minor: i64, currency: &str) -> String {
    if minor < 0 {
        return format!("-{}", decimal(-minor, currency));
    }
    match currency {
        "JPY" => minor.to_string(),
        "KWD" => format!("{}.{:03}", minor / 1000, minor % 1000),
        _ => format!("{}.{:02}", minor / 100, minor % 100),
    }
}
