//! What a log must hold. No I/O, no log.

/// An entry, by a number from which its payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub number: u64,
    pub term: u64,
    pub timestamp: u64,
    pub len: usize,
}

impl Known {
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = self.number.to_le_bytes().to_vec();
        payload.resize(self.len, (self.number % 251) as u8);
        payload
    }
}

/// What was called for and has not returned.
#[derive(Clone, Debug, Default)]
pub enum UnderWay {
    #[default]
    Nothing,
    Append(Vec<Known>),
    /// The log is cut to so many entries.
    Truncate(usize),
    Promise(u64, u128),
}

/// What was told, over all lives.
#[derive(Debug, Default)]
pub struct Model {
    /// The entries that were written, from index 0 on.
    pub log: Vec<Known>,
    /// So many of them are durable.
    pub durable: usize,
    /// So many of them are committed.
    pub committed: usize,
    pub promise: (u64, u128),
    pub under_way: UnderWay,
    /// The last append began with an entry that was cut, at a place from which its header reaches into the next block.
    pub is_split_again: bool,
    /// The power has gone since the log was found right.
    pub power_cut: bool,
    /// How often the log was found right.
    pub recovered: u64,
    /// Entries ever made.
    pub made: u64,
    /// What was cut last, and may be appended again.
    pub cut: Vec<Known>,
}

impl Model {
    /// Takes over what a start has found. `Err`: how that cannot be.
    pub fn find(&mut self, found: &[Known], promise: (u64, u128)) -> Result<(), String> {
        let least = if self.power_cut { self.durable } else { self.log.len() };
        let mut all = self.log.clone();
        let (mut least, mut may_promise) = (least, vec![self.promise]);
        match &self.under_way {
            UnderWay::Nothing => {}
            UnderWay::Append(entries) => all.extend(entries),
            UnderWay::Truncate(to) => least = least.min(*to),
            UnderWay::Promise(term, voted_for) => may_promise.push((*term, *voted_for)),
        }
        if found.len() < least || found.len() > all.len() {
            let most = all.len();
            return Err(format!("{} entries are there, {least} to {most} were due", found.len()));
        }
        if let Some(at) = (0..found.len()).find(|at| found[*at] != all[*at]) {
            return Err(format!("entry {at} is {:?}, {:?} was due", found[at], all[at]));
        }
        if !may_promise.contains(&promise) {
            return Err(format!("{promise:?} is promised, {may_promise:?} was due"));
        }
        if found.len() < self.committed {
            return Err(format!(
                "{} entries are there, {} are committed",
                found.len(),
                self.committed
            ));
        }
        self.log = found.to_vec();
        self.durable = found.len();
        self.promise = promise;
        self.under_way = UnderWay::Nothing;
        self.is_split_again = false;
        self.power_cut = false;
        self.recovered += 1;
        Ok(())
    }
}
