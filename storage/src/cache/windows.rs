//! Which windows are in memory, and which of them goes when room is needed. No I/O.

use std::collections::BTreeMap;
use std::rc::Rc;

use runtime::Slice;

use super::load::Load;

/// Bytes of a window: files are read in pieces of this size, at multiples of it.
///
/// A flush of the log waits for the reads that the device has begun, and takes 50 to 100 µs where it finds none. A read of
/// 64 KiB takes as long as that at 1 GB/s, and its fixed costs are a third of it; one of 256 KiB takes four times as long.
pub(crate) const WINDOW: usize = 64 * 1024;

/// A file whose windows are kept. Numbers are the caller's choice; the same number must not stand for two
/// files, unless [`super::Cache::forget`] was called in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub u64);

/// A window: its file, and its number from the file's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    file: FileId,
    number: u64,
}

impl Key {
    /// The window that holds the byte at `pos`.
    pub(super) fn of(file: FileId, pos: u64) -> Self {
        Self { file, number: pos / WINDOW as u64 }
    }

    pub(super) fn start(self) -> u64 {
        self.number * WINDOW as u64
    }

    pub(super) fn end(self) -> u64 {
        self.start() + WINDOW as u64
    }

    pub(super) fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    pub(super) fn plus(self, windows: u64) -> Self {
        Self { number: self.number + windows, ..self }
    }

    /// The next one behind it whose number is a multiple of `of`.
    pub(super) fn round_up(self, of: u64) -> Self {
        Self { number: (self.number / of + 1) * of, ..self }
    }

    /// Whether both lie between the same two multiples of `of`, in the same file.
    pub(super) fn shares(self, other: Self, of: u64) -> bool {
        self.round_up(of) == other.round_up(of)
    }

    pub(super) fn before(self) -> Option<Self> {
        self.number.checked_sub(1).map(|number| Self { number, ..self })
    }
}

/// How likely a window is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A reader passes by: it needs each byte once.
    Once,
    /// Several readers: the window lies near the log's end, or has given out more than it holds.
    Shared,
}

/// A window in memory.
struct Resident {
    bytes: Slice,
    class: Class,
    /// Its place in the order of its class.
    tick: u64,
    /// Bytes of records given out.
    served: u64,
    /// The window behind it was asked for on its behalf.
    led: bool,
    /// It was read ahead, and nobody has come for it yet.
    new: bool,
}

enum State {
    Loading(Rc<Load>, Class),
    Resident(Resident),
}

struct Entry {
    /// Bytes of memory behind it, reserved when its load begins.
    memory: usize,
    state: State,
}

/// The windows, within a budget of memory that is never exceeded.
///
/// Two lists, each by last use. Windows of class `Once` go first, so readers that pass by do not push out
/// what others share. `Shared` windows have at most half of the budget; beyond it the one that was not
/// used for the longest time becomes `Once`.
pub(super) struct Windows {
    budget: usize,
    memory: usize,
    /// Memory of the windows that are being loaded: they cannot go.
    loading: usize,
    /// Memory of those that were read ahead, and that nobody has come for yet.
    new: usize,
    shared: usize,
    entries: BTreeMap<Key, Entry>,
    once_order: BTreeMap<u64, Key>,
    shared_order: BTreeMap<u64, Key>,
    tick: u64,
}

impl Windows {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            memory: 0,
            loading: 0,
            new: 0,
            shared: 0,
            entries: BTreeMap::new(),
            once_order: BTreeMap::new(),
            shared_order: BTreeMap::new(),
            tick: 0,
        }
    }

    /// Bytes of memory behind all windows, those that are being loaded included.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether the window is in memory, or on its way.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.entries.contains_key(&key)
    }

    /// The load that the window waits for.
    pub(super) fn loading(&self, key: Key) -> Option<Rc<Load>> {
        match &self.entries.get(&key)?.state {
            State::Loading(load, _) => Some(Rc::clone(load)),
            State::Resident(_) => None,
        }
    }

    fn resident(&mut self, key: Key) -> Option<&mut Resident> {
        match &mut self.entries.get_mut(&key)?.state {
            State::Loading(..) => None,
            State::Resident(resident) => Some(resident),
        }
    }

    /// The window's bytes if it is in memory and reaches to `end`. Its last use stays as it was.
    pub(super) fn peek(&self, key: Key, end: u64) -> Option<Slice> {
        match &self.entries.get(&key)?.state {
            State::Resident(found) if key.start() + found.bytes.len() as u64 >= end => {
                Some(found.bytes.clone())
            }
            State::Resident(_) | State::Loading(..) => None,
        }
    }

    /// The window's bytes if it is in memory and reaches to `end`. It counts as used.
    pub(super) fn take(&mut self, key: Key, end: u64) -> Option<Slice> {
        let bytes = self.peek(key, end)?;
        self.place(key, None);
        self.no_longer_new(key);
        Some(bytes)
    }

    /// Somebody has come for the window.
    pub(super) fn no_longer_new(&mut self, key: Key) {
        let Some(Entry { memory, state: State::Resident(resident) }) = self.entries.get_mut(&key)
        else {
            return;
        };
        if std::mem::take(&mut resident.new) {
            self.new -= *memory;
        }
    }

    /// Whether half of the budget would be windows that wait for their readers, or are on their way, with so many more:
    /// what is read ahead then may have to go before its reader comes.
    pub(super) fn are_many_new(&self, more: u64) -> bool {
        let more = usize::try_from(more).expect("a few") * WINDOW;
        self.loading + self.new + more >= self.budget / 2
    }

    /// Notes that records of `bytes` bytes were given out of the window. Once it has given out more than
    /// it holds, several readers must be at it: a single one needs each byte once.
    pub(super) fn served(&mut self, key: Key, bytes: u64) {
        self.no_longer_new(key);
        let Some(resident) = self.resident(key) else {
            return;
        };
        resident.served += bytes;
        if resident.served > resident.bytes.len() as u64 && resident.class == Class::Once {
            self.place(key, Some(Class::Shared));
        }
    }

    /// True once for each window that is in memory together with the one before it: a reader comes along,
    /// and the window behind should be read.
    pub(super) fn leads(&mut self, key: Key) -> bool {
        let comes_along = key.before().is_some_and(|before| self.contains(before));
        let Some(resident) = self.resident(key).filter(|_| comes_along) else {
            return false;
        };
        !std::mem::replace(&mut resident.led, true)
    }

    /// Takes back [`Windows::leads`]: nothing could be read ahead.
    pub(super) fn lead_again(&mut self, key: Key) {
        if let Some(resident) = self.resident(key) {
            resident.led = false;
        }
    }

    /// Makes room for a window that `load` will bring; what there is of it goes. False when the windows
    /// that are being loaded take up the budget; nothing is changed then.
    pub(super) fn reserve(
        &mut self,
        key: Key,
        memory: usize,
        class: Class,
        load: &Rc<Load>,
    ) -> bool {
        assert!(memory > 0 && memory <= WINDOW, "a window is reserved");
        assert!(self.loading(key).is_none(), "a window is loaded once at a time");
        if self.loading + memory > self.budget {
            return false;
        }
        self.drop_window(key);
        while self.memory + memory > self.budget {
            self.evict();
        }
        self.memory += memory;
        self.loading += memory;
        let state = State::Loading(Rc::clone(load), class);
        self.entries.insert(key, Entry { memory, state });
        self.check();
        true
    }

    /// What `load` brought, before anybody asked if `new`. Ignored when the window was forgotten meanwhile.
    pub(super) fn settle(&mut self, key: Key, load: &Rc<Load>, bytes: Option<Slice>, new: bool) {
        let Some(Entry { memory, state: State::Loading(awaited, class) }) = self.entries.get(&key)
        else {
            return;
        };
        if !Rc::ptr_eq(awaited, load) {
            return;
        }
        let (memory, class) = (*memory, *class);
        let Some(bytes) = bytes else {
            return self.drop_window(key);
        };
        assert!(bytes.len() <= memory, "memory was reserved for all of it");
        self.loading -= memory;
        self.new += if new { memory } else { 0 };
        self.tick += 1;
        let tick = self.tick;
        let resident = Resident { bytes, class: Class::Once, tick, served: 0, led: false, new };
        self.entries.insert(key, Entry { memory, state: State::Resident(resident) });
        self.once_order.insert(tick, key);
        if class == Class::Shared {
            self.place(key, Some(class));
        }
        self.check();
    }

    /// Moves a window to the end of its class, or of `class`.
    fn place(&mut self, key: Key, class: Option<Class>) {
        self.tick += 1;
        let tick = self.tick;
        let Some(Entry { memory, state: State::Resident(resident) }) = self.entries.get_mut(&key)
        else {
            return;
        };
        let (memory, before) = (*memory, (resident.class, resident.tick));
        let class = class.unwrap_or(resident.class);
        (resident.class, resident.tick) = (class, tick);
        self.unlist(before, key, memory);
        match class {
            Class::Once => drop(self.once_order.insert(tick, key)),
            Class::Shared => {
                self.shared += memory;
                self.shared_order.insert(tick, key);
                self.bound_shared();
            }
        }
    }

    /// The least used of the shared windows lose their rank while these have more than half of the budget.
    fn bound_shared(&mut self) {
        while self.shared > self.budget / 2 {
            let (_, key) = self.shared_order.first_key_value().expect("they have memory");
            self.place(*key, Some(Class::Once));
        }
    }

    fn unlist(&mut self, (class, tick): (Class, u64), key: Key, memory: usize) {
        let listed = match class {
            Class::Once => self.once_order.remove(&tick),
            Class::Shared => {
                self.shared -= memory;
                self.shared_order.remove(&tick)
            }
        };
        assert!(listed == Some(key), "a window in memory is in the list of its class");
    }

    fn evict(&mut self) {
        let first = self.once_order.first_key_value().or(self.shared_order.first_key_value());
        let (_, key) = first.expect("what is not being loaded can go");
        self.drop_window(*key);
    }

    /// Drops a window that is in memory.
    pub(super) fn distrust(&mut self, key: Key) {
        if self.resident(key).is_some() {
            self.drop_window(key);
        }
    }

    /// Drops a window, or the place that was reserved for it.
    fn drop_window(&mut self, key: Key) {
        let Some(Entry { memory, state }) = self.entries.remove(&key) else {
            return;
        };
        self.memory -= memory;
        match state {
            State::Loading(..) => self.loading -= memory,
            State::Resident(old) => {
                self.new -= if old.new { memory } else { 0 };
                self.unlist((old.class, old.tick), key, memory);
            }
        }
        self.check();
    }

    /// Drops the windows of `file` that reach beyond `from`.
    pub(super) fn forget(&mut self, file: FileId, from: u64) {
        let last = Key { file, number: u64::MAX };
        let gone: Vec<Key> =
            self.entries.range(Key::of(file, from)..=last).map(|(key, _)| *key).collect();
        for key in gone {
            self.drop_window(key);
        }
    }

    fn check(&self) {
        assert!(self.memory <= self.budget, "the cache keeps to its budget");
        assert!(self.loading + self.new <= self.memory && self.shared <= self.memory);
        let listed = self.once_order.len() + self.shared_order.len();
        assert!(listed <= self.entries.len());
        assert!(!self.entries.is_empty() || self.memory == 0, "no window, no memory");
    }
}
