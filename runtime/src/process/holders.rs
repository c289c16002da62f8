//! Who has a TCP port.

use std::collections::BTreeSet;
use std::fs;

use super::find::{Process, process};

/// The state of a socket that listens, as the kernel writes it.
const LISTENS: &str = "0A";

/// Who has a TCP port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder {
    /// The process; `None` if it is another user's, and has not told root.
    pub process: Option<Process>,
    /// It listens there; otherwise it is a connection that has this port on our side.
    pub listens: bool,
}

/// Who has `port`, on whatever address of this host: those that listen first. Empty if it is free by now, and where the kernel
/// does not tell. Reads files under /proc: some 10 ms.
pub fn port_holders(port: u16) -> Vec<PortHolder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: BTreeSet<(bool, u64)> =
        tables.iter().flatten().flat_map(|table| sockets_at(table, port)).collect();
    let inodes = sockets.iter().map(|(_, inode)| *inode).collect();
    let owners = owners(&inodes);
    let mut holders = Vec::new();
    for (waits, inode) in sockets {
        let owner = owners.iter().find(|(of, _)| *of == inode);
        let holder =
            PortHolder { process: owner.map(|(_, process)| process.clone()), listens: !waits };
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    holders
}

/// The sockets of a table that have this port on our side: whether one does not listen, and its inode. Those that a process has
/// closed have none.
fn sockets_at(table: &str, port: u16) -> Vec<(bool, u64)> {
    let end = format!(":{port:04X}");
    let socket = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        let inode: u64 = fields.nth(5)?.parse().ok()?;
        (local.ends_with(&end) && inode != 0).then_some((state != LISTENS, inode))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// The processes that have these sockets open, as far as they can be looked at.
fn owners(inodes: &BTreeSet<u64>) -> Vec<(u64, Process)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut owners = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let open =
            files.flatten().filter_map(|file| socket_inode(&fs::read_link(file.path()).ok()?));
        let held: BTreeSet<u64> = open.filter(|inode| inodes.contains(inode)).collect();
        if let Some(process) = process(pid).filter(|_| !held.is_empty()) {
            owners.extend(held.into_iter().map(|inode| (inode, process.clone())));
        }
    }
    owners
}

/// Of `socket:[4711]`.
fn socket_inode(target: &std::path::Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_table_of_sockets_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:9FCF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:9FCF 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
            2: 0100007F:1F90 0100007F:9FCF 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 20 4 30 10 -1\n\
            3: 0100007F:9FCF 0100007F:1F91 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1\n";
        assert_eq!(sockets_at(table, 40911), [(false, 4711), (true, 4712)]);
        assert_eq!(sockets_at(table, 8080), [(true, 4713)]);
        assert_eq!(sockets_at("sl\n garbage\n", 40911), []);
    }

    #[test]
    fn this_process_is_found_by_its_ports() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let found = port_holders(addr.port());
        let own = |holder: &PortHolder| holder.process.as_ref().map(|process| process.pid);
        assert_eq!(found.iter().map(own).collect::<Vec<_>>(), [Some(std::process::id())]);
        assert!(found[0].listens);
        let connection = TcpStream::connect(addr).expect("it listens");
        let port = connection.local_addr().expect("it is connected").port();
        let found = port_holders(port);
        assert_eq!(found.iter().map(own).collect::<Vec<_>>(), [Some(std::process::id())]);
        assert!(!found[0].listens, "it goes out");
        drop((listener, connection));
    }
}
