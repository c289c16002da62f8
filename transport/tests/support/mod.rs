//! What the tests need around a connection: both backends, an echoing service, a raw peer.
#![allow(dead_code, reason = "each test file uses its part")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use remoting::{Command, CommandRef, ResponseHead, frame};
use runtime::sim::Simulation;
use runtime::{Placement, ReadHalf, Spec, TcpStream, WriteHalf};
use transport::{Connection, Limits, Serve, Server};

/// Longest time of one test: virtual in the simulation, real on the sockets.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the test in a simulation, and on real sockets. It gets the address to bind.
pub fn everywhere<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    in_simulation(7, test.clone());
    on_sockets(test);
}

/// Runs the test in a simulation; the fingerprint of what happened.
pub fn in_simulation<F, Fut>(seed: u64, test: F) -> u64
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let executor = node.start("test", move || test(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, LIMIT).expect("the simulated run ends in time");
    simulation.trace_hash()
}

/// Runs the test on real sockets.
pub fn on_sockets<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let spec = Spec { name: "transport-test".into(), placement: Placement::Any, busy_poll: None };
    let bounded =
        move || async move { runtime::timeout(LIMIT, test(([127, 0, 0, 1], 0).into())).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

/// Answers a request with its own body and fields. Code 2 is never answered, code 3 on `release`, code 4 with as many bytes
/// as the remark of the request says.
#[derive(Default)]
pub struct Echo {
    pub requests: Cell<usize>,
    pub opened: Cell<usize>,
    pub closed: Cell<usize>,
    pub held: RefCell<Vec<(Connection, i32)>>,
}

impl Serve for Echo {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        self.requests.set(self.requests.get() + 1);
        let head =
            ResponseHead { code: 0, opaque: request.opaque, remark: None, ext: &request.ext };
        match request.code {
            2 => {}
            3 => self.held.borrow_mut().push((connection.clone(), request.opaque)),
            4 => {
                let bytes = request.ext.get("bytes").and_then(|text| text.parse().ok());
                let bytes: usize = bytes.expect("the test says how many");
                connection.respond_parts(&head, bytes, |out| out.resize(out.len() + bytes, 7));
            }
            _ => connection.respond(&head, &body),
        }
    }

    fn on_open(&self, _: &Connection) {
        self.opened.set(self.opened.get() + 1);
    }

    fn on_close(&self, _: &Connection) {
        self.closed.set(self.closed.get() + 1);
    }
}

impl Echo {
    pub fn release(&self) {
        for (connection, opaque) in self.held.borrow_mut().drain(..) {
            let head = ResponseHead { code: 0, opaque, remark: None, ext: &() };
            connection.respond(&head, b"late");
        }
    }
}

pub async fn server(addr: SocketAddr, limits: Limits) -> (Server, Rc<Echo>) {
    let echo = Rc::new(Echo::default());
    let server = Server::bind(addr, limits, echo.clone()).await.expect("a free port");
    server.serve();
    (server, echo)
}

/// A peer without a transport: bytes in, bytes out.
pub struct Raw {
    pub receive: ReadHalf,
    pub send: WriteHalf,
    pub buffer: BytesMut,
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Raw {
        let (receive, send) = TcpStream::connect(addr).await.expect("a connection").into_split();
        Raw { receive, send, buffer: BytesMut::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("the peer takes it");
    }

    /// The next frame; `None` when the peer has closed.
    pub async fn next(&mut self) -> Option<Command> {
        next(&mut self.receive, &mut self.buffer).await
    }
}

pub async fn next(receive: &mut ReadHalf, buffer: &mut BytesMut) -> Option<Command> {
    loop {
        if let Some(range) = frame::split(buffer, remoting::MAX_FRAME).expect("a frame") {
            let bytes = buffer.split_to(range.end()).freeze();
            return Some(Command::from_frame(&bytes, &range).expect("a command"));
        }
        match receive.read(buffer, 64 * 1024).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub fn encoded(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out).expect("a small command");
    out
}

pub fn request(code: i32, opaque: i32, body: &[u8]) -> Command {
    Command { opaque, ..Command::request(code).with_body(body.to_vec()) }
}

/// Waits, in small steps, until `done`; fails after ten seconds.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        runtime::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}
