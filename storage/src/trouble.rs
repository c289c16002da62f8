//! What goes wrong beside the log. It is no failure of the log: it is tried again, and tells itself meanwhile.
//!
//! A [`Trouble`] lasts and ends, and whoever wants to know asks for it; a [`crate::Warning`] is told once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use runtime::IoError;

/// Time between two attempts to open a file while too many are open.
const RETRY: Duration = Duration::from_millis(100);

/// Something that does not work at the moment, and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The file of the log's next segment cannot be made, and not because the disk is full. Messages are refused once
    /// it is due.
    SegmentFile,
    /// The file of a segment to come cannot be made ready ahead of the log, and not because the disk is full.
    Ahead,
    /// The file of a segment that was given up can be neither used again nor deleted: its space does not come back.
    GivenUp,
    /// A file cannot be opened, because the process or the machine has as many open as it may. What needs the file waits.
    OpenFiles,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SegmentFile => {
                "the file of the log's next segment cannot be made; without it nothing more is written: messages are refused with \
                 code 14 where they are taken, and consumers go on"
            }
            Self::Ahead => {
                "no file can be made ready for the log's next segment: it would go on in blocks that were never written, \
                 which takes each flush about twice as long"
            }
            Self::GivenUp => {
                "the file of a segment that was deleted from the log can be neither used again nor removed: its space \
                 does not come back"
            }
            Self::OpenFiles => {
                "a file cannot be opened because too many are open, and the log waits for it. Raise the limit of open \
                 files (`ulimit -n`, LimitNOFILE= of the service), or lower the number of connections"
            }
        })
    }
}

/// What is wrong at the moment: at most one error of each kind, the latest.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    now: RefCell<BTreeMap<Trouble, Rc<IoError>>>,
}

impl Troubles {
    pub(crate) fn begin(&self, trouble: Trouble, error: IoError) {
        self.now.borrow_mut().insert(trouble, Rc::new(error));
    }

    pub(crate) fn end(&self, trouble: Trouble) {
        self.now.borrow_mut().remove(&trouble);
    }

    pub(crate) fn why(&self, trouble: Trouble) -> Option<Rc<IoError>> {
        self.now.borrow().get(&trouble).cloned()
    }

    /// Does what needs a file opened, and tries again for as long as too many are open: a flood of connections must not
    /// end the log. `open` changes nothing before it has opened what it needs.
    pub(crate) async fn opening<T>(
        &self,
        mut open: impl AsyncFnMut() -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        let mut waited = false;
        loop {
            match open().await {
                Err(error) if error.is_out_of_descriptors() => {
                    self.begin(Trouble::OpenFiles, error);
                    waited = true;
                    runtime::sleep(RETRY).await;
                }
                other => {
                    if waited {
                        self.end(Trouble::OpenFiles);
                    }
                    return other;
                }
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<(Trouble, Rc<IoError>)> {
        self.now.borrow().iter().map(|(trouble, error)| (*trouble, Rc::clone(error))).collect()
    }
}
