//! A NameServer on a machine of its own.

use std::net::{Ipv4Addr, SocketAddr};

use runtime::sim::{Node, Simulation};

const PORT: u16 = 9876;

pub struct NameServer {
    pub node: Node,
    pub runs: bool,
    pub stands_still: bool,
}

impl NameServer {
    pub fn new(sim: &Simulation, at: usize) -> Self {
        let node = sim.node(&format!("names{at}"), ip(at));
        Self { node, runs: false, stands_still: false }
    }

    pub fn addr(&self) -> SocketAddr {
        (self.node.ip(), PORT).into()
    }

    /// It knows nothing at first.
    pub fn start(&mut self) {
        if std::mem::replace(&mut self.runs, true) {
            return;
        }
        let listen = self.addr();
        let run = move || async move {
            let config = namesrv::Config { listen, ..namesrv::Config::default() };
            let _server = namesrv::start(config).await.expect("the port is free");
            std::future::pending::<()>().await;
        };
        drop(self.node.start("namesrv", run));
    }

    pub fn die(&mut self) {
        self.node.crash();
        (self.runs, self.stands_still) = (false, false);
    }

    pub fn stand_still(&mut self) {
        self.node.pause();
        self.stands_still = true;
    }

    pub fn go_on(&mut self) {
        if std::mem::take(&mut self.stands_still) {
            self.node.resume();
        }
    }
}

fn ip(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, 1 + at as u8)
}
