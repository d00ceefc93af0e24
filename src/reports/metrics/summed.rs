//! What is read of summaries, and from the facts where there are none yet: sums and sets of users
//! of each group and bucket, read once and added up as often as it takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::cover::Cover;
use super::covers::{Covered, Covers};
use super::plan::Summaries;
use super::series::Table;
use super::who::{Aliases, Users};
use super::{Asking, Failure, Group, MAX_GROUPS, MetricsQuestion, bucket_index};
use crate::domain::calendar::TimeRange;
use crate::domain::condition::Condition;
use crate::domain::measure::{Dimension, Subject};
use crate::domain::summary::{self, Cell, NUMBERS, Part, SETS};
use crate::storage::StorageError;
use crate::storage::queries::metrics::{Cut, Groups, members, metrics};
use crate::storage::queries::summaries::{Summarised, cells};

/// How many spans are read at a time.
const SPANS: usize = 64;
/// How many sums there may be, of all groups and buckets, before some of them are left out.
const MAX_SUMS: usize = 2_000_000;
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
    /// By the group's name: its place.
    places: HashMap<String, usize, Xxh3DefaultBuilder>,
    groups: Vec<Buckets>,
    /// Whether groups do not add up.
    apart: bool,
}

/// What a group came to, by bucket in the order of time; none of a bucket in which nothing was.
#[derive(Debug, Default)]
pub(super) struct Buckets(Vec<(usize, Sum)>);

/// What was counted: numbers, or users.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    numbers: [i128; NUMBERS],
    users: Option<Box<[Users; SETS]>>,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.add_numbers(other.numbers);
        if let Some(users) = &other.users {
            for (union, more) in self.users().iter_mut().zip(&**users) {
                union.add(more);
            }
        }
    }

    pub(super) fn add_numbers(&mut self, numbers: impl IntoIterator<Item = i128>) {
        for (sum, more) in self.numbers.iter_mut().zip(numbers) {
            *sum += more;
        }
    }

    pub(super) fn add_cell(&mut self, cell: Cell) {
        self.add_numbers(cell.numbers);
        if cell.sets.iter().any(|set| !set.is_empty()) {
            for (union, more) in self.users().iter_mut().zip(cell.sets) {
                union.numbers |= more;
            }
        }
    }

    fn users(&mut self) -> &mut [Users; SETS] {
        self.users.get_or_insert_default()
    }
}

impl Buckets {
    fn at(&mut self, bucket: usize) -> &mut Sum {
        let place = match self.0.last() {
            Some((last, _)) if *last == bucket => self.0.len() - 1,
            Some((last, _)) if *last > bucket => {
                match self.0.binary_search_by_key(&bucket, |(at, _)| *at) {
                    Ok(place) => place,
                    Err(place) => {
                        self.0.insert(place, (bucket, Sum::default()));
                        place
                    }
                }
            }
            _ => {
                self.0.push((bucket, Sum::default()));
                self.0.len() - 1
            }
        };
        &mut self.0[place].1
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
                Subject::Sessions => self.sessions(bounds, covered, &covers.aliases).await?,
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

    pub(super) async fn add_cells(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        spans: &[Summarised],
        of: &Summaries,
    ) -> Result<(), Failure> {
        let question = self.question;
        for spans in spans.chunks(SPANS) {
            let tenant = question.view.tenant();
            let written = cells(&**self.moment.snapshot, tenant, of.part.code, spans).await?;
            self.add_written(sums, bounds, spans, &written, of)?;
        }
        Ok(())
    }

    fn add_written(
        &mut self,
        sums: &mut Sums,
        bounds: &[DateTime<Utc>],
        spans: &[Summarised],
        written: &[(usize, Vec<u8>)],
        of: &Summaries,
    ) -> Result<(), Failure> {
        let question = self.question;
        let mut name = String::new();
        let by_value = !question.mentions(summary::qualifier(of.part.subject));
        for (place, bytes) in written {
            let bucket = bounds.partition_point(|bound| *bound <= spans[*place].range.from) - 1;
            // The group of the value before, if it counts: cells of one value follow one another.
            let mut last: Option<(String, Option<usize>)> = None;
            summary::read(bytes, |value, qualified, cell| {
                self.rows_read += 1;
                let of_dimension = |dimension: Dimension| {
                    debug_assert!(knows(of.part, dimension));
                    of.part.find(value, dimension).unwrap_or(qualified)
                };
                if !of.counts(of_dimension) {
                    return;
                }
                let group = match &last {
                    Some((known, group)) if by_value && known == value => *group,
                    _ => {
                        let counts = question.names(&mut name, &of_dimension);
                        let group = counts.then(|| sums.place(&name));
                        let known = last.get_or_insert_default();
                        known.0.clear();
                        known.0.push_str(value);
                        known.1 = group;
                        group
                    }
                };
                if let Some(group) = group {
                    sums.groups[group].at(bucket).add_cell(cell);
                }
            })
            .map_err(StorageError::from)?;
            // Before the next one, for what is asked may be of more than there is room for.
            if sums.groups.len() > MAX_GROUPS as usize {
                return Err(super::too_many_groups(MAX_GROUPS));
            }
            if sums.groups.iter().map(|group| group.0.len()).sum::<usize>() > MAX_SUMS {
                return Err(super::too_many_groups(MAX_GROUPS));
            }
        }
        Ok(())
    }

    /// What is not summed up yet.
    pub(super) async fn add_facts(
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
                    .users()[did];
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
                let number =
                    |text: &String| text.parse().expect("sums and counts are whole numbers");
                sums.at(&name_of(&row.key), first + bucket_index(row.bucket))
                    .add_numbers(row.quantities.iter().map(number));
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
            let sums = sums.groups.iter().flat_map(|group| &group.0);
            for [users, _] in sums.filter_map(|(_, sum)| sum.users.as_deref()) {
                seen.add(users);
            }
        }
        aliases.resolve(&mut seen);
        let there = self.sums(bounds, &covered.cover, of).await?;
        let mut newcomers = Sums::default();
        for (bucket, mut sum) in there.groups.into_iter().flat_map(|group| group.0) {
            let [users, _] = sum.users();
            aliases.resolve(users);
            users.without(&seen);
            seen.add(users);
            if users.count() > 0 {
                newcomers.at("", bucket).add_numbers([users.count()]);
            }
        }
        Ok(newcomers)
    }
}

impl MetricsQuestion {
    /// Whether groups or filter go by a dimension.
    fn mentions(&self, dimension: Option<Dimension>) -> bool {
        let of_filter = self.filter.as_ref().map(Condition::dimensions);
        let of_keys = self.keys.iter().map(|key| key.dimension);
        let mut all = of_keys.chain(of_filter.into_iter().flatten());
        all.any(|one| Some(one) == dimension)
    }

    /// Whether something with these values counts; then its group's name is put into `name`.
    pub(super) fn names<'a>(&self, name: &mut String, of: &impl Fn(Dimension) -> &'a str) -> bool {
        let passes = self.filter.as_ref().is_none_or(|filter| filter.holds(of));
        if passes {
            name.clear();
            for key in &self.keys {
                name.push_str(key.of(of(key.dimension)));
                name.push(NUL);
            }
        }
        passes
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

impl Sums {
    pub(super) fn at(&mut self, group: &str, bucket: usize) -> &mut Sum {
        let place = self.place(group);
        self.groups[place].at(bucket)
    }

    fn place(&mut self, group: &str) -> usize {
        if let Some(place) = self.places.get(group) {
            return *place;
        }
        self.places.insert(group.to_owned(), self.groups.len());
        self.groups.push(Buckets::default());
        self.groups.len() - 1
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
        let mut others = Buckets::default();
        for (name, place) in &self.places {
            if named.contains(name) == except {
                continue;
            }
            let mut own = Buckets::default();
            let sums = if is_one { &mut others } else { &mut own };
            for (bucket, sum) in &self.groups[*place].0 {
                sums.at(if in_buckets { *bucket } else { 0 }).add(sum);
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

fn put(table: &mut Table, group: &Group, subject: Subject, sums: Buckets, aliases: &Aliases) {
    for (bucket, mut sum) in sums.0 {
        let numbers = match subject {
            Subject::Users | Subject::Buyers => {
                let [users, _] = sum.users();
                aliases.resolve(users);
                [users.count(), 0, 0, 0]
            }
            Subject::Carts => {
                let [users, bought] = sum.users();
                aliases.resolve(users);
                aliases.resolve(bought);
                bought.keep(users);
                [users.count(), bought.count(), 0, 0]
            }
            _ => sum.numbers,
        };
        table.put(group.clone(), bucket, subject, &numbers);
    }
}
