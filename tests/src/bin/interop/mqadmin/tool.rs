//! Running the tool, and looking at what it says.

use std::fmt::Debug;
use std::time::Duration;

use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::Lab;
use tests::harness::process;
use tests::harness::table::{self, Table};

const LIMIT: Duration = Duration::from_secs(60);

/// The tool gives a request a few seconds, in which a JVM on a busy machine may not even have sent it.
const TRIES: u32 = 3;
/// How the tool says so.
const TIMED_OUT: [&str; 2] = ["RemotingTimeoutException", "sendDefaultImpl call timeout"];

/// What a run of the tool said.
#[derive(Debug)]
pub struct Said {
    /// Standard output without log lines.
    pub out: String,
    /// Standard error: the tool prints its failures there, and ends with code 0 all the same.
    pub err: String,
}

/// Runs `mqadmin COMMAND -n NAMESRV WORDS`.
pub fn mqadmin(lab: &Lab, command: &str, words: &[&str]) -> Verdict<Said> {
    let cluster = lab.cluster_at_hand().expect("the check has asked for one");
    let name = format!("mqadmin {command}");
    let mut tries = 0;
    loop {
        tries += 1;
        let mut java = lab.apache_mqadmin(command);
        java.args(words);
        let seen = process::run(&name, &mut java, &cluster.dir, LIMIT)?.clean(&name)?;
        let said = Said { out: table::said(&seen.out), err: seen.err };
        let timed_out = TIMED_OUT.iter().any(|words| said.err.contains(words));
        if !timed_out || tries == TRIES {
            return Ok(said);
        }
        println!("({name} has run into its own timeout: once more)");
    }
}

impl Said {
    /// Itself, if it reports no failure.
    pub fn clean(self) -> Verdict<Self> {
        let failed = self.err.contains("Exception") || self.out.contains("Exception");
        expect(!failed, || format!("mqadmin failed:\n{}{}", self.out, self.err))?;
        Ok(self)
    }

    /// Fails unless it reports a failure with this response code.
    pub fn refused(self, code: i64) -> Verdict {
        expect(self.err.contains(&format!("CODE: {code} ")), || {
            format!("a refusal with code {code}; mqadmin said:\n{}{}", self.out, self.err)
        })
    }

    /// Its table, which must have these columns.
    pub fn table(&self, columns: &[&str]) -> Verdict<Table> {
        let table = Table::of(&self.out)
            .ok_or_else(|| Failure::Wrong(format!("no table in:\n{}", self.out)))?;
        same("columns", &table.columns.iter().map(String::as_str).collect::<Vec<_>>(), &columns)?;
        Ok(table)
    }

    /// Fails unless each of these is a part of what it said.
    pub fn says(&self, parts: &[&str]) -> Verdict {
        for part in parts {
            expect(self.out.contains(part), || format!("`{part}` is not in:\n{}", self.out))?;
        }
        Ok(())
    }
}

/// Fails unless both are equal.
pub fn same<A: PartialEq<B> + Debug, B: Debug>(what: &str, seen: &A, wanted: &B) -> Verdict {
    expect(seen == wanted, || format!("{what}: expected {wanted:?}, saw {seen:?}"))
}
