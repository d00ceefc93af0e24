//! The demo shop's catalogue: 300 products made up from word lists, the same for the same seed.
//!
//! A shelf (sub-category) has five forms, a form four variants, and a product is one of our
//! series names before a variant and a form: "Harbour Stoneware Pour-Over Dripper". Variants
//! belong to a form, so no combination is nonsense; three of the four are stocked, which makes
//! 20 shelves × 5 forms × 3 variants = 300 products.
//!
//! Pure: imports rand and `serde_json` only. The words are in `shelves`.

use super::shelves::{ENDINGS, Form, SERIES, SHELVES, Shelf};
use rand::Rng;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value, json};

/// The currency of every price in the demo shop.
pub(crate) const CURRENCY: &str = "USD";

/// How many of a form's four variants are in the catalogue.
const VARIANTS_STOCKED: usize = 3;

/// One product of the demo shop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    /// Department, shelf and number: `KIT-COF-007`.
    pub(crate) id: String,
    /// What the shop window says.
    pub(crate) title: String,
    /// One sentence.
    pub(crate) description: String,
    /// Department, then sub-category.
    pub(crate) category: Vec<String>,
    /// In minor units of [`CURRENCY`].
    pub(crate) price: i64,
    /// Pieces in the warehouse.
    pub(crate) stock: u32,
    /// How often it is looked at, against the others' popularity.
    pub(crate) popularity: f64,
    /// What the shop knows of it besides: series and variant.
    pub(crate) attributes: Value,
}

impl Product {
    /// The product as the GraphQL mutation `putProducts` takes it.
    pub(crate) fn input(&self) -> Value {
        json!({
            "productId": self.id,
            "title": self.title,
            "description": self.description,
            "category": self.category,
            "price": decimal(self.price),
            "currency": CURRENCY,
            "stock": self.stock,
            "attributes": self.attributes,
        })
    }
}

/// Minor units as the decimal string the API takes: 2990 is "29.90".
pub(crate) fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// A set of products and the odds of looking at each.
struct Choice {
    members: Vec<usize>,
    odds: WeightedIndex<f64>,
}

impl Choice {
    fn of(products: &[Product], members: Vec<usize>) -> Self {
        let odds = WeightedIndex::new(members.iter().map(|&index| products[index].popularity))
            .expect("a choice is never empty and popularities are positive");
        Self { members, odds }
    }

    fn draw(&self, rng: &mut impl Rng) -> usize {
        self.members[self.odds.sample(rng)]
    }
}

/// The products and how shoppers choose among them. A product is referred to by its index.
pub(crate) struct Catalogue {
    products: Vec<Product>,
    all: Choice,
    departments: Vec<Choice>,
    companions: Vec<usize>,
}

impl Catalogue {
    /// Makes the catalogue up; the product ids are the same for every seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut products: Vec<Product> = SHELVES
            .iter()
            .flat_map(|shelf| stock_shelf(shelf, &mut rng))
            .collect();
        rank_by_popularity(&mut products, &mut rng);

        let all = Choice::of(&products, (0..products.len()).collect());
        let departments = ENDINGS
            .iter()
            .map(|(name, _)| {
                let members = (0..products.len())
                    .filter(|&index| products[index].category[0] == *name)
                    .collect();
                Choice::of(&products, members)
            })
            .collect();
        let companions = (0..products.len())
            .map(|index| companion(&products, index, &mut rng))
            .collect();
        Self {
            products,
            all,
            departments,
            companions,
        }
    }

    /// Every product, a department's next to one another.
    pub(crate) fn products(&self) -> &[Product] {
        &self.products
    }

    /// How many departments there are: [`Catalogue::draw_from`] takes a number below this.
    pub(crate) fn departments(&self) -> usize {
        self.departments.len()
    }

    /// A product by popularity.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> usize {
        self.all.draw(rng)
    }

    /// A product of one department by popularity.
    pub(crate) fn draw_from(&self, department: usize, rng: &mut impl Rng) -> usize {
        self.departments[department].draw(rng)
    }

    /// The product that goes well with this one: what gives the basket rules something to find.
    pub(crate) fn companion(&self, product: usize) -> usize {
        self.companions[product]
    }
}

fn stock_shelf(Shelf(department, shelf, forms): &Shelf, rng: &mut StdRng) -> Vec<Product> {
    let (_, endings) = ENDINGS
        .iter()
        .find(|(name, _)| name == department)
        .expect("every department has its endings");
    let code = |name: &str| name[..3].to_uppercase();
    let mut products = Vec::with_capacity(forms.len() * VARIANTS_STOCKED);
    for Form(noun, variants, [low, high], opening) in forms {
        for variant in variants.choose_multiple(rng, VARIANTS_STOCKED) {
            let series = SERIES.choose(rng).expect("there are series");
            let ending = endings.choose(rng).expect("there are endings");
            let cents = [95, 50, 0].choose(rng).expect("there are price endings");
            products.push(Product {
                id: format!(
                    "{}-{}-{:03}",
                    code(department),
                    code(shelf),
                    products.len() + 1
                ),
                title: format!("{series} {variant} {noun}"),
                description: format!("{opening}, {ending}."),
                category: vec![(*department).to_owned(), (*shelf).to_owned()],
                price: rng.random_range(*low..*high) * 100 + cents,
                stock: rng.random_range(8..=400),
                popularity: 1.0,
                attributes: json!({ "series": series, "variant": variant }),
            });
        }
    }
    products
}

/// Gives each product a random rank `k` and the Zipf–Mandelbrot weight `1 / (k + 3)`: few are
/// looked at often, many seldom, and the first does not drown the rest.
fn rank_by_popularity(products: &mut [Product], rng: &mut StdRng) {
    let mut order: Vec<&mut Product> = products.iter_mut().collect();
    order.shuffle(rng);
    for (rank, product) in (1_u32..).zip(order) {
        product.popularity = 1.0 / (f64::from(rank) + 3.0);
    }
}

/// A product of the same department from another shelf, which is where things that are bought
/// together stand.
fn companion(products: &[Product], of: usize, rng: &mut StdRng) -> usize {
    let [department, shelf] = products[of].category.as_slice() else {
        unreachable!("a category is a department and a shelf");
    };
    let others: Vec<usize> = (0..products.len())
        .filter(|&other| {
            let category = &products[other].category;
            category[0] == *department && category[1] != *shelf
        })
        .collect();
    *others
        .choose(rng)
        .expect("every department has more than one shelf")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn distinct<T: Eq + std::hash::Hash>(of: impl Iterator<Item = T>) -> usize {
        of.collect::<HashSet<T>>().len()
    }

    #[test]
    fn there_are_three_hundred_products_and_no_two_alike() {
        for seed in 0..20 {
            let catalogue = Catalogue::new(seed);
            let products = catalogue.products();
            assert_eq!(products.len(), 300);
            assert_eq!(distinct(products.iter().map(|product| &product.id)), 300);
            assert_eq!(distinct(products.iter().map(|product| &product.title)), 300);
            assert_eq!(
                distinct(products.iter().map(|product| &product.category)),
                20
            );
            assert_eq!(
                distinct(products.iter().map(|product| &product.category[0])),
                6
            );
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_catalogue() {
        assert_eq!(Catalogue::new(7).products(), Catalogue::new(7).products());
        assert_ne!(Catalogue::new(7).products(), Catalogue::new(8).products());
    }

    #[test]
    fn prices_end_as_shop_prices_do_and_popularity_is_positive() {
        for product in Catalogue::new(1).products() {
            assert!([0, 50, 95].contains(&(product.price % 100)), "{product:?}");
            assert!((200..60_000).contains(&product.price), "{product:?}");
            assert!(product.popularity > 0.0 && product.stock > 0, "{product:?}");
            assert!(product.description.ends_with('.'), "{product:?}");
        }
    }

    #[test]
    fn a_companion_stands_on_another_shelf_of_the_department() {
        let catalogue = Catalogue::new(1);
        for (index, product) in catalogue.products().iter().enumerate() {
            let companion = &catalogue.products()[catalogue.companion(index)];
            assert_eq!(companion.category[0], product.category[0]);
            assert_ne!(companion.category[1], product.category[1]);
        }
    }

    #[test]
    fn a_product_is_put_with_its_price_as_a_decimal_string() {
        let catalogue = Catalogue::new(1);
        let product = &catalogue.products()[6];
        let input = product.input();
        assert_eq!(input["productId"], "KIT-COF-007");
        assert_eq!(input["price"], decimal(product.price));
        assert_eq!(decimal(2990), "29.90");
        assert_eq!(decimal(5), "0.05");
    }
}
