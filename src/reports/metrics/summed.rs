//! What is read of summaries, and from the facts where there are none yet: sums and sets of users
//! of each group and bucket, read once and added up as often as it takes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::cover::Cover;
use super::covers::{Covered, Covers};
use super::plan::Summaries;
use super::series::Table;
use super::who::{Aliases, Users};
use super::{Asking, Failure, Group, MAX_GROUPS, bucket_index};
use crate::domain::calendar::TimeRange;
use crate::domain::measure::{Dimension, Subject};
use crate::domain::summary::{self, Cell, NUMBERS, Part, SETS};
use crate::storage::StorageError;
use crate::storage::queries::metrics::{Cut, Groups, members, metrics};
use crate::storage::queries::summaries::{Summarised, cells};

/// What parts the values of a group's keys: no stored text has it.
const NUL: char = '\0';

/// The subjects of a question that are read from summaries.
#[derive(Debug, Default)]
pub(super) struct Summed {
    subjects: HashMap<Subject, Sums>,
    /// Whose groups are whose users.
    pub(super) aliases: Arc<Aliases>,
}

/// Of one subject, what each group came to in each bucket.
#[derive(Debug, Default)]
pub(super) struct Sums {
    groups: HashMap<String, BTreeMap<usize, Sum>, Xxh3DefaultBuilder>,
    /// Whether groups do not add up.
    apart: bool,
}

/// What was counted: numbers, or users.
#[derive(Clone, Debug, Default)]
struct Sum {
    numbers: [i128; NUMBERS],
    users: [Users; SETS],
}

impl Sum {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.numbers.iter_mut().zip(other.numbers) {
            *sum += more;
        }
        for (union, more) in self.users.iter_mut().zip(&other.users) {
            union.add(more);
        }
    }

    fn add_cell(&mut self, cell: Cell) {
        for (sum, more) in self.numbers.iter_mut().zip(cell.numbers) {
            *sum += more;
        }
        for (union, more) in self.users.iter_mut().zip(cell.sets) {
            union.numbers |= more;
        }
    }
}

impl Summed {
    /// What a subject came to, if it is read from summaries, and they tell it of such groups.
    pub(super) fn of(&self, subject: Subject, groups: Groups<'_>) -> Option<&Sums> {
        let sums = self.subjects.get(&subject)?;
        let is_one = matches!(groups, Groups::Except(_));
        (!is_one || !sums.apart).then_some(sums)
    }
}

impl Asking<'_> {
    /// Reads what is summed up of the question's subjects.
    pub(super) async fn summed(
        &mut self,
        bounds: &[DateTime<Utc>],
        covers: &Covers,
    ) -> Result<Summed, Failure> {
        let mut summed = Summed {
            aliases: Arc::clone(&covers.aliases),
            ..Summed::default()
        };
        for (subject, covered) in &covers.subjects {
            let sums = match subject {
                Subject::NewUsers | Subject::NewBuyers => {
                    self.newcomers(bounds, covered, &covers.aliases).await?
                }
                _ => {
                    let Covered {
                        summaries, cover, ..
                    } = covered;
                    self.sums(bounds, cover, summaries).await?
                }
            };
            summed.subjects.insert(*subject, sums);
        }
        Ok(summed)
    }

    /// What a subject came to, from its summaries and, in the gaps, its facts.
    async fn sums(
        &mut self,
        bounds: &[DateTime<Utc>],
        cover: &Cover,
        of: &Summaries,
    ) -> Result<Sums, Failure> {
        let mut sums = Sums {
            apart: of.apart,
            ..Sums::default()
        };
        self.add_cells(&mut sums, bounds, &cover.spans, of).await?;
        for gap in &cover.gaps {
            self.add_facts(&mut sums, bounds, *gap, of).await?;
        }
        if sums.groups.len() > MAX_GROUPS as usize {
            return Err(super::too_many_groups(MAX_GROUPS));
        }
        Ok(sums)
    }

    async fn add_cells(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        spans: &[Summarised],
        of: &Summaries,
    ) -> Result<(), Failure> {
        let question = self.question;
        let written = cells(
            &**self.moment.snapshot,
            question.view.tenant(),
            of.part,
            spans,
        )
        .await?;
        let mut name = String::new();
        for (place, bytes) in written {
            let bucket = bounds.partition_point(|bound| *bound <= spans[place].range.from) - 1;
            read(&bytes, |value, qualified, cell| {
                self.rows_read += 1;
                let of_dimension = |dimension: Dimension| {
                    debug_assert!(knows(of.part, dimension));
                    of.part.find(value, dimension).unwrap_or(qualified)
                };
                let passes = question
                    .filter
                    .as_ref()
                    .is_none_or(|filter| filter.holds(&of_dimension));
                if !passes || !of.counts(of_dimension) {
                    return;
                }
                name.clear();
                for key in &question.keys {
                    name.push_str(key.of(of_dimension(key.dimension)));
                    name.push(NUL);
                }
                sums.at(&name, bucket).add_cell(cell);
            })?;
        }
        Ok(())
    }

    /// What is not summed up yet.
    async fn add_facts(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        gap: TimeRange,
        of: &Summaries,
    ) -> Result<(), Failure> {
        let question = self.question;
        let subject = of.part.subject;
        let first = bounds.partition_point(|bound| *bound <= gap.from) - 1;
        let inner = bounds
            .iter()
            .filter(|bound| **bound > gap.from && **bound < gap.to);
        let mut within = vec![gap.from];
        within.extend(inner);
        within.push(gap.to);
        let limit = u32::try_from(super::MAX_VALUES).unwrap_or(u32::MAX);
        let cut = Cut {
            view: &question.view,
            tenant_zone: question.tenant_zone,
            bounds: &within,
            keys: &question.keys,
            groups: Groups::All,
            filter: question.filter.as_ref(),
            currency: of.currency,
            bots: question.bots,
            limit: limit + 1,
        };
        let is_full = if matches!(subject, Subject::Users | Subject::Buyers | Subject::Carts) {
            let rows = members(&**self.moment.snapshot, subject, &cut).await?;
            let is_full = rows.len() > limit as usize;
            for row in rows {
                self.rows_read += row.rows_read;
                let did = usize::try_from(row.did).expect("it is 0 or 1");
                let users = &mut sums
                    .at(&name_of(&row.key), first + bucket_index(row.bucket))
                    .users[did];
                let numbers = row
                    .numbers
                    .into_iter()
                    .filter_map(|number| u32::try_from(number).ok());
                users.numbers.extend(numbers);
                users.ids.extend(row.ids);
            }
            is_full
        } else {
            let source = super::plan::source(question, subject, &within, false);
            let rows = metrics(&**self.moment.snapshot, subject, source, &cut).await?;
            let is_full = rows.len() > limit as usize;
            for row in rows {
                self.rows_read += row.rows_read;
                let sum = sums.at(&name_of(&row.key), first + bucket_index(row.bucket));
                for (sum, text) in sum.numbers.iter_mut().zip(&row.quantities) {
                    *sum += text
                        .parse::<i128>()
                        .expect("sums and counts are whole numbers");
                }
            }
            is_full
        };
        if is_full {
            return Err(super::too_many_groups(limit));
        }
        Ok(())
    }

    /// Who was never there before, of each bucket.
    async fn newcomers(
        &mut self,
        bounds: &[DateTime<Utc>],
        covered: &Covered,
        aliases: &Aliases,
    ) -> Result<Sums, Failure> {
        let of = &covered.summaries;
        let mut seen = Users::default();
        if let Some(before) = &covered.before {
            let sums = self.sums(&before.bounds, &before.cover, of).await?;
            for sum in sums.groups.into_values().flat_map(BTreeMap::into_values) {
                seen.add(&sum.users[0]);
            }
        }
        aliases.resolve(&mut seen);
        let there = self.sums(bounds, &covered.cover, of).await?;
        let mut newcomers = Sums::default();
        let buckets = there.groups.into_values().next().unwrap_or_default();
        for (bucket, sum) in buckets {
            let [mut users, _] = sum.users;
            aliases.resolve(&mut users);
            users.without(&seen);
            seen.add(&users);
            if users.count() > 0 {
                newcomers.at("", bucket).numbers[0] = users.count();
            }
        }
        Ok(newcomers)
    }
}

/// Whether cells of a part tell of a dimension.
fn knows(part: Part, dimension: Dimension) -> bool {
    part.dimensions.contains(&dimension) || summary::qualifier(part.subject) == Some(dimension)
}

/// The name of a group by its keys.
fn name_of(key: &[String]) -> String {
    key.iter()
        .flat_map(|value| [value.as_str(), "\0"])
        .collect()
}

/// Walks the cells of a part.
pub(super) fn read(bytes: &[u8], visit: impl FnMut(&str, &str, Cell)) -> Result<(), StorageError> {
    summary::read(bytes, visit).map_err(|damaged| StorageError::Bug(damaged.to_string()))
}

impl Sums {
    fn at(&mut self, group: &str, bucket: usize) -> &mut Sum {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), BTreeMap::new());
        }
        let buckets = self.groups.get_mut(group).expect("it was put in above");
        buckets.entry(bucket).or_default()
    }

    /// Puts into a table what these groups came to: in each bucket, or in all together.
    pub(super) fn fill(
        &self,
        table: &mut Table,
        subject: Subject,
        groups: Groups<'_>,
        in_buckets: bool,
        aliases: &Aliases,
    ) {
        let (named, except): (HashSet<String>, bool) = match groups {
            Groups::All => (HashSet::new(), true),
            Groups::Only(keys) => (keys.iter().map(|key| name_of(key)).collect(), false),
            Groups::Except(keys) => (keys.iter().map(|key| name_of(key)).collect(), true),
        };
        let is_one = matches!(groups, Groups::Except(_));
        let mut others: BTreeMap<usize, Sum> = BTreeMap::new();
        for (name, buckets) in &self.groups {
            if named.contains(name) == except {
                continue;
            }
            let mut own = BTreeMap::new();
            let sums = if is_one { &mut others } else { &mut own };
            for (bucket, sum) in buckets {
                let bucket = if in_buckets { *bucket } else { 0 };
                sums.entry(bucket).or_default().add(sum);
            }
            if !is_one {
                put(table, &Group::Of(key_of(name)), subject, own, aliases);
            }
        }
        put(table, &Group::Other, subject, others, aliases);
    }
}

/// The keys of a group by its name.
fn key_of(name: &str) -> Vec<String> {
    let name = name.strip_suffix(NUL).map(|rest| rest.split(NUL));
    name.into_iter().flatten().map(str::to_owned).collect()
}

fn put(
    table: &mut Table,
    group: &Group,
    subject: Subject,
    sums: BTreeMap<usize, Sum>,
    aliases: &Aliases,
) {
    for (bucket, sum) in sums {
        let [mut users, mut bought] = sum.users;
        aliases.resolve(&mut users);
        let numbers = match subject {
            Subject::Users | Subject::Buyers => [users.count(), 0, 0, 0],
            Subject::Carts => {
                aliases.resolve(&mut bought);
                bought.keep(&users);
                [users.count(), bought.count(), 0, 0]
            }
            _ => sum.numbers,
        };
        table.put(group.clone(), bucket, subject, &numbers);
    }
}
