//! Gaps are filled, then windows rolled.

use super::{Fill, MetricsQuestion, Window};
use crate::domain::number::{Number, RATIO_DECIMALS};

/// The values of one series as they are shown; `zero` is what stands for nothing, if it is zero.
pub(super) fn shape(
    mut values: Vec<Option<Number>>,
    zero: Option<Number>,
    question: &MetricsQuestion,
) -> Vec<Option<Number>> {
    match question.fill {
        Fill::Null => {}
        Fill::Zero => values.iter_mut().for_each(|value| *value = value.or(zero)),
        Fill::Previous => {
            let mut last = None;
            for value in &mut values {
                last = value.or(last);
                *value = last;
            }
        }
        Fill::Linear => interpolate(&mut values),
    }
    match question.rolling {
        Some(rolling) => roll(&values, rolling.buckets, rolling.window),
        None => values,
    }
}

/// Puts what is missing between two values on the line between them.
fn interpolate(values: &mut [Option<Number>]) {
    let known: Vec<usize> = (0..values.len()).filter(|n| values[*n].is_some()).collect();
    for pair in known.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (Some(first), Some(last)) = (values[from], values[to]) else {
            continue;
        };
        let part = |steps: usize| Number::whole(i128::try_from(steps).unwrap_or(i128::MAX));
        for (steps, value) in (1..).zip(&mut values[from + 1..to]) {
            let rise = last.minus(first).and_then(|rise| rise.times(steps));
            let rise = rise.and_then(|rise| rise.ratio(part(to - from), RATIO_DECIMALS));
            *value = rise.and_then(|rise| first.plus(rise));
        }
    }
}

/// Sums or means over windows; nothing where one is not whole.
fn roll(values: &[Option<Number>], buckets: usize, window: Window) -> Vec<Option<Number>> {
    let rolled = |n: usize| {
        let first = (n + 1).checked_sub(buckets)?;
        let mut sum = Number::whole(0);
        for value in &values[first..=n] {
            sum = sum.plus((*value)?)?;
        }
        match window {
            Window::Sum => Some(sum),
            Window::Mean => {
                let count = Number::whole(i128::try_from(buckets).ok()?);
                sum.ratio(count, RATIO_DECIMALS)
            }
        }
    };
    (0..values.len()).map(rolled).collect()
}
