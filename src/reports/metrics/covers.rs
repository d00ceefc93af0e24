//! Which subjects of a question are read from summaries, and how far these reach: known before
//! anything is read of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::cover::Cover;
use super::plan::{Summaries, summaries};
use super::sessions::OpenDay;
use super::who::Aliases;
use super::{Asking, Failure};
use crate::domain::measure::Subject;
use crate::domain::summary::Span;
use crate::storage::queries::summaries::first_hour;

/// The subjects that are read from summaries.
#[derive(Debug, Default)]
pub(super) struct Covers {
    pub(super) subjects: HashMap<Subject, Covered>,
    /// What of the range is summed up, if it was looked for and there is any.
    pub(super) any: Option<Arc<Cover>>,
    /// Whose users are whose.
    pub(super) aliases: Arc<Aliases>,
}

/// How one of them is.
#[derive(Debug)]
pub(super) struct Covered {
    /// What summaries tell of it.
    pub(super) summaries: Summaries,
    /// How far there are any.
    pub(super) cover: Arc<Cover>,
    /// Of sessions: the days that are told by who came in their hours.
    pub(super) open: Vec<OpenDay>,
    /// The time before the range, where it matters who was there.
    pub(super) before: Option<Before>,
}

/// The time before a range.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// From the first fact on.
    pub(super) bounds: [DateTime<Utc>; 2],
    /// How far it is summed up.
    pub(super) cover: Arc<Cover>,
}

impl Covers {
    /// Which these are.
    pub(super) fn summed(&self) -> BTreeSet<Subject> {
        self.subjects.keys().copied().collect()
    }
}

impl Asking<'_> {
    /// What is summed up of the question's subjects, where there is enough to be worth it.
    pub(super) async fn covers(&self, bounds: &[DateTime<Utc>]) -> Result<Covers, Failure> {
        let question = self.question;
        let subjects: HashSet<Subject> = question.subjects().collect();
        let subjects: Vec<(Subject, Summaries)> = subjects
            .into_iter()
            .filter_map(|subject| Some((subject, summaries(question, subject)?)))
            .collect();
        let mut covers = Covers::default();
        if subjects.is_empty() {
            return Ok(covers);
        }
        let (snapshot, tenant) = (self.moment.snapshot, question.view.tenant());
        let is_long = bounds[bounds.len() - 1] - bounds[0] >= Duration::hours(1);
        let any = if is_long {
            Cover::of(snapshot, tenant, bounds, &Span::ALL).await?
        } else {
            Cover::default()
        };
        let any = Arc::new(any);
        covers.any = (!any.spans.is_empty()).then(|| Arc::clone(&any));
        let has_sessions = subjects.iter().any(|(one, _)| *one == Subject::Sessions);
        if covers.any.is_none() && !has_sessions {
            return Ok(covers);
        }
        let is_users = |(subject, _): &(Subject, Summaries)| {
            !matches!(subject, Subject::Lines | Subject::Events)
        };
        if subjects.iter().any(is_users) {
            covers.aliases = self.moment.who.of(snapshot, tenant).await?;
        }
        for (subject, summaries) in subjects {
            let mut covered = Covered {
                summaries,
                cover: Arc::clone(&any),
                open: Vec::new(),
                before: None,
            };
            match subject {
                Subject::NewUsers | Subject::NewBuyers => {
                    covered.before = self.before(bounds[0]).await?;
                }
                Subject::Sessions => {
                    let (cover, open) = self.cover_of_sessions(bounds, &covers.aliases).await?;
                    (covered.cover, covered.open) = (Arc::new(cover), open);
                }
                _ => {}
            }
            let mut all = covered.open.iter().map(|open| &open.hours);
            if all.any(|hours| !hours.spans.is_empty()) || !covered.cover.spans.is_empty() {
                covers.subjects.insert(subject, covered);
            }
        }
        Ok(covers)
    }

    /// What was before a moment, if anything was.
    async fn before(&self, moment: DateTime<Utc>) -> Result<Option<Before>, Failure> {
        let (snapshot, tenant) = (self.moment.snapshot, self.question.view.tenant());
        let first = first_hour(&**snapshot, tenant).await?;
        let Some(first) = first.filter(|first| first.begin() < moment) else {
            return Ok(None);
        };
        let bounds = [first.begin(), moment];
        let cover = Cover::of(snapshot, tenant, &bounds, &Span::ALL).await?;
        Ok(Some(Before {
            bounds,
            cover: Arc::new(cover),
        }))
    }
}
