//! A visit: a small state machine, and what each of its steps tells.

use super::{CHANNELS, Traffic};
use crate::cli::demo::event::{Action, Event, Line, Visitor};
use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

/// A basket holds no more lines than this.
const BASKET: usize = 4;
const SHOP: &str = "https://shop.example.com";
const ELEMENTS: [&str; 6] = [
    "hero-banner",
    "search-result",
    "filter",
    "related-products",
    "reviews",
    "size-guide",
];
const FIRST_NAMES: [&str; 16] = [
    "maya", "jonas", "amara", "felix", "ines", "noor", "oskar", "yuki", "lena", "tomas", "priya",
    "elias", "freya", "marco", "aoife", "sven",
];
const SECOND_NAMES: [&str; 12] = [
    "field", "brook", "hill", "marsh", "stone", "wood", "lake", "moor", "heath", "dale", "shaw",
    "glen",
];

/// What a session does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Home,
    CategoryPage(usize),
    ProductPage(usize),
    View(usize),
    Click,
    SignUp,
    AddToCart(usize, u32),
    Checkout,
    Purchase,
}

/// A visit in flight. Ordered by the time of its next step, then by arrival, which is what the
/// heap needs: the fields' order matters.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Session {
    pub(super) at: DateTime<Utc>,
    pub(super) arrival: u64,
    pub(super) step: Step,
    pub(super) id: Uuid,
    pub(super) visitor: Visitor,
    pub(super) will_sign_up: bool,
    pub(super) region: &'static str,
    pub(super) channel: usize,
    pub(super) campaign: Option<&'static str>,
    pub(super) department: usize,
    pub(super) basket: Vec<(usize, u32)>,
}

impl Traffic<'_> {
    /// The step after this one, or `None` when the visitor leaves. Tuned so that about 4 % of
    /// sessions end in a purchase.
    pub(super) fn after(&mut self, session: &mut Session) -> Option<Step> {
        let (_, _, readiness, _) = CHANNELS[session.channel];
        let roll: f64 = self.rng.random();
        match session.step {
            Step::ProductPage(product) => Some(Step::View(product)),
            Step::Home | Step::CategoryPage(_) if session.basket.is_empty() && roll < 0.30 => None,
            Step::Click if roll < 0.10 => None,
            Step::View(_) if session.will_sign_up => {
                session.will_sign_up = false;
                Some(Step::SignUp)
            }
            Step::View(product) => self.after_view(session, product, roll, readiness),
            Step::AddToCart(product, quantity) => {
                session.basket.push((product, quantity));
                match roll {
                    ..0.38 => Some(Step::Checkout),
                    ..0.68 => Some(Step::View(self.catalogue.companion(product))),
                    ..0.84 => Some(self.browse(session.department)),
                    _ => None,
                }
            }
            Step::Checkout => (roll < 0.76).then_some(Step::Purchase),
            Step::Purchase => None,
            Step::Home | Step::CategoryPage(_) | Step::Click | Step::SignUp => {
                Some(self.browse(session.department))
            }
        }
    }

    fn after_view(
        &mut self,
        session: &Session,
        product: usize,
        roll: f64,
        readiness: f64,
    ) -> Option<Step> {
        let wanted = session.basket.len() < BASKET
            && session.basket.iter().all(|&(chosen, _)| chosen != product);
        // Who has chosen one thing chooses the next more readily, and leaves less so.
        let (add, leave, checkout) = match (wanted, session.basket.is_empty()) {
            (true, true) => (0.058 * readiness, 0.42, 0.0),
            (true, false) => (0.45, 0.12, 0.25),
            (false, _) => (0.0, 0.25, 0.40),
        };
        if roll < add {
            let quantity = match self.rng.random_range(0..100) {
                0..76 => 1,
                76..94 => 2,
                _ => 3,
            };
            Some(Step::AddToCart(product, quantity))
        } else if roll < add + checkout {
            Some(Step::Checkout)
        } else if roll < add + checkout + leave {
            None
        } else {
            Some(self.browse(session.department))
        }
    }

    /// Looking around: mostly at what interests this visitor, at times at what everybody likes.
    fn browse(&mut self, department: usize) -> Step {
        let product = if self.rng.random_bool(0.7) {
            self.catalogue.draw_from(department, &mut self.rng)
        } else {
            self.catalogue.draw(&mut self.rng)
        };
        match self.rng.random_range(0..100) {
            0..60 => Step::View(product),
            60..80 => Step::CategoryPage(product),
            _ => Step::Click,
        }
    }

    /// One to eight seconds, so that whoever watches sees the funnel move.
    pub(super) fn think(&mut self) -> TimeDelta {
        TimeDelta::milliseconds(self.rng.random_range(1_000..8_000))
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    pub(super) fn event(&mut self, session: &Session) -> Event {
        let (action, properties) = self.describe(session);
        Event {
            id: self.uuid(),
            timestamp: session.at,
            visitor: session.visitor.clone(),
            session_id: session.id,
            region: session.region,
            channel: CHANNELS[session.channel].0,
            campaign: session.campaign,
            properties,
            action,
        }
    }

    fn describe(&mut self, session: &Session) -> (Action, Value) {
        let catalogue = self.catalogue;
        let product = |index: usize| &catalogue.products()[index];
        let page = |path: String| Action::Pageview {
            url: format!("{SHOP}{path}").to_lowercase(),
        };
        match session.step {
            Step::Home => (page("/".to_owned()), json!({ "page": "home" })),
            Step::CategoryPage(index) => {
                let category = product(index).category.join("/");
                (
                    page(format!("/{category}")),
                    json!({ "page": "category", "category": category }),
                )
            }
            Step::ProductPage(index) => {
                let id = &product(index).id;
                (
                    page(format!("/products/{id}")),
                    json!({ "page": "product", "productId": id }),
                )
            }
            Step::View(index) => (
                Action::ProductView,
                json!({ "productId": product(index).id }),
            ),
            Step::Click => {
                let element = ELEMENTS.choose(&mut self.rng).expect("there are elements");
                (Action::Click, json!({ "element": element }))
            }
            Step::SignUp => {
                let first = FIRST_NAMES.choose(&mut self.rng).expect("there are names");
                let second = SECOND_NAMES.choose(&mut self.rng).expect("there are names");
                let username = format!("{first}.{second}{}", self.rng.random_range(10..10_000));
                let email = format!("{username}@example.com");
                (
                    Action::SignUp,
                    json!({ "username": username, "email": email }),
                )
            }
            Step::AddToCart(index, quantity) => {
                let properties = json!({ "productId": product(index).id, "quantity": quantity });
                (Action::AddToCart, properties)
            }
            Step::Checkout => (Action::Checkout, json!({ "items": session.basket.len() })),
            Step::Purchase => {
                let line = |&(index, quantity): &(usize, u32)| Line {
                    product_id: product(index).id.clone(),
                    quantity,
                    amount: product(index).price * i64::from(quantity),
                };
                let lines = session.basket.iter().map(line).collect();
                (
                    Action::purchase(lines),
                    json!({ "items": session.basket.len() }),
                )
            }
        }
    }
}
