//! The counts of each case in a file, for whoever makes a table of them.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use ::tests::harness::check::Check;
use ::tests::harness::failure::{Failure, Trying, Verdict};
use ::tests::harness::outage::Counts;
use serde_json::{Value, json};

/// A file with an object in JSON for each case, a line each. A run that is stopped leaves those of the cases before.
pub struct Report {
    file: File,
}

impl Report {
    /// An empty file; what was there is gone.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> Verdict<Self> {
        let file = File::create(path).trying(format!("--out {}", path.display()))?;
        Ok(Self { file })
    }

    fn add(&mut self, object: &Value) -> Verdict {
        writeln!(self.file, "{object}").trying("writing counts to the file of --out")
    }
}

/// The same case, which also writes down what came of it.
pub fn reported(case: Check, report: &Rc<RefCell<Report>>) -> Check {
    let (report, name, body) = (Rc::clone(report), case.name.clone(), case.body);
    let body = move |lab: &mut ::tests::harness::lab::Lab| {
        let begun = Instant::now();
        drop(lab.take_counts());
        let verdict = body(lab);
        let object = object(&name, begun.elapsed().as_secs_f64(), &verdict, &lab.take_counts());
        report.borrow_mut().add(&object)?;
        verdict
    };
    Check { body: Box::new(body), ..case }
}

fn object(name: &str, seconds: f64, verdict: &Verdict, counts: &[(String, Counts)]) -> Value {
    let why = verdict.as_ref().err().map(Failure::to_string);
    let counts: Vec<Value> = counts.iter().map(|(what, counts)| counts.json(what)).collect();
    json!({ "case": name, "good": why.is_none(), "why": why, "seconds": seconds, "counts": counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_an_object_with_its_counts_and_why_it_failed() {
        let counts = [("one".to_owned(), Counts::default())];
        let good = object("sites/cut", 1.5, &Ok(()), &counts);
        assert_eq!(good["case"], "sites/cut");
        assert_eq!((&good["good"], &good["why"]), (&json!(true), &Value::Null));
        assert_eq!(good["counts"][0]["what"], "one");
        let bad = object("sites/cut", 1.5, &Err(Failure::Wrong("lost=1".into())), &[]);
        assert_eq!((&bad["good"], &bad["why"]), (&json!(false), &json!("lost=1")));
    }
}
