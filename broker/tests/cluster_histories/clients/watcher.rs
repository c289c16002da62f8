//! Looks at who leads, and at what NameServers say of that.

use std::time::Duration;

use client::ClientError;
use remoting::RequestCode;
use remoting::body::{Body, ClusterInfo, RaftGroupState};

use super::stock::Stock;
use crate::content::{addr_of, name_of};
use crate::invariants::routes::Leader;
use crate::machine::ip;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// The same, once nothing is sent any more.
const RARELY: Duration = Duration::from_secs(2);
/// Time for an answer.
const SHORT: Duration = Duration::from_millis(200);

/// Watches groups of so many nodes and shards, at these NameServers: one client for each.
pub async fn run(stocks: Vec<Stock>, (nodes, shards): (usize, u32)) {
    loop {
        let is_over = stocks[0].witness.seen().is_over;
        runtime::sleep(if is_over { RARELY } else { LOOK }).await;
        for shard in 0..shards {
            let Some(leader) = leader(&stocks[0], nodes, shard).await else { continue };
            for (names, stock) in stocks.iter().enumerate() {
                let Some(info) = info(stock).await else { continue };
                let said = info.broker_addr_table.get(&name_of(shard));
                let now = runtime::now();
                stock.witness.seen().routes.says((shard, names), said, &leader, now);
            }
        }
    }
}

/// What a NameServer knows.
async fn info(stock: &Stock) -> Option<ClusterInfo> {
    runtime::timeout(SHORT, stock.client.cluster_info()).await.ok()?.ok()
}

/// Who says that it leads a group, in the newest term; `None` if nobody does, or one of a newer term is not heard.
pub async fn leader(stock: &Stock, nodes: usize, shard: u32) -> Option<Leader> {
    let (mut newest, mut found) = (0, None);
    for node in 0..nodes {
        let addr = addr_of(ip(node), shard);
        let Some(Ok(state)) = state(stock, &addr).await else { continue };
        if state.role == "LEADER" {
            stock.witness.seen().leaders.leads(shard, state.term, node);
            if !state.cut_off && state.term >= newest {
                found = Some(Leader { node, addr, term: state.term });
            }
        }
        newest = newest.max(state.term);
    }
    found.filter(|leader: &Leader| leader.term == newest)
}

async fn state(stock: &Stock, addr: &str) -> Option<Result<RaftGroupState, ClientError>> {
    let asked = stock.client.ask(addr, RequestCode::GetRaftGroupState, &(), &[]);
    let answer = runtime::timeout(SHORT, asked).await.ok()?;
    Some(answer.map(|answer| RaftGroupState::decode(&answer.body).expect("a state")))
}
