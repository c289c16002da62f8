//! The end of a history: nothing happens any more, so everything must go on by itself, and all that was seen must be true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use broker::shard::identity::shard_dir;
use runtime::Executor;

use crate::clients::stock::{Stock, pause};
use crate::clients::{crowd, operator, producer, watcher};
use crate::content::{Queue, TOPICS, addr_of, name_of};
use crate::history::History;
use crate::invariants::replicas;
use crate::machine::{Disk, Machine, ip};
use crate::outcome::Outcome;
use crate::rot::segments;

/// Time in which each group has a leader, and all members are registered everywhere.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);
/// Time in which every queue has taken a message.
const SENT_LIMIT: Duration = Duration::from_secs(60);
/// Time in which consumers have everything: a lock of which nobody knows whether it was given back holds for a minute.
const CONSUMED_LIMIT: Duration = Duration::from_secs(180);
/// Time in which all members have everything.
const SAME_LIMIT: Duration = Duration::from_secs(60);
/// Time in which what is under way is answered.
const UNDER_WAY: Duration = Duration::from_secs(12);
/// Time in which whoever is behind hears of what was set last.
const CATCH_UP: Duration = Duration::from_secs(3);
/// Time for which disks stand still when a crowd comes: less than what a leader's may before another one leads.
const CROWDED: Duration = Duration::from_millis(200);
/// Time to look into a store.
const INSPECT_LIMIT: Duration = Duration::from_secs(60);
/// Queues of a topic that a send has made.
const QUEUES: i32 = 4;

impl History {
    /// Network, disks, clocks and NameServers are well, and every broker runs that can.
    pub fn all_is_well(&mut self) {
        self.note("all is well from now on");
        self.network.mend(&self.sim);
        for names in &mut self.names {
            names.go_on();
            names.start();
        }
        for at in 0..self.machines.len() {
            let machine = &mut self.machines[at];
            machine.go_on();
            machine.node.shift_clock(0);
            machine.node.disk().heal();
            if machine.disk == Disk::Bad || self.plan.all_start_again || !machine.works() {
                machine.die(false);
            }
            if machine.disk == Disk::Bad {
                machine.disk = Disk::Well;
            }
            machine.refuses = None; // the others have what it lacks, and can be asked now
            self.slow[at] = false;
            self.machines[at].start();
        }
        self.tell_who_is_alone();
    }

    /// Groups have leaders, which are registered; queues take messages; consumers get them.
    pub fn goes_on(&mut self) {
        let (of, namesrvs) = ((self.plan.nodes, self.plan.shards), self.namesrvs.clone());
        let witness = self.witness.clone();
        let sure = self.machines.iter().filter(|machine| machine.disk == Disk::Well).count();
        let settled = self.clients.start("settled", move || async move {
            let stocks: Vec<Stock> =
                namesrvs.split(';').map(|names| Stock::new(names, &witness)).collect();
            while !is_settled(&stocks, of, sure).await {
                pause(100).await;
            }
        });
        self.join("each group has a leader that is registered", settled, SETTLED_LIMIT);
        let (stock, shards) = (self.stock(), self.plan.shards);
        let sent = self.clients.start("sent", move || async move {
            let stock = stock();
            for shard in 0..shards {
                for topic in TOPICS {
                    for id in 0..QUEUES {
                        takes(&stock, Queue { shard, topic, id }).await;
                    }
                }
            }
        });
        self.join("every queue takes a message", sent, SENT_LIMIT);
        self.crowds_come();
        self.witness.seen().is_over = true;
        self.run_for(UNDER_WAY);
        self.until("consumers have everything", CONSUMED_LIMIT, |history| {
            let seen = history.witness.seen();
            let queues = seen.places.queues();
            queues.iter().all(|queue| seen.delivered.end(*queue) >= seen.places.end(*queue))
        });
    }

    /// Each group answers more than it takes: what comes waits for disks that stand still for a moment.
    fn crowds_come(&mut self) {
        for shard in 0..self.plan.shards {
            for machine in &self.machines {
                machine.node.disk().stall(CROWDED);
            }
            let (stock, queue) = (self.stock(), Queue { shard, topic: TOPICS[0], id: 0 });
            let answered = self.clients.start("crowd", move || async move {
                let stock = stock();
                while !is_answered(&stock, queue).await {
                    pause(100).await;
                }
            });
            self.join("each group answers a crowd", answered, SENT_LIMIT);
        }
    }

    fn join<T: Send + 'static>(&mut self, what: &str, task: Executor<T>, limit: Duration) -> T {
        self.until(what, limit, |_| task.is_finished());
        task.join().expect("it has a result")
    }

    /// All members have the same, and that is what was seen.
    pub fn check(&mut self) {
        self.clients.crash();
        self.run_for(CATCH_UP);
        self.until("all members have applied the same", SAME_LIMIT, Self::have_applied_the_same);
        for at in self.members() {
            for shard in 0..self.plan.shards {
                let (addr, stock) = (addr_of(ip(at), shard), self.stock());
                let asked = self.clients.start("check", move || async move {
                    let stock = stock();
                    has_all(&stock, &addr, shard).await;
                });
                self.join(&format!("n{at} has all of shard {shard}"), asked, SAME_LIMIT);
            }
        }
        self.until("and once more", SAME_LIMIT, Self::have_applied_the_same); // a question for a group may have made it
        self.clients.crash();
        let in_order = self.dice.below(2) == 0;
        let sure = self.sure();
        for machine in &mut self.machines {
            match in_order {
                true => machine.stop(),
                false => machine.die(false),
            }
        }
        self.until("all have ended", SAME_LIMIT, |history| {
            sure.iter().all(|at| !history.machines[*at].lives())
        });
        for shard in 0..self.plan.shards {
            let logs: BTreeMap<_, _> = sure.iter().map(|at| (*at, self.rows(*at, shard))).collect();
            replicas::are_the_same(&logs);
        }
    }

    /// What they have come to was compared when they came to it.
    fn have_applied_the_same(&self) -> bool {
        let (members, seen) = (self.members(), self.witness.seen());
        (0..self.plan.shards).all(|shard| {
            let ends: BTreeSet<_> =
                members.iter().map(|at| seen.applied.last(shard, *at)).collect();
            ends.len() == 1 && !ends.contains(&None)
        })
    }

    /// Nodes whose groups know them: what rots on the disk of one it gets from the others when it is read.
    fn members(&self) -> Vec<usize> {
        let all = self.machines.iter().enumerate();
        all.filter(|(_, machine)| machine.disk != Disk::Wiped).map(|(at, _)| at).collect()
    }

    /// Nodes of whose disks nothing is lost.
    fn sure(&self) -> Vec<usize> {
        let all = self.machines.iter().enumerate();
        all.filter(|(_, machine)| machine.disk == Disk::Well).map(|(at, _)| at).collect()
    }

    /// The log of a shard, as it is on the disk of a node.
    fn rows(&self, at: usize, shard: u32) -> BTreeMap<u64, replicas::Row> {
        let dir = shard_dir("/store".as_ref(), shard, self.plan.shards);
        let node = &self.machines[at].node;
        let inspecting = node.start("inspect", move || replicas::rows(dir));
        self.sim.join(inspecting, INSPECT_LIMIT).unwrap()
    }

    pub fn outcome(&self) -> Outcome {
        let seen = self.witness.seen();
        let queues = seen.places.queues().into_iter();
        Outcome {
            acknowledged: seen.acknowledged,
            consumed: seen.delivered.count,
            groups: self.plan.shards as usize,
            terms: seen.leaders.terms(),
            settings: seen.settings.acknowledged,
            locks: seen.locks.granted,
            looks: seen.routes.looks,
            compared: seen.applied.compared,
            busy: seen.bounded.busy,
            longest: queues.map(|queue| seen.places.end(queue)).max().unwrap_or(0),
            segments: self.machines.iter().map(segments_of).max().unwrap_or(0),
            trace: self.sim.trace_hash(),
        }
    }
}

fn segments_of(machine: &Machine) -> usize {
    segments(&machine.node.disk()).count()
}

/// Whether each group has a leader, and each NameServer its address and those of `sure` members at least.
async fn is_settled(stocks: &[Stock], (nodes, shards): (usize, u32), sure: usize) -> bool {
    for shard in 0..shards {
        let Some(leader) = watcher::leader(&stocks[0], nodes, shard).await else { return false };
        for stock in stocks {
            let Some(Ok(info)) = stock.bounded(stock.client.cluster_info()).await else {
                return false;
            };
            let Some(said) = info.broker_addr_table.get(&name_of(shard)) else { return false };
            if said.broker_addrs.get(&0) != Some(&leader.addr) || said.broker_addrs.len() < sure {
                return false;
            }
        }
    }
    true
}

/// Sends to a queue until a message is acknowledged.
async fn takes(stock: &Stock, queue: Queue) {
    loop {
        if let Some(addr) = stock.master_of(queue).await
            && producer::send_to(stock, &addr, queue).await.is_some()
        {
            return;
        }
        pause(100).await;
    }
}

/// Whether all of a crowd at the leader have an answer.
async fn is_answered(stock: &Stock, queue: Queue) -> bool {
    match stock.master_of(queue).await {
        Some(addr) => crowd::is_answered(stock, &addr, queue).await,
        None => false,
    }
}

/// A member has all messages of its group, and all settings; it may be late.
async fn has_all(stock: &Stock, addr: &str, shard: u32) {
    let queues = stock.witness.seen().places.queues();
    for queue in queues.into_iter().filter(|queue| queue.shard == shard) {
        let (mut at, end) = (0, stock.witness.seen().places.end(queue));
        while at < end {
            match stock.pull(addr, queue, at).await {
                Some((next, got)) if !got.is_empty() => at = next,
                _ => pause(50).await,
            }
        }
        let after = stock.witness.seen().places.end(queue);
        assert_eq!(after, end, "{addr} has more of {queue:?} than consumers were given");
    }
    let settings = stock.witness.seen().settings.all();
    for (_, name) in settings.into_iter().filter(|(of, _)| *of == shard) {
        let told = loop {
            match operator::told(stock, addr, name).await {
                Some(told) => break told,
                None => pause(50).await,
            }
        };
        stock.witness.seen().settings.is_told(shard, name, told);
    }
}
