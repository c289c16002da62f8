//! A link between two sites on which everything takes its time, where the kernel has no netem.
//!
//! Each site's bridge has a port that packs whole frames into datagrams (VXLAN) and sends them to a namespace between the
//! sites. There a program keeps each for as long as it takes, and sends it on. Nothing but the time differs from a cable:
//! connections are those of the two ends.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::{TRUNK, ip};
use crate::harness::failure::{Failure, Trying, Verdict};

/// Where VXLAN goes by default.
const PORT: u16 = 4789;
/// Packets that wait in one direction; what is more is lost, as in any router.
const WAITING: usize = 4096;
/// A frame of 1,500 bytes, and what is around it.
const PACKED: &str = "1600";
/// So often one after the other nothing is received because of what earlier datagrams met; more often there is another reason.
const FAILURES: usize = WAITING;
/// The longest datagram there is.
const LONGEST: usize = 65_535;

/// One end: the address of the bridge, that of the program, and the name of its link in the namespace between.
#[derive(Debug)]
pub(super) struct End {
    bridge: &'static str,
    relay: &'static str,
    link: &'static str,
}

/// Both ends.
pub(super) const ENDS: [End; 2] = [
    End { bridge: "192.168.1.1", relay: "192.168.1.2", link: "site0" },
    End { bridge: "192.168.2.1", relay: "192.168.2.2", link: "site1" },
];

/// Makes the port of one site's bridge, and the link from there to the namespace between.
pub(super) fn build_end(switch: &str, between: &str, end: &End) -> Verdict {
    let here = |args: &[&str]| ip(&[&["-n", switch][..], args].concat());
    here(&["link", "add", "way", "type", "veth", "peer", "name", end.link, "netns", between])?;
    // Through a bridge of one port: a veth by itself says that it makes checksums of packed frames, and never does.
    here(&["link", "add", "road", "type", "bridge"])?;
    here(&["link", "set", "way", "mtu", PACKED, "master", "road", "up"])?;
    here(&["link", "set", "road", "mtu", PACKED, "up"])?;
    here(&["address", "add", &format!("{}/30", end.bridge), "dev", "road"])?;
    let port = PORT.to_string();
    let vxlan = ["type", "vxlan", "id", "1", "remote", end.relay, "dstport", &port];
    here(&[&["link", "add", TRUNK][..], &vxlan].concat())?;
    // Frames as long as they are on a cable: no datagram holds what is to be cut up later.
    here(&["link", "set", TRUNK, "mtu", "1500", "gso_max_segs", "1"])?;
    ip(&["-n", between, "address", "add", &format!("{}/30", end.relay), "dev", end.link])?;
    ip(&["-n", between, "link", "set", end.link, "mtu", PACKED, "up"])
}

/// Passes datagrams on between both ends until it is killed. `words` has one: microseconds that each is kept.
///
/// # Errors
/// Another word, or the addresses are not there.
pub fn run(words: &[String]) -> Verdict {
    let late = match words {
        [word] => word.parse().ok().map(Duration::from_micros),
        _ => None,
    };
    let wrong = || Failure::Wrong(format!("the wire takes microseconds, not {words:?}"));
    let late = late.ok_or_else(wrong)?;
    let bind = |end: &End| {
        UdpSocket::bind((end.relay, PORT)).map(Arc::new).trying(format!("{}:{PORT}", end.relay))
    };
    let [one, other] = [bind(&ENDS[0])?, bind(&ENDS[1])?];
    let (end, ended) = mpsc::channel();
    pass((Arc::clone(&one), Arc::clone(&other)), ENDS[1].bridge, late, end.clone());
    pass((other, one), ENDS[0].bridge, late, end);
    // With one direction the other is of no use.
    let why =
        ended.recv().map_err(|_| Failure::Wrong("a thread of the wire panicked".to_owned()))?;
    Err(why).trying("receiving packets between the sites")
}

/// One direction: a thread that receives, and one that sends when it is time.
fn pass(
    (from, to): (Arc<UdpSocket>, Arc<UdpSocket>),
    bridge: &'static str,
    late: Duration,
    end: mpsc::Sender<io::Error>,
) {
    let (queue, waiting) = mpsc::sync_channel(WAITING);
    thread::spawn(move || send(&waiting, &to, bridge));
    // Nobody listens any more if the other direction has ended before.
    thread::spawn(move || drop(end.send(receive(&from, &queue, late))));
}

/// Receives until it cannot; why that is.
fn receive(from: &UdpSocket, queue: &SyncSender<(Instant, Vec<u8>)>, late: Duration) -> io::Error {
    let (mut buffer, mut failures) = (vec![0; LONGEST], 0);
    loop {
        match from.recv(&mut buffer) {
            Ok(length) => {
                failures = 0;
                drop(queue.try_send((Instant::now() + late, buffer[..length].to_vec())));
            }
            // What an earlier datagram met at the other end is told here, and is no news.
            Err(_) if failures < FAILURES => failures += 1,
            Err(error) => return error,
        }
    }
}

fn send(waiting: &Receiver<(Instant, Vec<u8>)>, to: &UdpSocket, bridge: &str) {
    for (due, datagram) in waiting {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        drop(to.send_to(&datagram, (bridge, PORT)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_takes_a_number_and_nothing_else() {
        for words in [&[][..], &["x".to_owned()], &["1".to_owned(), "2".to_owned()]] {
            assert!(run(words).unwrap_err().to_string().contains("microseconds"), "{words:?}");
        }
    }

    #[test]
    fn a_socket_that_fails_for_good_ends_its_direction() {
        let (queue, _waiting) = mpsc::sync_channel(WAITING);
        let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
        deaf.set_nonblocking(true).unwrap();
        let why = receive(&deaf, &queue, Duration::ZERO);
        assert_eq!(why.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_datagram_is_kept_for_its_time_and_comes_whole() {
        let late = Duration::from_millis(20);
        let (queue, waiting) = mpsc::sync_channel(WAITING);
        let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let at = from.local_addr().unwrap();
        thread::spawn(move || receive(&from, &queue, late));
        let begin = Instant::now();
        to.send_to(b"a frame", at).unwrap();
        let (due, datagram) = waiting.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(due >= begin + late);
        assert_eq!(datagram, b"a frame");
    }
}
