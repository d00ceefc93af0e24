//! What must hold of users, whatever is said in whatever order.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const KNOWN: u128 = 6;
const VISITORS: u128 = 6;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Visitors have the smaller ids, so that they would be canonical if they were no visitors.
fn is_anonymous(id: Uuid) -> bool {
    id.as_u128() < VISITORS
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn identify(user: u128, visitor: u128, seconds: i64) -> Link {
    Link {
        timestamp: at(seconds),
        user_id: id(user),
        other_id: id(visitor),
        kind: LinkKind::Identify,
    }
}

fn alias(user: u128, other: u128, seconds: i64) -> Link {
    let kind = LinkKind::Alias;
    Link {
        kind,
        ..identify(user, other, seconds)
    }
}

fn canonical(links: &[Link]) -> BTreeMap<Uuid, Uuid> {
    resolve(links, is_anonymous)
}

/// The same by another way: every id takes the best id that it sees, until nothing changes.
fn naive(links: &[Link]) -> BTreeMap<Uuid, Uuid> {
    let loses = |link: &Link| {
        link.kind == LinkKind::Identify
            && links.iter().any(|rival| {
                rival.kind == LinkKind::Identify
                    && rival.other_id == link.other_id
                    && (rival.timestamp, rival.user_id) < (link.timestamp, link.user_id)
            })
    };
    let counting: Vec<&Link> = links.iter().filter(|link| !loses(link)).collect();
    let ends = |link: &&Link| [link.user_id, link.other_id];
    let mut best: BTreeMap<Uuid, Uuid> = counting
        .iter()
        .flat_map(ends)
        .map(|end| (end, end))
        .collect();
    loop {
        let before = best.clone();
        for link in &counting {
            let [a, b] = [best[&link.user_id], best[&link.other_id]];
            let better = if (is_anonymous(a), a) < (is_anonymous(b), b) {
                a
            } else {
                b
            };
            best.insert(link.user_id, better);
            best.insert(link.other_id, better);
        }
        if best == before {
            return best;
        }
    }
}

/// What a database keeps: the links, and of each id that is not canonical whose it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tables {
    links: BTreeSet<Link>,
    aliases: BTreeMap<Uuid, Uuid>,
}

impl Tables {
    fn canonical(&self, id: Uuid) -> Uuid {
        self.aliases.get(&id).copied().unwrap_or(id)
    }

    /// Reads no more than the users that are touched.
    fn add(&mut self, new: &[Link]) -> usize {
        let ends = new.iter().flat_map(|link| [link.user_id, link.other_id]);
        let touched: BTreeSet<Uuid> = ends.map(|end| self.canonical(end)).collect();
        let others = self.aliases.iter();
        let mut members: BTreeSet<Uuid> = others
            .filter(|(_, canonical)| touched.contains(canonical))
            .map(|(id, _)| *id)
            .collect();
        members.extend(touched);
        let known: Vec<Link> = self
            .links
            .iter()
            .filter(|link| members.contains(&link.other_id))
            .copied()
            .collect();
        let kept = keep(&known, new);
        for link in &known {
            self.links.remove(link);
        }
        self.links.extend(&kept.links);
        let resolved = canonical(&kept.links);
        for member in members {
            self.aliases.remove(&member);
        }
        self.aliases.extend(
            resolved
                .into_iter()
                .filter(|(id, canonical)| id != canonical),
        );
        kept.refused
    }
}

fn from_scratch(links: &[Link]) -> BTreeMap<Uuid, Uuid> {
    let all = naive(links).into_iter();
    all.filter(|(id, canonical)| id != canonical).collect()
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let known = VISITORS..VISITORS + KNOWN;
    let identify = (known, 0..VISITORS, 0i64..8)
        .prop_map(|(user, visitor, seconds)| identify(user, visitor, seconds));
    let all = 0..VISITORS + KNOWN;
    let alias =
        (all.clone(), all, 0i64..8).prop_map(|(user, other, seconds)| alias(user, other, seconds));
    proptest::collection::vec(prop_oneof![3 => identify, 1 => alias], 0..24)
}

proptest! {
    #[test]
    fn users_are_those_that_a_naive_search_finds(links in links()) {
        prop_assert_eq!(canonical(&links), naive(&links));
    }

    #[test]
    fn neither_order_nor_repetition_makes_a_difference(
        (links, mut shuffled) in links().prop_flat_map(|links| {
            let twice = [links.clone(), links.clone()].concat();
            (Just(links), Just(twice).prop_shuffle())
        }),
        repeated in any::<Index>(),
    ) {
        // Some of them twice.
        let expected = canonical(&links);
        prop_assert_eq!(canonical(&shuffled), expected.clone());
        shuffled.truncate(repeated.index(shuffled.len() + 1));
        shuffled.extend(links);
        prop_assert_eq!(canonical(&shuffled), expected);
    }

    #[test]
    fn links_that_come_one_by_one_or_in_batches_make_what_all_at_once_would(
        links in links(),
        cuts in proptest::collection::vec(1usize..6, 24),
    ) {
        let mut tables = Tables::default();
        let mut rest = links.as_slice();
        for cut in cuts {
            let (batch, after) = rest.split_at(cut.min(rest.len()));
            prop_assert_eq!(tables.add(batch), 0);
            rest = after;
        }
        prop_assert_eq!(&tables.aliases, &from_scratch(&links));
        // Again, all of them: nothing changes.
        let before = tables.links.clone();
        tables.add(&links);
        prop_assert_eq!(&tables.links, &before);
        prop_assert_eq!(tables.aliases, from_scratch(&links));
    }
}

#[test]
fn a_visitor_becomes_the_user_that_they_say_they_are() {
    let links = [identify(8, 1, 0), identify(8, 2, 5)];
    let expected = [(1, 8), (2, 8), (8, 8)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(canonical(&links), expected.into());
}

#[test]
fn of_two_known_users_the_smaller_id_is_canonical_and_of_two_visitors_too() {
    let expected = [(8, 8), (9, 8)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(canonical(&[alias(9, 8, 0)]), expected.into());
    let expected = [(2, 2), (3, 2)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(canonical(&[alias(2, 3, 0)]), expected.into());
}

#[test]
fn a_circle_is_one_user() {
    let circle = [alias(7, 8, 0), alias(8, 9, 1), alias(9, 7, 2)];
    let expected = [(7, 7), (8, 7), (9, 7)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(canonical(&circle), expected.into());
}

#[test]
fn two_users_on_one_device_stay_two_until_the_shop_says_that_they_are_one() {
    let device = [identify(7, 1, 10), identify(8, 1, 20)];
    let expected = [(1, 7), (7, 7)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(canonical(&device), expected.into());
    let told = [device[0], device[1], alias(7, 8, 30)];
    assert_eq!(canonical(&told)[&id(8)], id(7));
}

#[test]
fn an_earlier_identify_that_comes_late_takes_the_visitor_to_its_own_user() {
    let mut tables = Tables::default();
    tables.add(&[identify(7, 1, 20), identify(7, 2, 20)]);
    tables.add(&[identify(8, 1, 10)]);
    let expected = [(1, 8), (2, 7)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(tables.aliases, expected.into());
    // And it may be the same link, said to be older than was known.
    tables.add(&[identify(7, 1, 5)]);
    let expected = [(1, 7), (2, 7)].map(|(a, b)| (id(a), id(b)));
    assert_eq!(tables.aliases, expected.into());
}

#[test]
fn an_id_is_not_linked_to_itself() {
    assert_eq!(keep(&[], &[alias(8, 8, 0)]), Kept::default());
}

#[test]
fn an_id_that_all_visitors_are_given_makes_a_user_of_so_many_and_no_more() {
    let bound = u128::try_from(MAX_LINKS).unwrap();
    let guests: Vec<Link> = (0..bound + 100)
        .map(|n| identify(9, 1_000 + n, i64::try_from(n).unwrap()))
        .collect();
    let mut tables = Tables::default();
    assert_eq!(tables.add(&guests), 100);
    // The earliest are kept, and what is refused is refused again, in batches of any size.
    assert_eq!(tables.links, guests[..MAX_LINKS].iter().copied().collect());
    assert_eq!(tables.aliases.len(), MAX_LINKS);
    assert_eq!(tables.add(&guests[MAX_LINKS..][..7]), 7);
    // Another user is not touched by it, and neither are links that are known.
    assert_eq!(tables.add(&[identify(8, 1, 0), guests[3]]), 0);
    assert_eq!(tables.canonical(id(1)), id(8));
    // Two users that fit alone do not fit together.
    assert_eq!(tables.add(&[alias(8, 9, 0)]), 1);
    assert_eq!(tables.canonical(id(8)), id(8));
}

#[test]
fn a_visitor_that_an_overfull_user_claims_stays_whose_it_was() {
    let bound = u128::try_from(MAX_LINKS).unwrap();
    let guests: Vec<Link> = (0..bound).map(|n| identify(9, 1_000 + n, 0)).collect();
    let mut tables = Tables::default();
    tables.add(&guests);
    tables.add(&[identify(8, 1, 20)]);
    assert_eq!(tables.add(&[identify(9, 1, 10), identify(7, 1, 15)]), 1);
    assert_eq!(tables.canonical(id(1)), id(7));
    let mut alone = Tables::default();
    alone.add(&guests);
    alone.add(&[identify(8, 1, 20)]);
    assert_eq!(alone.add(&[identify(9, 1, 10)]), 1);
    assert_eq!(alone.canonical(id(1)), id(8));
}

#[test]
fn of_the_users_of_a_shared_device_few_are_remembered_and_the_first_whenever_it_comes() {
    let mut tables = Tables::default();
    for n in 0..100u32 {
        // Every third comes before those that were there.
        let seconds = if n % 3 == 0 {
            1_000 - i64::from(n)
        } else {
            2_000 + i64::from(n)
        };
        tables.add(&[identify(100 + u128::from(n), 1, seconds)]);
        assert!(tables.links.len() <= MAX_REMEMBERED);
    }
    assert_eq!(tables.aliases, [(id(1), id(199))].into());
}
