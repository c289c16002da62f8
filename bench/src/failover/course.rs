//! The course of a run: wait until all is well, strike, heal, and again; then read everything back.

use std::time::Duration;

use super::leaders::Leaders;
use super::operator::{Deed, Leader, Operator};
use super::prober::{Group, Prober};
use super::result::{Healed, Outages, Record, Struck};
use crate::args::{Begin, Failover};
use crate::audit::{Findings, Ledger, Origin, read_back};
use crate::cluster::{Cluster, by_broker};
use crate::error::BenchError;
use crate::failures::Failures;
use crate::limits::{LOOK_EVERY, PROBES_MAX};
use crate::study::Session;

/// As [`failover`](super::failover), with somebody else who makes the faults.
///
/// # Errors
/// [`BenchError`] when it cannot begin.
pub async fn failover_by(
    session: &Session,
    args: &Failover,
    operator: &impl Operator,
) -> Result<Outages, BenchError> {
    let cluster = Cluster::new(&args.namesrv);
    let topics = [args.topic.clone()];
    let targets = cluster.for_producing(&topics, args.queues).await?.remove(0);
    let groups: Vec<Group> = targets
        .into_iter()
        .map(|target| Group { name: target.broker, queues: target.queues })
        .collect();
    if let Some(broker) = &args.broker
        && !groups.iter().any(|group| group.name == *broker)
    {
        let (topic, broker) = (args.topic.clone(), broker.clone());
        return Err(BenchError::NoSuchGroup { topic, broker });
    }
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let leaders = Leaders::new(&args.namesrv, &args.topic);
    leaders.read().await;
    let following = leaders.follow();
    let prober = Prober::start(args, groups, leaders.clone());
    let mut course = Course {
        session,
        args,
        operator,
        prober,
        leaders,
        names,
        quiet_from: Duration::ZERO,
        before: Failures::default(),
        struck: Vec::new(),
        last_deed: Duration::ZERO,
        trouble: None,
    };
    course.run().await;
    course.prober.stop().await;
    drop(following);
    Ok(course.end(&cluster).await)
}

struct Course<'a, O> {
    session: &'a Session,
    args: &'a Failover,
    operator: &'a O,
    prober: Prober,
    leaders: Leaders,
    /// Of the groups.
    names: Vec<String>,
    /// From when on all was well before the first fault.
    quiet_from: Duration,
    /// What failed before that.
    before: Failures,
    struck: Vec<Struck>,
    /// When the last command was over.
    last_deed: Duration,
    /// Why it ended early.
    trouble: Option<String>,
}

impl<O: Operator> Course<'_, O> {
    async fn run(&mut self) {
        self.session.screen.say("waiting until every probe is acknowledged");
        for number in 1..=self.args.times {
            if let Some(last) = self.struck.last() {
                let next = last.at + self.args.every;
                self.wait_until(|course| course.prober.now() >= next, Duration::MAX).await;
            }
            if !self.settle().await {
                return;
            }
            if number == 1 {
                self.quiet_from = self.prober.now() - self.args.settle;
            }
            if let Err(trouble) = self.strike(number).await {
                self.trouble = Some(trouble);
                return;
            }
        }
        self.settle().await;
    }

    /// Waits until `is_so`, for `limit` at most; whether it is. Not longer than the operator wants, nor than there is room for
    /// probes.
    async fn wait_until(&self, is_so: impl Fn(&Self) -> bool, limit: Duration) -> bool {
        let deadline = self.prober.now().saturating_add(limit);
        while !self.session.is_interrupted() && !self.prober.is_full() {
            if is_so(self) {
                return true;
            }
            if self.prober.now() >= deadline {
                return false;
            }
            runtime::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Waits until all is well, with as many brokers as there shall be; says what is not, if it is not in time.
    async fn settle(&mut self) -> bool {
        let is_well = |course: &Self| course.is_well() && course.missing().is_none();
        if self.wait_until(is_well, self.args.wait).await {
            return true;
        }
        if self.prober.is_full() {
            let text = format!("{PROBES_MAX} probes were sent, more are not remembered");
            self.trouble = Some(format!("{text}; take a lower --rate or fewer --times"));
        } else if !self.session.is_interrupted() {
            let (settle, wait) = (self.args.settle, self.args.wait);
            let what = self.missing().unwrap_or_else(|| {
                format!("not every probe was acknowledged for {settle:?} (--settle)")
            });
            let after = self.struck.last().map_or("before the first fault".to_owned(), |last| {
                format!("after fault {}", last.leader.number)
            });
            self.trouble = Some(format!("{after}: {what}, within {wait:?} (--wait)"));
        }
        false
    }

    /// Whether every probe has been acknowledged for long enough, since the last command too: it is felt only after a while.
    fn is_well(&self) -> bool {
        let Failover { settle, timeout, .. } = *self.args;
        let now = self.prober.now();
        now >= self.last_deed + settle + timeout
            && self.prober.book(|book| book.tracks.iter().all(|track| track.is_well(now, settle)))
    }

    /// What the route lacks.
    fn missing(&self) -> Option<String> {
        let wanted = usize::try_from(self.args.members.unwrap_or(0)).expect("a small number");
        let few = self.names.iter().find(|name| self.leaders.members(name) < wanted)?;
        let count = self.leaders.members(few);
        Some(format!("the route names {count} of {wanted} brokers of {few} (--members)"))
    }

    async fn strike(&mut self, number: u32) -> Result<(), String> {
        let leader = self.whom(number).await?;
        self.close_last();
        let at = self.prober.now();
        self.session.screen.say(&format!(
            "fault {number}: {} at {}, after {:.1} s",
            leader.broker,
            leader.addr,
            at.as_secs_f64()
        ));
        let unix_ms = runtime::unix_millis();
        let acted = self.operator.act(Deed::Fault, &leader).await;
        self.last_deed = self.prober.now();
        let took = self.last_deed - at;
        self.struck.push(Struck { unix_ms, ..Struck::new(leader.clone(), at, took) });
        if self.args.heal.is_none() {
            return acted;
        }
        if acted.is_ok() {
            self.wait_for_heal(at).await;
        }
        let led_by = self.leaders.leader(&leader.broker);
        let heal_at = self.prober.now();
        let healed = self.operator.act(Deed::Heal, &leader).await;
        self.last_deed = self.prober.now();
        let last = self.struck.last_mut().expect("pushed above");
        let took = self.last_deed - heal_at;
        last.led_by = led_by;
        last.heal = Some(Healed { at: heal_at, took, led_by: None });
        acted.and(healed)
    }

    /// Until the time for it, or until all is well again.
    async fn wait_for_heal(&self, at: Duration) {
        match self.args.heal_after {
            Some(after) => {
                self.wait_until(|course| course.prober.now() >= at + after, Duration::MAX).await
            }
            None => self.wait_until(Self::is_well, self.args.wait).await,
        };
    }

    /// The leader that fault `number` strikes.
    async fn whom(&self, number: u32) -> Result<Leader, String> {
        let turn = usize::try_from(number - 1).expect("a small number") % self.names.len();
        let broker = self.args.broker.as_ref().unwrap_or(&self.names[turn]).clone();
        let addr = self.leaders.leader(&broker);
        let addr = addr.ok_or_else(|| format!("fault {number}: the route names no leader"))?;
        let leader = Leader { broker, addr, pid: None, number };
        let pid = self.operator.pid_of(&leader).await?;
        Ok(Leader { pid, ..leader })
    }

    /// What has failed until now belongs to the last fault, and who leads now is who led after all of it.
    fn close_last(&mut self) {
        let failures = self.prober.book(|book| {
            let tracks = book.tracks.iter_mut();
            tracks.map(|track| std::mem::take(&mut track.failures)).collect::<Vec<_>>()
        });
        assert_eq!(failures.len(), self.names.len(), "a track for each group");
        match self.struck.last_mut() {
            Some(last) => {
                let led_by = self.leaders.leader(&last.leader.broker);
                match &mut last.heal {
                    Some(heal) => heal.led_by = led_by,
                    None => last.led_by = led_by,
                }
                last.failures = failures;
            }
            None => failures.into_iter().for_each(|some| self.before.merge(some)),
        }
    }

    async fn end(mut self, cluster: &Cluster) -> Outages {
        self.close_last();
        let (tracks, ledgers, wrong_queue, latest) = self.prober.book(|book| {
            let tracks = std::mem::take(&mut book.tracks);
            (tracks, std::mem::take(&mut book.ledgers), book.wrong_queue, book.latest)
        });
        let mut audit = None;
        // A second Ctrl-C does without.
        if self.session.interrupts.count() < 2 {
            self.session.screen.say("reading back");
            match read_all(cluster, self.args, &self.names, ledgers).await {
                Ok(findings) => audit = Some(findings),
                Err(error) => {
                    let trouble = format!("nothing could be read back: {error}");
                    self.trouble.get_or_insert(trouble);
                }
            }
        }
        Outages::new(
            self.args,
            Record {
                tracks,
                struck: self.struck,
                before: self.before,
                quiet_from: self.quiet_from,
                audit,
                wrong_queue,
                latest,
                route_unanswered: self.leaders.unanswered(),
                trouble: self.trouble,
                interrupted: self.session.is_interrupted(),
            },
        )
    }
}

/// Reads all queues from their oldest message on.
async fn read_all(
    cluster: &Cluster,
    args: &Failover,
    groups: &[String],
    ledgers: Vec<Ledger>,
) -> Result<Findings, BenchError> {
    let targets = cluster.for_consuming(&args.topic).await?;
    // What nobody leads cannot be read, and is not lost for that.
    if let Some(away) = groups.iter().find(|group| !targets.iter().any(|t| t.broker == **group)) {
        let (topic, broker) = (args.topic.clone(), away.clone());
        return Err(BenchError::NoLeader { topic, broker });
    }
    let mut origins = Vec::new();
    for target in targets {
        let from = cluster.start_offsets(&target, &args.topic, &args.group, Begin::First).await?;
        let places = by_broker(&[vec![target]]);
        origins.extend(places.iter().flat_map(|place| Origin::of(place, &from)));
    }
    read_back(cluster, std::slice::from_ref(&args.topic), &args.group, &origins, ledgers).await
}
