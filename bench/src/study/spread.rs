//! The median of several windows, and how far they lie apart.

use serde::Serialize;

use crate::report::curve::round;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Messages a second.
    Rate,
    /// Median latency.
    P50,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// CPU time of the server for one message.
    ServerCpu,
    /// Resident memory of the server.
    Resident,
}

/// A number of each window, and what they come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// What it is.
    pub name: String,
    /// `ratio`, `us`, or `bytes`.
    pub unit: &'static str,
    /// One for each window, or pair of windows, in their order.
    pub values: Vec<f64>,
    /// The middle one; between two, their mean.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// `None` without a value; a value that is no number does not count.
    #[must_use]
    pub fn new(name: &str, unit: &'static str, values: Vec<f64>) -> Option<Spread> {
        let values: Vec<f64> =
            values.into_iter().filter(|value| value.is_finite()).map(round).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let median = median(&sorted);
        assert!(min <= median && median <= max, "the median lies between the ends");
        Some(Spread { name: name.to_owned(), unit, values, median, min, max })
    }
}

/// The median of sorted values, at least one.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

/// The ratio of each pair; pairs with a value missing, or nothing to divide by, are left out.
#[must_use]
pub fn of_pairs(
    name: &str,
    over: impl IntoIterator<Item = Option<f64>>,
    under: impl IntoIterator<Item = Option<f64>>,
) -> Option<Spread> {
    let pairs = over.into_iter().zip(under);
    let ratios = pairs.filter_map(|(over, under)| {
        let (over, under) = over.zip(under)?;
        (under > 0.0).then(|| over / under)
    });
    Spread::new(name, "ratio", ratios.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_order_is_kept() {
        let spread = Spread::new("x", "us", vec![3.0, 1.0, 10.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (3.0, 1.0, 10.0));
        assert_eq!(spread.values, [3.0, 1.0, 10.0]);
        let spread = Spread::new("x", "us", vec![4.0, f64::NAN, 1.0]).unwrap();
        assert_eq!((spread.median, spread.values.len()), (2.5, 2));
        assert_eq!(Spread::new("x", "us", vec![]), None);
        assert_eq!(Spread::new("x", "us", vec![f64::INFINITY]), None);
    }

    #[test]
    fn ratios_are_of_windows_side_by_side() {
        let spread =
            of_pairs("r", [Some(10.0), Some(9.0), None], [Some(5.0), Some(3.0), Some(1.0)]);
        assert_eq!(spread.unwrap().values, [2.0, 3.0]);
        assert_eq!(of_pairs("r", [Some(1.0)], [Some(0.0)]), None);
        let uneven = of_pairs("r", [Some(1.0), Some(2.0)], [Some(1.0)]).unwrap();
        assert_eq!(uneven.values, [1.0], "an interrupted study has a side with a window more");
    }
}
