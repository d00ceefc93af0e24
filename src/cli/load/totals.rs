//! Whether what is stored is what was acknowledged: the tenant's totals before and after, read
//! through the public API.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::connection::Target;
use super::event::{CURRENCY, Sums};
use super::tally::Tally;
use crate::cli::Failure;

const QUESTION: &str = "query Totals($range: TimeRangeInput!, $currency: String!) { \
     traffic(range: $range) { totals { events pageviews } } \
     sales(range: $range, currency: $currency) { totals { orders units revenue } } }";
const PAUSE: Duration = Duration::from_millis(100);
const IN_A_HURRY: Duration = Duration::from_secs(2);

/// A range of time that all events of a run lie in.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Before the latest event.
    pub from: DateTime<Utc>,
    /// After the newest.
    pub to: DateTime<Utc>,
}

impl Window {
    /// The tenant's totals in it.
    ///
    /// # Errors
    /// When the server does not answer, or not with totals.
    pub async fn totals(&self, target: &Target) -> Result<Sums, Failure> {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let variables = json!({
            "range": {"from": instant(self.from), "to": instant(self.to)}, "currency": CURRENCY,
        });
        let request = target.client.post(format!("{}/graphql", target.url));
        let request = request.bearer_auth(&target.key);
        let response = request
            .json(&json!({"query": QUESTION, "variables": variables}))
            .send()
            .await?;
        let status = response.status();
        let answer: Value = response.json().await.unwrap_or_default();
        read(&answer).ok_or_else(|| {
            let problem = &answer["errors"][0]["message"];
            let said = problem.as_str().or(answer["detail"].as_str());
            let said = said.unwrap_or("no reason given");
            format!("the totals cannot be read: the server answered {status}: {said}").into()
        })
    }
}

fn read(answer: &Value) -> Option<Sums> {
    let traffic = &answer["data"]["traffic"]["totals"];
    let sales = &answer["data"]["sales"]["totals"];
    Some(Sums {
        events: traffic["events"].as_i64()?,
        pageviews: traffic["pageviews"].as_i64()?,
        orders: sales["orders"].as_i64()?,
        units: sales["units"].as_i64()?,
        revenue: minor_units(sales["revenue"].as_str()?)?,
    })
}

/// Reads a sum with two decimals, of any size and sign.
fn minor_units(text: &str) -> Option<i128> {
    let (whole, cents) = text.split_once('.')?;
    (cents.len() == 2)
        .then(|| format!("{whole}{cents}").parse().ok())
        .flatten()
}

/// What must be found.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// What was acknowledged.
    pub least: Sums,
    /// The same and what may have been stored without an acknowledgement.
    pub most: Sums,
    /// When the last acknowledgement came.
    pub last: Instant,
}

impl Acknowledged {
    /// What a run was told.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        Self {
            least: tally.certain,
            most: tally.certain.with(&tally.possible, |a, b| a + b),
            last: tally.last.unwrap_or_else(Instant::now),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether what is stored is what was acknowledged.
    pub verified: bool,
    /// What the run added to the tenant's totals.
    pub stored: Sums,
    /// What was acknowledged.
    pub least: Sums,
    /// The same and what may have been stored without an acknowledgement.
    pub most: Sums,
    /// How long after the last acknowledgement all was to be seen, in seconds.
    pub visible_after: Option<f64>,
    /// In words, where it is not.
    pub mismatch: Option<String>,
}

/// Asks until what was acknowledged is to be seen, or the time is over: soon, for one who has been
/// told to stop.
///
/// # Errors
/// When the server did not answer at all.
pub async fn verify(
    target: &Target,
    window: Window,
    before: Sums,
    acknowledged: Acknowledged,
    patience: Duration,
    hurry: &CancellationToken,
) -> Result<Verdict, Failure> {
    let Acknowledged { least, most, last } = acknowledged;
    let begun = Instant::now();
    loop {
        let asked = window.totals(target).await;
        let is_over =
            begun.elapsed() >= patience || (hurry.is_cancelled() && begun.elapsed() >= IN_A_HURRY);
        match asked {
            Ok(now) => {
                let stored = now.with(&before, |now, before| now - before);
                let mismatch = mismatch(&stored, &least, &most);
                if mismatch.is_none() || is_over {
                    return Ok(Verdict {
                        verified: mismatch.is_none(),
                        visible_after: mismatch.is_none().then(|| last.elapsed().as_secs_f64()),
                        stored,
                        least,
                        most,
                        mismatch,
                    });
                }
            }
            Err(error) if is_over => return Err(error),
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Which numbers are wrong, in words.
fn mismatch(stored: &Sums, least: &Sums, most: &Sums) -> Option<String> {
    let bounds = least.measures().into_iter().zip(most.measures());
    let wrong: Vec<String> = stored
        .measures()
        .into_iter()
        .zip(bounds)
        .filter(|((_, stored), ((_, least), (_, most)))| !(least..=most).contains(&stored))
        .map(|((name, stored), ((_, least), (_, most)))| {
            let shown = |n: i128| match name {
                "revenue" => money(n),
                _ => n.to_string(),
            };
            let expected = if least == most {
                shown(least)
            } else {
                format!("{} to {}", shown(least), shown(most))
            };
            format!("{name}: stored {}, acknowledged {expected}", shown(stored))
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Minor units as a decimal.
#[must_use]
pub(super) fn money(minor: i128) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACKNOWLEDGED: Sums = Sums {
        events: 100,
        pageviews: 70,
        orders: 5,
        units: 9,
        revenue: 12_345,
    };

    #[test]
    fn equal_totals_are_no_mismatch_and_others_are_named() {
        assert_eq!(mismatch(&ACKNOWLEDGED, &ACKNOWLEDGED, &ACKNOWLEDGED), None);
        let stored = Sums {
            events: 99,
            revenue: 12_344,
            ..ACKNOWLEDGED
        };
        assert_eq!(
            mismatch(&stored, &ACKNOWLEDGED, &ACKNOWLEDGED).unwrap(),
            "events: stored 99, acknowledged 100; revenue: stored 123.44, acknowledged 123.45"
        );
    }

    #[test]
    fn what_was_not_acknowledged_may_or_may_not_be_there_but_nothing_more() {
        let most = ACKNOWLEDGED.with(&ACKNOWLEDGED, |a, b| a + b);
        for stored in [ACKNOWLEDGED, most] {
            assert_eq!(mismatch(&stored, &ACKNOWLEDGED, &most), None);
        }
        let stored = Sums { units: 19, ..most };
        assert_eq!(
            mismatch(&stored, &ACKNOWLEDGED, &most).unwrap(),
            "units: stored 19, acknowledged 9 to 18"
        );
    }

    #[test]
    fn sums_of_money_are_read_to_the_cent_whatever_their_size() {
        assert_eq!(minor_units("0.00"), Some(0));
        assert_eq!(minor_units("-0.05"), Some(-5));
        let large = "123456789012345678901234567890.12";
        assert_eq!(money(minor_units(large).unwrap()), large);
        assert_eq!(minor_units("1"), None);
    }
}
