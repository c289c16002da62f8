//! What the log of a member must hold. No I/O, no log.

/// An entry, by a number from which its content follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub number: u64,
    pub term: u64,
    /// As it was stamped.
    pub timestamp: u64,
    pub len: usize,
}

/// What was called for and has not returned.
#[derive(Clone, Debug, Default)]
pub enum UnderWay {
    #[default]
    Nothing,
    /// The log is cut before this index.
    Truncate(u64),
    Vote(Vote),
    Purge(Purged),
}

/// Term, who, and whether a majority agrees.
pub type Vote = (u64, u128, bool);
/// Index behind what is purged, and the term of the last of it.
pub type Purged = (u64, u64);

/// What a start has found.
#[derive(Debug)]
pub struct Found {
    /// Entries from this index can be read,
    pub first: u64,
    /// up to this one.
    pub next: u64,
    /// Index and term of the last entry, or of the last that is purged.
    pub last: Option<(u64, u64)>,
    pub purged: Purged,
    pub vote: Vote,
    /// Index behind what is known to be committed.
    pub committed: u64,
}

/// What was told, over all lives.
#[derive(Debug, Default)]
pub struct Model {
    /// Entries that were accepted, the first of index `base`.
    pub log: Vec<Known>,
    pub base: u64,
    /// Index behind what was told to be flushed.
    pub flushed: u64,
    /// Index behind what is committed.
    pub committed: u64,
    pub purged: Purged,
    pub vote: Vote,
    pub under_way: UnderWay,
    /// How often entries that were there are gone.
    pub cuts: u64,
    /// Base and entries of the log before each time they went, in this life.
    pub before: Vec<(u64, Vec<Known>)>,
    /// How often the log was found right.
    pub recovered: u64,
    /// Entries ever made.
    pub made: u64,
    /// What was cut last, and may be appended again.
    pub cut: Vec<Known>,
}

impl Model {
    /// Index that the next entry gets.
    pub fn next(&self) -> u64 {
        self.base + self.log.len() as u64
    }

    /// The entry of this index.
    pub fn at(&self, index: u64) -> Known {
        self.log[(index - self.base) as usize]
    }

    /// Entries are about to go.
    pub fn cut(&mut self) {
        self.cuts += 1;
        self.before.push((self.base, self.log.clone()));
    }

    /// Takes over what a start has found. `Err`: how that cannot be.
    pub fn find(&mut self, found: &Found) -> Result<(), String> {
        let under_way = std::mem::take(&mut self.under_way);
        let (mut votes, mut purges) = (vec![self.vote], vec![self.purged]);
        let mut least = self.flushed;
        match under_way {
            UnderWay::Nothing => {}
            UnderWay::Truncate(to) => least = least.min(to),
            UnderWay::Vote(vote) => votes.push(vote),
            UnderWay::Purge(purged) => purges.push(purged),
        }
        if !votes.contains(&found.vote) {
            return Err(format!("the vote is {:?}, {votes:?} was due", found.vote));
        }
        if !purges.contains(&found.purged) {
            return Err(format!("{:?} is purged, {purges:?} was due", found.purged));
        }
        (self.vote, self.purged) = (found.vote, found.purged);
        self.committed = self.committed.max(found.purged.0);
        if found.committed > self.committed {
            return Err(format!("{} are committed, only {} are", found.committed, self.committed));
        }
        if found.purged.0 > self.next() {
            (self.base, least) = (found.purged.0, found.purged.0);
            self.log.clear();
        }
        self.find_entries(found, least.max(self.committed))?;
        self.cut.clear();
        self.before.clear();
        self.recovered += 1;
        Ok(())
    }

    fn find_entries(&mut self, found: &Found, least: u64) -> Result<(), String> {
        let Found { first, next, .. } = *found;
        if first != self.base.max(self.purged.0) {
            return Err(format!(
                "the log begins at {first}: base {}, purged {:?}",
                self.base, self.purged
            ));
        }
        if next < least || next > self.next() {
            return Err(format!("the log ends at {next}, {least} to {} was due", self.next()));
        }
        let last = (next > first).then(|| (next - 1, self.at(next - 1).term));
        let purged = self.purged.0.checked_sub(1).map(|index| (index, self.purged.1));
        if found.last != last.or(purged) {
            return Err(format!("the last is {:?}, {:?} was due", found.last, last.or(purged)));
        }
        self.log.truncate((next - self.base) as usize);
        self.flushed = next;
        Ok(())
    }
}
