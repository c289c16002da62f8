//! What the flags demand of a run, and which of it a run does not meet.

use std::time::Duration;

use super::result::{Lengths, Outages};
use crate::args::Failover;
use crate::report::millis;

/// What is not met, each as one line that names the faults or the numbers.
#[must_use]
pub fn unmet(args: &Failover, outages: &Outages) -> Vec<String> {
    let mut unmet = Vec::new();
    if args.new_leader && !outages.unmoved.is_empty() {
        unmet.push(no_other_leader(&outages.unmoved));
    }
    let Lengths { median_ms, worst_ms, .. } = outages.struck;
    for (flag, bar, is) in [("median", args.median, median_ms), ("worst", args.worst, worst_ms)] {
        let Some(bar) = bar else { continue };
        match is {
            Some(is) if exceeds(is, bar) => {
                unmet.push(format!("the {flag} window is {}, --{flag} is {bar:?}", millis(is)));
            }
            Some(_) => {}
            // Nothing that was measured is below a bar either; one who ends the run early knows that.
            None if outages.interrupted => {}
            None => unmet.push(format!("no window was measured, so none is within --{flag}")),
        }
    }
    let judged = args.median.is_some() || args.worst.is_some();
    let (windows, faults) = (outages.struck.all_ms.len(), outages.faults.len());
    if judged && windows < faults && !outages.interrupted {
        unmet.push(format!(
            "of {faults} faults only {windows} have a window: the numbers say nothing of the others"
        ));
    }
    if let (Some(bar), Some(is)) = (args.worst, outages.after_heal.worst_ms)
        && exceeds(is, bar)
    {
        unmet.push(format!(
            "the longest silence after a heal is {}, --worst is {bar:?}",
            millis(is)
        ));
    }
    unmet
}

fn exceeds(millis: f64, bar: Duration) -> bool {
    assert!(millis >= 0.0, "a window has a length");
    millis > bar.as_secs_f64() * 1e3
}

/// A line about faults after which nobody else led.
#[must_use]
pub fn no_other_leader(faults: &[u32]) -> String {
    assert!(!faults.is_empty(), "there is something to tell");
    let numbers = listed(faults);
    format!(
        "the leader did not change after fault {numbers}: until the heal the route named the same one, or nobody"
    )
}

/// Numbers of faults for a message.
#[must_use]
pub fn listed(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(u32::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_as_long_as_its_bar_is_within_it() {
        let bar = Duration::from_millis(250);
        assert!(!exceeds(250.0, bar) && exceeds(250.001, bar) && !exceeds(0.0, bar));
    }

    #[test]
    fn faults_are_named_by_their_numbers() {
        let line = no_other_leader(&[2, 11]);
        assert!(line.contains("after fault 2, 11:"), "{line}");
    }
}
