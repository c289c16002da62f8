//! What routes are made of besides their bodies: permission bits.

/// Permission bits of a topic or of a queue. RocketMQ 5.5.0, class PermName.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Perm(pub i32);

impl Perm {
    /// New topics may inherit from this one; only for templates such as TBW102.
    pub const INHERIT: Self = Self(1);
    /// Producers may write.
    pub const WRITE: Self = Self(2);
    /// Consumers may read.
    pub const READ: Self = Self(4);
    /// Queues have priorities.
    pub const PRIORITY: Self = Self(8);
    /// Read and write.
    pub const READ_WRITE: Self = Self(6);

    /// True if every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that `other` lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True for bits that a topic may have: 0 to 7, as the broker checks a new topic.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 >= 0 && self.0 < Self::PRIORITY.0
    }
}

/// As mqadmin prints it: `RWX`, a dash for each bit that is not set.
impl std::fmt::Display for Perm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = |bit, letter| if self.contains(bit) { letter } else { "-" };
        f.write_str(letter(Self::READ, "R"))?;
        f.write_str(letter(Self::WRITE, "W"))?;
        f.write_str(letter(Self::INHERIT, "X"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_topic_drops_the_template_bit() {
        let template = Perm(7);
        assert!(template.contains(Perm::INHERIT));
        assert_eq!(template.without(Perm::INHERIT), Perm::READ_WRITE);
        assert_eq!(Perm::READ.with(Perm::WRITE), Perm::READ_WRITE);
        assert_eq!(template.to_string(), "RWX");
        assert_eq!(Perm::READ.to_string(), "R--");
    }

    #[test]
    fn only_three_bits_are_a_topics() {
        assert!((0..8).all(|bits| Perm(bits).is_valid()));
        assert!(!Perm(8).is_valid() && !Perm(-1).is_valid());
    }
}
