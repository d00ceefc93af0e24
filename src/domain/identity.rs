//! Who is who: which of the ids that senders use are one user.
//!
//! What follows from links depends on the set of them alone, so their order and their repetition
//! make no difference:
//! - an `alias` makes two ids one, whichever of the two it names first;
//! - of the `identify` links of one visitor only the first counts, by time and then by the user's
//!   id: two users who share a device stay two;
//! - ids that are joined, over however many links, are one user, called by their canonical id:
//!   that of a known user before an anonymous one, then the smallest.
//!
//! Only the bound is reached in some order: see [`MAX_LINKS`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::event::LinkKind;

/// How many links that count make one user at the most: one that would make more is refused. An id
/// that a sender gives to all its visitors would else make one user of them, and each batch slower.
pub const MAX_LINKS: usize = 1_000;

/// Of the users that one visitor turned out to be, how many are remembered. One would do: no later
/// link takes the first one's place.
pub const MAX_REMEMBERED: usize = 10;

/// How often refused links are taken away and the others looked at anew, before all are refused.
const MAX_ROUNDS: usize = 4;

/// Two ids that a sender says are one user. In the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// When it was first said.
    pub timestamp: DateTime<Utc>,
    /// Whose the other id is.
    pub user_id: Uuid,
    /// The id that turned out to be theirs; for `identify`, an anonymous one.
    pub other_id: Uuid,
    /// How it turned out.
    pub kind: LinkKind,
}

impl Link {
    fn key(&self) -> (Uuid, Uuid, LinkKind) {
        (self.other_id, self.user_id, self.kind)
    }
}

/// The links that count: every alias, and of each visitor the first `identify`.
#[must_use]
pub fn counting(links: &[Link]) -> Vec<Link> {
    let mut first: BTreeMap<Uuid, Link> = BTreeMap::new();
    let mut counting = Vec::new();
    for link in links {
        match link.kind {
            LinkKind::Alias => counting.push(*link),
            LinkKind::Identify => {
                let known = first.entry(link.other_id).or_insert(*link);
                *known = (*known).min(*link);
            }
        }
    }
    counting.extend(first.into_values());
    counting
}

/// The canonical id of each id that is joined with another.
#[must_use]
pub fn resolve(links: &[Link], is_anonymous: impl Fn(Uuid) -> bool) -> BTreeMap<Uuid, Uuid> {
    let mut users = Users::default();
    for link in counting(links) {
        users.join(&link);
    }
    let mut canonical: HashMap<usize, (bool, Uuid)> = HashMap::new();
    let roots: Vec<(Uuid, usize)> = users.roots();
    for (id, root) in &roots {
        let candidate = (is_anonymous(*id), *id);
        let best = canonical.entry(*root).or_insert(candidate);
        *best = (*best).min(candidate);
    }
    let named = roots.iter().map(|(id, root)| (*id, canonical[root].1));
    named.collect()
}

/// The new links that change what is kept of the ids that turned out to be somebody's: those that
/// are not known, and are among the first of their visitor.
///
/// The known links must be all of these ids.
#[must_use]
pub fn news(known: &[Link], new: &[Link]) -> Vec<Link> {
    let known: BTreeSet<Link> = known.iter().copied().collect();
    let apart = new.iter().filter(|link| link.user_id != link.other_id);
    let mut kept = remembered(merged(&known, &apart.copied().collect()));
    kept.retain(|link| !known.contains(link));
    kept
}

/// What to keep of some links, and how many of the new ones were refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The links from now on, each once, with the earliest time at which it was said.
    pub links: Vec<Link>,
    /// How many of the new ones would have made a user of more than [`MAX_LINKS`].
    pub refused: usize,
}

/// Adds new links to those that were kept before.
///
/// The known links must be all of each user that a new one touches: whatever counts for any of
/// their ids.
#[must_use]
pub fn keep(known: &[Link], new: &[Link]) -> Kept {
    let mut new: BTreeSet<Link> = news(known, new).into_iter().collect();
    let known: BTreeSet<Link> = known.iter().copied().collect();
    let offered = new.len();
    for _ in 0..MAX_ROUNDS {
        let links = merged(&known, &new);
        let refused = beyond_bound(&links, &known);
        if refused.is_empty() {
            return Kept {
                links: remembered(links),
                refused: offered - new.len(),
            };
        }
        // Without them, what they had taken the place of counts again.
        new.retain(|link| !refused.contains(link));
    }
    Kept {
        links: known.into_iter().collect(),
        refused: offered,
    }
}

/// Each link once, with its earliest time.
fn merged(known: &BTreeSet<Link>, new: &BTreeSet<Link>) -> Vec<Link> {
    let mut earliest: BTreeMap<_, Link> = BTreeMap::new();
    for link in known.union(new) {
        earliest.entry(link.key()).or_insert(*link);
    }
    earliest.into_values().collect()
}

/// The new links that count and would make a user of too many; of several the later ones.
fn beyond_bound(links: &[Link], known: &BTreeSet<Link>) -> BTreeSet<Link> {
    let (old, new): (BTreeSet<Link>, BTreeSet<Link>) = counting(links)
        .into_iter()
        .partition(|link| known.contains(link));
    let mut users = Users::default();
    for link in &old {
        users.join(link);
    }
    new.into_iter()
        .filter(|link| {
            let fits = users.links_with(link) <= MAX_LINKS;
            if fits {
                users.join(link);
            }
            !fits
        })
        .collect()
}

/// Leaves out, of each visitor's `identify` links, those after the first [`MAX_REMEMBERED`].
fn remembered(mut links: Vec<Link>) -> Vec<Link> {
    let mut seen: HashMap<Uuid, usize> = HashMap::new();
    links.sort_unstable();
    links.retain(|link| {
        if link.kind == LinkKind::Alias {
            return true;
        }
        let count = seen.entry(link.other_id).or_default();
        *count += 1;
        *count <= MAX_REMEMBERED
    });
    links
}

/// Ids in the making of users: a forest whose trees are joined, the smaller below the larger.
#[derive(Default)]
struct Users {
    places: HashMap<Uuid, usize>,
    parents: Vec<usize>,
    /// Of each root, how many links are in its tree.
    links: Vec<usize>,
}

impl Users {
    fn root(&mut self, id: Uuid) -> usize {
        let next = self.parents.len();
        let mut place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.parents.push(next);
            self.links.push(0);
        }
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    /// How many links the user would have that this one makes.
    fn links_with(&mut self, link: &Link) -> usize {
        let (a, b) = (self.root(link.user_id), self.root(link.other_id));
        let others = if a == b { 0 } else { self.links[b] };
        self.links[a] + others + 1
    }

    fn join(&mut self, link: &Link) {
        let sum = self.links_with(link);
        let (a, b) = (self.root(link.user_id), self.root(link.other_id));
        let (below, above) = if self.links[a] < self.links[b] {
            (a, b)
        } else {
            (b, a)
        };
        self.parents[below] = above;
        self.links[above] = sum;
    }

    fn roots(&mut self) -> Vec<(Uuid, usize)> {
        let ids: Vec<Uuid> = self.places.keys().copied().collect();
        ids.into_iter().map(|id| (id, self.root(id))).collect()
    }
}

#[cfg(test)]
mod tests;
