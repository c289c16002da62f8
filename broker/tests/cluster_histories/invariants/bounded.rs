//! However much is sent at a time, what waits in a broker stays within its limit, and what is not taken is refused in words: with
//! the codes that say "not now" or "not here".

use remoting::ResponseCode;

/// What entries are larger than the messages in them, of all that wait.
const AROUND: usize = 64 << 10;

#[derive(Default)]
pub struct Bounded {
    /// Sends that were refused because too much waited.
    pub busy: u64,
    /// Sends of crowds that were answered with something else.
    pub answered: u64,
}

impl Bounded {
    /// So many bytes wait for the disk of a node, of which `most` may.
    pub fn waits(&self, node: usize, bytes: usize, most: usize) {
        assert!(bytes <= most + AROUND, "{bytes} bytes wait in n{node}, and {most} may");
    }

    /// A send of a crowd was refused, or stored if there is no code.
    pub fn answers(&mut self, code: Option<i32>) {
        let may = [ResponseCode::SystemBusy, ResponseCode::ServiceNotAvailable];
        let fits = code.is_none_or(|code| may.iter().any(|one| one.code() == code));
        assert!(fits, "a send of a crowd is refused with code {code:?}");
        match code {
            Some(code) if code == ResponseCode::SystemBusy.code() => self.busy += 1,
            _ => self.answered += 1,
        }
    }
}
