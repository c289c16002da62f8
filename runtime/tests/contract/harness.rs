//! Runs one test of the suite on one backend.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use runtime::sim::Simulation;
use runtime::{Placement, Spec};

/// Time that one test may take, real or virtual.
const LIMIT: Duration = Duration::from_secs(20);

/// Seeds that each test runs under.
const SEEDS: std::ops::Range<u64> = 1..9;

/// What a test may use.
#[derive(Clone)]
pub struct Env {
    /// An empty directory.
    pub dir: PathBuf,
    /// An address of this host that others could reach.
    pub ip: IpAddr,
}

impl Env {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Any free port.
    pub fn any_port(&self) -> SocketAddr {
        SocketAddr::new(self.ip, 0)
    }
}

pub fn on_uring<F, Fut>(name: &str, test: F)
where
    F: FnOnce(Env) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("contract-{name}-{}", std::process::id()));
    // What a killed run has left.
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(&dir).unwrap();
    let env = Env { dir: dir.clone(), ip: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let spec = Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, move || async move {
        runtime::timeout(LIMIT, test(env)).await.expect("the test hangs");
    });
    let result = executor.unwrap().join();
    std::fs::remove_dir_all(&dir).unwrap();
    result.unwrap();
}

pub fn on_sim<F, Fut>(test: F)
where
    F: FnOnce(Env) -> Fut + Send + Copy + 'static,
    Fut: Future<Output = ()> + 'static,
{
    on_sim_disk(None, test);
}

/// On a plain thread of a simulated process; the same seed must give the same trace.
pub fn on_sim_thread(test: fn()) {
    for seed in SEEDS {
        let trace = || {
            let sim = Simulation::new(seed);
            sim.node("n0", Ipv4Addr::new(10, 0, 0, 1)).thread(test);
            sim.trace_hash()
        };
        assert_eq!(trace(), trace(), "two traces under seed {seed}");
    }
}

/// On a disk of so many bytes.
pub fn on_small_sim<F, Fut>(bytes: u64, test: F)
where
    F: FnOnce(Env) -> Fut + Send + Copy + 'static,
    Fut: Future<Output = ()> + 'static,
{
    on_sim_disk(Some(bytes), test);
}

/// On a file system of so many bytes in memory. Where the machine lets nobody mount one the test is skipped by name,
/// except under `CI=true` if we are root: there it can be made.
pub fn on_small_uring<F, Fut>(bytes: u64, test: F)
where
    F: FnOnce(Env) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("contract-small-disk-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "turbopump-test"])
        .arg(&dir)
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        std::fs::remove_dir(&dir).unwrap();
        let must = std::env::var("CI").is_ok_and(|value| value == "true") && is_root();
        assert!(!must, "no small disk can be mounted, although we are root");
        eprintln!("skipped: small_disk::uring needs to mount a tmpfs, which takes root");
        return;
    }
    let mount = Mount(dir.clone());
    let env = Env { dir, ip: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let spec = Spec { name: "small-disk".to_owned(), placement: Placement::Any, busy_poll: None };
    let executor = runtime::start(spec, move || async move {
        runtime::timeout(LIMIT, test(env)).await.expect("the test hangs");
    });
    let result = executor.unwrap().join();
    drop(mount);
    result.unwrap();
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A mounted file system; unmounted when dropped, also by a panic.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: an executor that has panicked may still hold a file.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(std::fs::remove_dir(&self.0));
    }
}

fn on_sim_disk<F, Fut>(bytes: Option<u64>, test: F)
where
    F: FnOnce(Env) -> Fut + Send + Copy + 'static,
    Fut: Future<Output = ()> + 'static,
{
    for seed in SEEDS {
        let sim = Simulation::new(seed);
        let ip = Ipv4Addr::new(10, 0, 0, 1);
        let node = sim.node("n0", ip);
        if let Some(bytes) = bytes {
            node.disk().resize(bytes);
        }
        let env = Env { dir: PathBuf::from("/data"), ip: IpAddr::V4(ip) };
        let executor = node.start("test", move || async move {
            runtime::fs::create_dir_all(&env.dir).await.unwrap();
            test(env).await;
        });
        let result = sim.join(executor, LIMIT);
        assert!(result.is_ok(), "the test hangs under seed {seed}");
    }
}
