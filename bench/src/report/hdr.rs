//! Latencies as a log of HdrHistogram, version 2: what its own tools plot and compare.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::recorder::{Latencies, latencies};

/// Nanoseconds in the unit of the column for the largest value.
const MAX_UNIT: f64 = 1_000_000.0;

/// A log that is being written. Each line holds the latencies (nanoseconds) of one run in one interval; its tag is the label
/// of the run.
pub struct HdrLog {
    out: Box<dyn Write>,
    serializer: V2DeflateSerializer,
}

impl HdrLog {
    /// Begins a log; `unix_millis` is the time that the seconds in it count from.
    ///
    /// # Errors
    /// What `out` says.
    pub fn begin(mut out: Box<dyn Write>, unix_millis: u64) -> io::Result<HdrLog> {
        let (seconds, millis) = (unix_millis / 1000, unix_millis % 1000);
        writeln!(out, "#[Histogram log format version 1.3]")?;
        writeln!(out, "#[StartTime: {seconds}.{millis:03} (seconds since epoch)]")?;
        writeln!(out, "#[Values are nanoseconds; Interval_Max is milliseconds]")?;
        writeln!(
            out,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        )?;
        Ok(HdrLog { out, serializer: V2DeflateSerializer::new() })
    }

    /// Adds an interval that began so long after the log. An empty one is left out.
    ///
    /// # Errors
    /// What the file says.
    pub fn interval(
        &mut self,
        label: &str,
        start: Duration,
        length: Duration,
        latencies: &Latencies,
    ) -> io::Result<()> {
        if latencies.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.serializer
            .serialize(latencies, &mut bytes)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let max = crate::report::curve::float(latencies.max()) / MAX_UNIT;
        let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
        writeln!(
            self.out,
            "Tag={},{start:.3},{length:.3},{max:.3},{}",
            tag(label),
            STANDARD.encode(bytes)
        )
    }

    /// Writes out what is left.
    ///
    /// # Errors
    /// What the file says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A label without what ends a tag.
fn tag(label: &str) -> String {
    label.replace([',', ' ', '\n', '\r', '='], "_")
}

/// What of a run is in the log already, so that its last interval completes it.
pub struct Told {
    sum: Latencies,
}

impl Default for Told {
    fn default() -> Told {
        Told { sum: latencies() }
    }
}

impl Told {
    /// So much was told.
    pub fn add(&mut self, part: &Latencies) {
        self.sum.add(part).expect("all histograms have the same bounds");
    }

    /// What of `all` was not told yet.
    #[must_use]
    pub fn rest(&self, all: &Latencies) -> Latencies {
        let mut rest = all.clone();
        rest.subtract(&self.sum).expect("what was told is a part of all");
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Rc<RefCell<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn others_can_read_the_log_and_find_every_sample() {
        let page = Page::default();
        let mut log = HdrLog::begin(Box::new(page.clone()), 1_700_000_000_123).unwrap();
        let (mut all, mut first, mut told) = (latencies(), latencies(), Told::default());
        for micros in 1..=1000 {
            all.record(micros * 1000).unwrap();
            if micros <= 400 {
                first.record(micros * 1000).unwrap();
            }
        }
        let second = Duration::from_secs(1);
        log.interval("A 1, x", Duration::ZERO, second, &first).unwrap();
        told.add(&first);
        log.interval("A 1, x", second, second, &latencies()).unwrap();
        log.interval("A 1, x", second, second, &told.rest(&all)).unwrap();

        let text = page.0.borrow();
        let mut sum = latencies();
        let mut starts = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            let LogEntry::Interval(interval) = entry.expect("a line that can be read") else {
                continue;
            };
            assert_eq!(interval.tag().map(|tag| tag.as_str()), Some("A_1__x"));
            starts.push(interval.start_timestamp().as_secs());
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let part: Latencies = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            sum.add(part).unwrap();
        }
        assert_eq!((starts.as_slice(), sum.len()), (&[0, 1][..], 1000));
        assert_eq!(sum.value_at_quantile(0.5), all.value_at_quantile(0.5));
    }
}
