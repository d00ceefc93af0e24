//! A sliding window over sales: pure, exact, a second the step.
//!
//! The window of length w at time t holds the seconds in (t − w, t]. Sales of the future (clocks
//! differ) wait until their second comes. Sums are of whole minor units, so adding and taking
//! away leaves no drift.

use std::collections::{BTreeMap, HashMap};

/// How many products a view names.
const TOP: usize = 10;

/// What the window shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// In minor units.
    pub revenue: i128,
    /// How many orders.
    pub orders: i64,
    /// How many pieces.
    pub units: i64,
    /// The products with the most revenue, the most first; ties by id.
    pub top_products: Vec<ProductSales>,
}

/// What was sold of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductSales {
    /// The shop's id.
    pub product_id: String,
    /// In minor units.
    pub revenue: i128,
    /// How many pieces.
    pub units: i64,
}

/// Units and revenue. Wide enough for any number of the largest orders.
type Sums = (i64, i128);

#[derive(Clone, Debug, Default)]
struct Second {
    orders: i64,
    products: HashMap<String, Sums>,
}

/// The window.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    /// In seconds.
    length: i64,
    now: i64,
    seconds: BTreeMap<i64, Second>,
    orders: i64,
    products: HashMap<String, Sums>,
}

impl SlidingWindow {
    /// An empty window of `length` seconds that stands at `now`, in seconds since 1970.
    #[must_use]
    pub fn new(length: i64, now: i64) -> Self {
        Self {
            length,
            now,
            seconds: BTreeMap::new(),
            orders: 0,
            products: HashMap::new(),
        }
    }

    /// Adds what was sold in a second: orders, and product, units and revenue of lines.
    pub fn add<'a>(
        &mut self,
        second: i64,
        orders: i64,
        lines: impl IntoIterator<Item = (&'a str, i64, i128)>,
    ) {
        if second <= self.now - self.length {
            return;
        }
        let counts_now = second <= self.now;
        let slot = self.seconds.entry(second).or_default();
        slot.orders += orders;
        if counts_now {
            self.orders += orders;
        }
        for (product, units, revenue) in lines {
            change(&mut slot.products, product, units, revenue);
            if counts_now {
                change(&mut self.products, product, units, revenue);
            }
        }
    }

    /// Moves the window forward: what waits comes in, what is past goes out.
    pub fn advance(&mut self, now: i64) {
        if now <= self.now {
            return;
        }
        let coming: Vec<i64> = self
            .seconds
            .range(self.now + 1..=now)
            .map(|(second, _)| *second)
            .collect();
        for second in coming {
            self.count(second, 1);
        }
        let oldest_kept = now - self.length + 1;
        let past: Vec<i64> = self
            .seconds
            .range(..oldest_kept)
            .map(|(second, _)| *second)
            .collect();
        for second in past {
            self.count(second, -1);
            self.seconds.remove(&second);
        }
        self.now = now;
    }

    /// Adds a second's sums to the window's, or takes them away.
    fn count(&mut self, second: i64, sign: i64) {
        let Some(slot) = self.seconds.get(&second) else {
            return;
        };
        self.orders += sign * slot.orders;
        for (product, (units, revenue)) in &slot.products {
            change(
                &mut self.products,
                product,
                sign * units,
                i128::from(sign) * revenue,
            );
        }
    }

    /// What the window shows now.
    #[must_use]
    pub fn view(&self) -> View {
        let mut top: Vec<_> = self.products.iter().collect();
        let by_revenue = |(a_id, (_, a)): &(&String, &Sums), (b_id, (_, b)): &(&String, &Sums)| {
            b.cmp(a).then_with(|| a_id.cmp(b_id))
        };
        if top.len() > TOP {
            top.select_nth_unstable_by(TOP - 1, by_revenue);
            top.truncate(TOP);
        }
        top.sort_unstable_by(by_revenue);
        View {
            revenue: self.products.values().map(|(_, revenue)| revenue).sum(),
            orders: self.orders,
            units: self.products.values().map(|(units, _)| units).sum(),
            top_products: top
                .into_iter()
                .map(|(product_id, (units, revenue))| ProductSales {
                    product_id: product_id.clone(),
                    revenue: *revenue,
                    units: *units,
                })
                .collect(),
        }
    }
}

fn change(products: &mut HashMap<String, Sums>, product: &str, units: i64, revenue: i128) {
    match products.get_mut(product) {
        Some(sums) => {
            sums.0 += units;
            sums.1 += revenue;
            if sums.0 == 0 {
                products.remove(product);
            }
        }
        None => {
            products.insert(product.to_owned(), (units, revenue));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sale_leaves_when_the_window_has_passed_it() {
        let mut window = SlidingWindow::new(60, 1000);
        window.add(990, 1, [("mug", 2, 500)]);
        assert_eq!(window.view().revenue, 500);
        window.advance(1049);
        assert_eq!(window.view().orders, 1);
        window.advance(1050);
        assert_eq!(window.view(), View::default());
    }

    #[test]
    fn a_sale_of_the_future_waits_for_its_second() {
        let mut window = SlidingWindow::new(60, 1000);
        window.add(1002, 1, [("mug", 1, 100)]);
        assert_eq!(window.view().orders, 0);
        window.advance(1002);
        assert_eq!(window.view().orders, 1);
    }

    proptest! {
        /// Against a sum over all sales, made anew at every step.
        #[test]
        fn the_window_equals_a_sum_over_what_lies_in_it(
            length in 1..50_i64,
            sales in prop::collection::vec((0..200_i64, 0..15_u8, 1..4_i64, 1..1000_i128), 0..80),
            steps in prop::collection::vec(0..40_i64, 1..10),
        ) {
            let mut window = SlidingWindow::new(length, 50);
            let mut now = 50;
            let mut added = Vec::new();
            let mut rest = sales.chunks(8);
            for step in steps {
                for (second, product, units, revenue) in rest.next().unwrap_or_default() {
                    window.add(*second, 1, [(format!("p{product}").as_str(), *units, *revenue)]);
                    // What comes too late for the window that stands is not taken in.
                    if *second > now - length { added.push((*second, format!("p{product}"), *units, *revenue)); }
                }
                now += step;
                window.advance(now);
                let inside: Vec<_> = added.iter().filter(|(second, ..)| *second <= now && *second > now - length).collect();
                let mut products: BTreeMap<&str, Sums> = BTreeMap::new();
                for (_, product, units, revenue) in &inside {
                    let sums = products.entry(product).or_default();
                    sums.0 += units;
                    sums.1 += revenue;
                }
                let mut top: Vec<_> = products.into_iter().map(|(id, (units, revenue))| ProductSales { product_id: id.to_owned(), revenue, units }).collect();
                top.sort_by(|a, b| b.revenue.cmp(&a.revenue).then_with(|| a.product_id.cmp(&b.product_id)));
                top.truncate(TOP);
                let expected = View {
                    revenue: inside.iter().map(|(.., revenue)| revenue).sum(),
                    orders: i64::try_from(inside.len()).unwrap(),
                    units: inside.iter().map(|(_, _, units, _)| units).sum(),
                    top_products: top,
                };
                prop_assert_eq!(window.view(), expected);
            }
        }
    }
}
