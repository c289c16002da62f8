//! Brokers that are stopped and started again while they are probed.

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bench::args::{Command, CommandLine, Failover};
use bench::failover::{Deed, Leader, Operator, Outages, failover, failover_by};
use bench::interrupts::Interrupts;
use bench::report::{Document, Screen, markdown, page};
use bench::study::Session;
use bench::{BenchError, Findings};
use clap::Parser;
use runtime::sim::Simulation;
use runtime::{Placement, Spec};
use support::{BROKER, Fake, Fault};
use transport::{Limits, Server};

/// Longest time of one test: virtual in the simulation, real on sockets.
const LIMIT: Duration = Duration::from_secs(120);

fn simulated<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(31);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let executor = node.start("test", move || test(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, LIMIT).expect("the run ends in time");
}

fn args(line: &[&str], namesrv: &Fake) -> Failover {
    let namesrv = namesrv.addr();
    let first = ["mqbench", "failover", "-t", "T", "-n", &namesrv, "--fault", "down"];
    let line = first.iter().chain(line).copied();
    match CommandLine::try_parse_from(line).expect("good flags").command {
        Command::Failover(args) => args,
        _ => panic!("failover"),
    }
}

fn session() -> Session {
    Session { interrupts: Interrupts::default(), screen: Screen::new(false, None) }
}

/// A broker that can be stopped, and started again with what it had; its NameServer, on another port, goes on.
struct Switch {
    names: Rc<Fake>,
    _names: Server,
    broker: Rc<Fake>,
    server: RefCell<Option<Server>>,
    /// Messages of each queue that do not survive a stop.
    forgets: usize,
    /// What else happens when it is stopped.
    twist: Twist,
}

/// What happens at a fault besides.
enum Twist {
    Nothing,
    /// Somebody ends the run.
    Interrupt(Interrupts),
    /// The command says that it failed.
    Fail,
}

const STRUCK: &str = "struck";

impl Switch {
    async fn new(addr: SocketAddr, forgets: usize) -> Switch {
        let (names_server, names) = Fake::start(addr, 100_000, Fault::None).await;
        let (server, broker) = Fake::start(addr, 100_000, Fault::None).await;
        let switch = Switch {
            names,
            _names: names_server,
            broker,
            server: RefCell::new(Some(server)),
            forgets,
            twist: Twist::Nothing,
        };
        switch.register();
        switch
    }

    fn register(&self) {
        *self.names.others.borrow_mut() = vec![(STRUCK.to_owned(), self.broker.addr())];
    }

    fn stop(&self) {
        drop(self.server.take());
        self.names.others.borrow_mut().clear();
        for ((topic, id), queue) in self.broker.queues.borrow_mut().iter_mut() {
            queue.truncate(queue.len().saturating_sub(self.forgets));
            let end = u64::try_from(queue.len()).expect("few messages");
            self.broker.offsets.borrow_mut().insert((topic.clone(), *id), end);
        }
    }

    async fn start(&self) {
        let addr = self.broker.addr.get().expect("it has listened");
        let bound = Server::bind(addr, Limits::default(), self.broker.clone()).await;
        let server = bound.expect("the port is free");
        server.serve();
        self.server.replace(Some(server));
        self.register();
    }
}

impl Operator for Switch {
    async fn pid_of(&self, leader: &Leader) -> Result<Option<u32>, String> {
        Ok(Some(100 + leader.number))
    }

    async fn act(&self, deed: Deed, leader: &Leader) -> Result<(), String> {
        assert_eq!((leader.broker.as_str(), leader.addr.clone()), (STRUCK, self.broker.addr()));
        match deed {
            Deed::Fault => self.stop(),
            Deed::Heal => self.start().await,
        }
        match (&self.twist, deed) {
            (Twist::Interrupt(interrupts), Deed::Fault) => interrupts.count_one(),
            (Twist::Fail, Deed::Fault) => return Err("it did not go well".to_owned()),
            _ => {}
        }
        Ok(())
    }
}

const TWICE: [&str; 12] = [
    "--heal",
    "up",
    "--heal-after",
    "1s",
    "--broker",
    STRUCK,
    "--times",
    "2",
    "--every",
    "3s",
    "--settle",
    "500ms",
];

#[test]
fn a_broker_that_is_stopped_and_started_has_a_window_and_the_others_go_on() {
    simulated(|addr| async move {
        let switch = Switch::new(addr, 0).await;
        let args = args(&TWICE, &switch.names);
        let outages = failover_by(&session(), &args, &switch).await.expect("a run");
        assert_eq!(outages.verdict(), None, "{outages}");
        assert_eq!(outages.groups, [BROKER, STRUCK]);
        assert_eq!((outages.struck.all_ms.len(), outages.struck.open), (2, 0), "{outages}");
        assert!(outages.struck.all_ms.iter().all(|window| *window > 1000.0), "{outages}");
        let [first, second] = &outages.faults[..] else { panic!("two faults: {outages}") };
        assert!(second.at_s - first.at_s >= 3.0 && first.heal_at_s >= Some(first.at_s + 1.0));
        assert_eq!((first.pid, second.pid), (Some(101), Some(102)));
        // Nobody takes over, and the one that was struck leads again when it is there again.
        assert_eq!(outages.unmoved, [1, 2], "{outages}");
        for fault in [first, second] {
            assert_eq!(
                (&fault.addr_after, fault.addr_after_heal.as_ref()),
                (&None, Some(&fault.addr))
            );
        }
        assert_eq!(outages.led_back.all_ms.len(), 2, "{outages}");
        for fault in [first, second] {
            let [other, struck] = &fault.groups[..] else { panic!("two groups: {outages}") };
            assert_eq!((other.is_struck, other.failed), (false, 0), "{outages}");
            assert!(struck.is_struck && struck.failed > 150, "{outages}");
            let quiet = other.window_ms;
            assert!(struck.window_ms > quiet && struck.after_fault_ms > quiet, "{outages}");
            let told: u64 = fault.errors_by_code.iter().map(|kind| kind.count).sum();
            assert_eq!(told, struck.failed);
        }
        let audit = outages.audit.expect("it is always made");
        assert_eq!((audit.lost, audit.twice, audit.looked_for), (0, 0, outages.acked));
        assert_eq!(outages.sent, outages.acked + outages.errors);
    });
}

/// One that leads in two places in turn: at a fault the route names the other place, and at its heal the first one again.
struct Turns {
    switch: Switch,
    /// Both addresses of the broker, which has its messages at both.
    addrs: [String; 2],
    _second: Server,
}

impl Turns {
    async fn new(addr: SocketAddr) -> Turns {
        let switch = Switch::new(addr, 0).await;
        let bound = Server::bind(addr, Limits::default(), switch.broker.clone()).await;
        let second = bound.expect("a free port");
        let addrs = [switch.broker.addr(), second.local_addr().to_string()];
        second.serve();
        Turns { switch, addrs, _second: second }
    }
}

impl Operator for Turns {
    async fn pid_of(&self, _: &Leader) -> Result<Option<u32>, String> {
        Ok(None)
    }

    async fn act(&self, deed: Deed, leader: &Leader) -> Result<(), String> {
        assert_eq!(leader.addr, self.addrs[0], "the first place leads again before the next fault");
        let place = usize::from(deed == Deed::Fault);
        let led_by = (STRUCK.to_owned(), self.addrs[place].clone());
        *self.switch.names.others.borrow_mut() = vec![led_by];
        Ok(())
    }
}

#[test]
fn who_leads_after_a_fault_and_after_its_heal_is_recorded() {
    simulated(|addr| async move {
        let turns = Turns::new(addr).await;
        let line = [&TWICE[..], &["--new-leader"]].concat();
        let args = args(&line, &turns.switch.names);
        let outages = failover_by(&session(), &args, &turns).await.expect("a run");
        assert_eq!((outages.verdict(), outages.unmoved.as_slice()), (None, &[][..]), "{outages}");
        let [first, second] = &turns.addrs;
        for fault in &outages.faults {
            assert_eq!(fault.addr, *first);
            assert_eq!(
                (fault.addr_after.as_ref(), fault.addr_after_heal.as_ref()),
                (Some(second), Some(first))
            );
        }
        assert_eq!((outages.faults.len(), outages.led_back.all_ms.len()), (2, 2), "{outages}");
    });
}

#[test]
fn what_a_restart_forgets_is_found() {
    simulated(|addr| async move {
        let switch = Switch::new(addr, 3).await;
        let args = args(&TWICE, &switch.names);
        let outages = failover_by(&session(), &args, &switch).await.expect("a run");
        // Three messages in each of eight queues, twice, but for those whose acknowledgement was cut off; their offsets are
        // given again.
        assert!((40..=48).contains(&outages.broken.lost), "{outages}");
        assert!((40..=48).contains(&outages.broken.offsets_not_rising), "{outages}");
        assert!(outages.verdict().is_some_and(|verdict| verdict.contains("promises")));
    });
}

#[test]
fn a_broker_that_stays_away_ends_the_run_and_its_window_is_open() {
    simulated(|addr| async move {
        let switch = Switch::new(addr, 0).await;
        let line = ["--broker", STRUCK, "--settle", "500ms", "--wait", "5s", "--times", "1"];
        let args = args(&line, &switch.names);
        let outages = failover_by(&session(), &args, &switch).await.expect("a run");
        let verdict = outages.verdict().expect("it failed");
        assert!(verdict.contains("after fault 1") && verdict.contains("--wait"), "{verdict}");
        assert_eq!((outages.faults.len(), outages.struck.open), (1, 1), "{outages}");
        assert!(outages.struck.worst_ms > Some(4000.0), "{outages}");
        assert_eq!(outages.faults[0].heal_at_s, None);
    });
}

#[test]
fn a_group_that_has_no_such_name_or_too_few_brokers_is_told() {
    simulated(|addr| async move {
        let switch = Switch::new(addr, 0).await;
        let wrong = args(&["--broker", "nobody"], &switch.names);
        let error = failover_by(&session(), &wrong, &switch).await.expect_err("no such group");
        assert!(matches!(&error, BenchError::NoSuchGroup { .. }), "{error}");
        assert!(error.to_string().contains("nobody"), "{error}");
        let three = args(&["--members", "3", "--wait", "2s", "--settle", "100ms"], &switch.names);
        let outages = failover_by(&session(), &three, &switch).await.expect("a run");
        let verdict = outages.verdict().expect("it did not begin");
        assert!(verdict.contains("1 of 3") && verdict.contains("--members"), "{verdict}");
        assert!(outages.faults.is_empty() && outages.acked > 0, "{outages}");
    });
}

#[test]
fn a_fault_that_was_made_is_healed_whatever_happens() {
    simulated(|addr| async move {
        let mut switch = Switch::new(addr, 0).await;
        let ended = session();
        switch.twist = Twist::Interrupt(ended.interrupts.clone());
        let args = args(&TWICE, &switch.names);
        let outages = failover_by(&ended, &args, &switch).await.expect("a run");
        assert!(outages.interrupted && outages.faults[0].heal_at_s.is_some(), "{outages}");
        assert_eq!((outages.faults.len(), outages.verdict()), (1, None), "{outages}");
        assert!(switch.server.borrow().is_some());
        switch.twist = Twist::Fail;
        let outages = failover_by(&session(), &args, &switch).await.expect("a run");
        assert_eq!(outages.verdict().as_deref(), Some("it did not go well"));
        assert!(outages.faults.len() == 1 && outages.faults[0].heal_at_s.is_some(), "{outages}");
        assert!(switch.server.borrow().is_some());
    });
}

#[test]
fn the_same_seed_gives_the_same_windows() {
    let windows = || {
        let simulation = Simulation::new(7);
        let node = simulation.node("node", [10, 0, 0, 1].into());
        let executor = node.start("test", || async {
            let switch = Switch::new(([10, 0, 0, 1], 0).into(), 0).await;
            let args = args(&TWICE, &switch.names);
            failover_by(&session(), &args, &switch).await.expect("a run").json()
        });
        simulation.join(executor, LIMIT).expect("the run ends in time")
    };
    assert_eq!(windows(), windows());
}

/// Stops and starts the broker as a file says.
async fn follow(switch: Rc<Switch>, down: PathBuf) {
    loop {
        let shall_be_down = runtime::fs::exists(&down).await.expect("the directory is there");
        let is_down = switch.server.borrow().is_none();
        match (is_down, shall_be_down) {
            (false, true) => switch.stop(),
            (true, false) => switch.start().await,
            _ => {}
        }
        runtime::sleep(Duration::from_millis(5)).await;
    }
}

/// The commands are the shell's, the sockets real, and the result goes everywhere that results go.
#[test]
fn commands_make_the_faults_over_sockets() {
    let spec = Spec { name: "bench-test".into(), placement: Placement::Any, busy_poll: None };
    let test = || async {
        let switch = Rc::new(Switch::new(([127, 0, 0, 1], 0).into(), 0).await);
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let down = dir.join(format!("failover-down-{}", runtime::process::pid()));
        let following = runtime::spawn(follow(switch.clone(), down.clone()));
        let path = down.display();
        let fault = format!("test \"$LEADER_BROKER$LEADER_PID\" = {STRUCK}7 && touch {path}");
        let (heal, pid_of) = (format!("rm {path}"), "echo 7");
        let mut args = args(&TWICE, &switch.names);
        args.fault = fault;
        args.heal = Some(heal);
        args.pid_of = Some(pid_of.to_owned());
        let outages = failover(&session(), &args).await.expect("a run");
        drop(following);
        seen(outages);
    };
    let bounded = move || async move { runtime::timeout(LIMIT, test()).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

fn seen(outages: Outages) {
    assert_eq!(outages.verdict(), None, "{outages}");
    let struck: Vec<_> = outages.faults.iter().map(|fault| fault.broker.as_str()).collect();
    assert_eq!((struck, outages.struck.open), (vec![STRUCK; 2], 0));
    assert!(outages.struck.all_ms.iter().all(|window| *window > 100.0), "{outages}");
    let findings = Findings::Outages(Box::new(outages));
    let document = Document::read("failover", &findings.value()).expect("a result to plot");
    assert!(page("t", std::slice::from_ref(&document)).contains("class=\"probes\""));
    assert!(markdown(&document).contains("window of the group that was struck"));
}
