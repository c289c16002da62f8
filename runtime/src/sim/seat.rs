//! What a running simulated task sees of the world.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;

use super::disk::{SimDisk, SimLock};
use super::faults::DiskOp;
use super::scheduler::ExecutorId;
use super::task::SimTask;
use super::timer::SimSleep;
use super::trace::Mark;
use super::world::{NodeState, Process, World};
use crate::clock::Instant;
use crate::executor::Executor;
use crate::fs::LockFailure;

/// Virtual time that a yield takes, so that a loop of yields lets time pass.
const YIELD: Duration = Duration::from_micros(1);

/// One executor, or one plain thread, of one process of one node.
pub(crate) struct Seat {
    pub(super) world: Rc<World>,
    pub(super) node: Rc<NodeState>,
    pub(super) process: Rc<Process>,
    /// Of a plain thread: the id of no executor.
    pub(super) executor: ExecutorId,
}

impl Seat {
    pub(crate) fn now(&self) -> Instant {
        self.world.now()
    }

    pub(crate) fn unix_millis(&self) -> u64 {
        self.world.unix_millis(&self.node)
    }

    pub(crate) fn with_rng<R>(&self, draw: impl FnOnce(&mut SmallRng) -> R) -> R {
        self.world.with_app_rng(draw)
    }

    pub(crate) fn sleep(&self, duration: Duration) -> SimSleep {
        SimSleep::new(&self.world, duration)
    }

    pub(crate) async fn yield_now(&self) {
        self.sleep(YIELD).await;
    }

    pub(crate) fn spawn<T: 'static>(
        self: &Rc<Seat>,
        future: impl Future<Output = T> + 'static,
    ) -> SimTask<T> {
        SimTask::spawn(self, future)
    }

    pub(crate) fn start<T, F, Fut>(&self, name: &str, f: F) -> Executor<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        self.world.start(&self.node, name, f)
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.world.block_on(&self.node, future)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) fn host_name(&self) -> String {
        self.node.name.clone()
    }

    pub(crate) fn ip(&self) -> Ipv4Addr {
        self.node.ip
    }

    /// One operation on the node's directories, which takes a little time.
    pub(crate) async fn disk_call<R>(
        &self,
        op: DiskOp,
        call: impl FnOnce(&SimDisk) -> io::Result<R>,
    ) -> io::Result<R> {
        self.disk_delay().await;
        self.world.mark(Mark::DiskName, u64::from(self.node.index));
        self.node.disk.attempt(op, &self.world)?;
        call(&self.node.disk)
    }

    pub(crate) async fn lock(&self, path: &Path) -> Result<SimLock, LockFailure> {
        self.disk_delay().await;
        SimLock::take(&self.node.disk, path, self.process.pid)
    }

    async fn disk_delay(&self) {
        let usual = self.world.delay(5, 60);
        self.sleep(self.node.disk.latency(&self.world, usual)).await;
    }

    pub(crate) async fn resolve(&self, host_port: &str) -> io::Result<Vec<SocketAddr>> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "not of the form host:port");
        let (host, port) = host_port.rsplit_once(':').ok_or_else(invalid)?;
        let port: u16 = port.parse().map_err(|_| invalid())?;
        self.sleep(self.world.delay(100, 2000)).await;
        let ip = match host {
            "localhost" => Some(Ipv4Addr::LOCALHOST),
            host => self.world.node_named(host).map(|node| node.ip),
        };
        Ok(ip.map(|ip| SocketAddr::new(IpAddr::V4(ip), port)).into_iter().collect())
    }
}
