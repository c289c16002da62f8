//! What the provisioner does next. No state, no I/O.

use super::WANTED;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Use a file that was given up again, or remove an index file.
    Recycle,
    /// Get a file at once: one is due.
    Allocate,
    /// Delete a little of a file that was given up.
    Delete,
    /// Zero a little.
    Zero,
    /// Give up the file that is being zeroed, and its space.
    Abandon,
    /// Begin to delete a file that is ready.
    Shed,
    /// Nothing.
    Rest,
}

/// A file that was given up and may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Segment,
    Part,
}

/// The shard as the provisioner sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub ready: usize,
    /// A name is free for another file than the one that is being zeroed.
    pub free: bool,
    /// A file is being zeroed.
    pub zeroing: bool,
    /// The first of the files that were given up.
    pub given_up: Option<Next>,
    /// The disk is too full for what has to be written beside the log, which files for segments to come would not help.
    pub cramped: bool,
    /// A segment that was given up is used again, where the disk is not cramped.
    pub recycles: bool,
    /// Files are zeroed ahead of the log.
    pub ahead: bool,
    /// More files are ready, or being made, than are kept.
    pub surplus: bool,
    /// A file is being deleted.
    pub deleting: bool,
    /// It is too early for the next step of a deletion.
    pub pausing: bool,
    /// The log reaches into the last part of its segment, or something was refused for want of a file.
    pub due: bool,
    /// A moment ago there was none to be had.
    pub refused: bool,
    /// It is too early to zero the next bit of a file: the log is in no hurry, or a moment ago one could not be zeroed.
    pub resting: bool,
}

pub(super) fn decide(sight: Sight) -> Step {
    let due = sight.ready == 0 && sight.due && (sight.free || sight.zeroing);
    match sight.given_up {
        Some(Next::Part) => Step::Recycle,
        // What has to be written beside the log needs the space more than a segment that is not due.
        _ if sight.zeroing && !due && (sight.cramped || sight.surplus) => Step::Abandon,
        _ if sight.surplus && !sight.zeroing && !sight.deleting && !sight.pausing => Step::Shed,
        Some(Next::Segment) if sight.free && !sight.cramped && (sight.recycles || due) => {
            Step::Recycle
        }
        _ if due && !sight.refused => Step::Allocate,
        given_up if (sight.deleting || given_up.is_some()) && !sight.pausing => Step::Delete,
        // A file that is due is not zeroed first.
        _ if due || sight.resting || sight.cramped => Step::Rest,
        _ if sight.zeroing || (sight.ahead && sight.ready < WANTED && sight.free) => Step::Zero,
        _ => Step::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Sight = Sight {
        ready: 0,
        free: true,
        zeroing: false,
        given_up: None,
        cramped: false,
        recycles: true,
        ahead: true,
        surplus: false,
        deleting: false,
        pausing: false,
        due: false,
        refused: false,
        resting: false,
    };
    const BUSY: Sight = Sight { resting: true, ..QUIET };
    /// Everything is there that can be, and one more was given up.
    const CROWDED: Sight = Sight { ready: 2, free: false, given_up: Some(Next::Segment), ..BUSY };

    #[test]
    fn what_is_due_comes_before_what_is_made_ahead() {
        assert_eq!(decide(QUIET), Step::Zero);
        assert_eq!(decide(Sight { ready: WANTED, ..QUIET }), Step::Rest);
        assert_eq!(decide(Sight { cramped: true, ..QUIET }), Step::Rest);
        assert_eq!(decide(Sight { due: true, ..QUIET }), Step::Allocate);
        assert_eq!(decide(Sight { due: true, refused: true, ..QUIET }), Step::Rest);
        assert_eq!(decide(BUSY), Step::Rest);
        assert_eq!(decide(Sight { due: true, ..BUSY }), Step::Allocate);
    }

    #[test]
    fn what_was_given_up_is_used_again_where_there_is_a_place_for_it() {
        for next in [Next::Segment, Next::Part] {
            let given_up = Sight { given_up: Some(next), ..BUSY };
            for deleting in [false, true] {
                assert_eq!(decide(Sight { deleting, due: true, ..given_up }), Step::Recycle);
            }
        }
        assert_eq!(decide(Sight { given_up: Some(Next::Part), ..CROWDED }), Step::Recycle);
        assert_eq!(decide(CROWDED), Step::Delete);
        assert_eq!(decide(Sight { ready: 0, free: true, cramped: true, ..CROWDED }), Step::Delete);
    }

    #[test]
    fn a_file_that_is_being_zeroed_takes_a_place() {
        let zeroing = Sight { zeroing: true, ..QUIET };
        assert_eq!(decide(zeroing), Step::Zero);
        // What was given up has come first: it is zeroed to its end, and what comes then is deleted.
        let crowded = Sight { ready: 1, free: false, given_up: Some(Next::Segment), ..zeroing };
        assert_eq!(decide(crowded), Step::Delete);
        assert_eq!(decide(Sight { pausing: true, ..crowded }), Step::Zero);
        assert_eq!(decide(Sight { due: true, free: false, ..zeroing }), Step::Allocate);
    }

    #[test]
    fn on_a_cramped_disk_nothing_is_zeroed_and_what_was_begun_is_given_back() {
        let cramped = Sight { cramped: true, zeroing: true, ..QUIET };
        assert_eq!(decide(cramped), Step::Abandon);
        assert_eq!(decide(Sight { resting: true, ..cramped }), Step::Abandon);
        assert_eq!(decide(Sight { given_up: Some(Next::Segment), ..cramped }), Step::Abandon);
        assert_eq!(decide(Sight { due: true, ..cramped }), Step::Allocate);
        assert_eq!(decide(Sight { zeroing: false, ..cramped }), Step::Rest);
    }

    #[test]
    fn where_space_is_short_what_is_not_due_goes() {
        let given_up = Sight { given_up: Some(Next::Segment), ..QUIET };
        let short = Sight { recycles: false, ahead: false, ..given_up };
        assert_eq!(decide(short), Step::Delete);
        assert_eq!(decide(Sight { due: true, ..short }), Step::Recycle);
        assert_eq!(decide(Sight { given_up: None, ..short }), Step::Rest);
        // A file that was begun before is not begun a second time.
        assert_eq!(decide(Sight { given_up: None, zeroing: true, ..short }), Step::Zero);
    }

    #[test]
    fn what_is_ready_and_not_kept_goes_before_what_was_given_up() {
        let surplus = Sight { ready: 2, surplus: true, recycles: false, ..QUIET };
        assert_eq!(decide(surplus), Step::Shed);
        let given_up = Sight { given_up: Some(Next::Segment), ..surplus };
        assert_eq!(decide(given_up), Step::Shed);
        assert_eq!(decide(Sight { deleting: true, ..given_up }), Step::Delete, "one at a time");
        assert_eq!(decide(Sight { ready: 1, zeroing: true, ..given_up }), Step::Abandon);
    }

    #[test]
    fn a_deletion_is_in_nobodys_way() {
        let deleting = Sight { deleting: true, ..BUSY };
        assert_eq!(decide(deleting), Step::Delete);
        assert_eq!(decide(Sight { pausing: true, ..deleting }), Step::Rest);
        assert_eq!(decide(Sight { pausing: true, ..CROWDED }), Step::Rest);
        assert_eq!(decide(Sight { due: true, ..deleting }), Step::Allocate);
        // On a full disk it is what makes room.
        assert_eq!(decide(Sight { due: true, refused: true, ..deleting }), Step::Delete);
        let hurried = Sight { resting: false, ..deleting };
        assert_eq!(decide(hurried), Step::Delete);
        assert_eq!(decide(Sight { pausing: true, ..hurried }), Step::Zero);
    }
}
