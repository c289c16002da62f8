//! From requests to the table and back.

mod answer;
mod brokers;
mod kv;
mod lookups;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use remoting::{CommandRef, RequestCode};
use runtime::Instant;
use transport::{Connection, Serve, not_supported};

use crate::config::Config;
use crate::kv::Kv;
use crate::routes::{Gone, Left, Link, Moment, Routes, Rules};
use answer::{Answer, Failure};

/// The state of a NameServer and the answers to its requests. Owned by one executor.
pub(crate) struct State {
    config: Config,
    started: Instant,
    routes: RefCell<Routes>,
    kv: RefCell<Kv>,
    /// The connections that brokers have registered over.
    links: RefCell<BTreeMap<Link, Connection>>,
}

/// A request with what is needed to answer it.
struct Request<'a> {
    code: RequestCode,
    command: &'a CommandRef<'a>,
    body: &'a Bytes,
    connection: &'a Connection,
}

impl State {
    pub(crate) fn new(config: Config) -> State {
        let rules = Rules {
            acting_master: config.acting_master,
            registration_replaces_topics: config.registration_replaces_topics,
        };
        State {
            config,
            started: runtime::now(),
            routes: RefCell::new(Routes::new(rules)),
            kv: RefCell::default(),
            links: RefCell::default(),
        }
    }

    fn moment(&self) -> Moment {
        Moment(Duration::from_nanos(runtime::now().as_nanos()))
    }

    /// Removes the brokers that have been silent for too long, and closes their connections.
    pub(crate) fn expire(&self) {
        let left = self.routes.borrow_mut().expire(self.moment());
        for broker in &left {
            tell(broker, Gone::Silent);
            let connection = self.links.borrow_mut().remove(&broker.link);
            if let Some(connection) = connection {
                connection.close();
            }
        }
    }

    fn answer(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        use RequestCode as Code;
        match request.code {
            Code::GetRouteinfoByTopic => self.route(request),
            Code::RegisterBroker => self.register(request),
            Code::UnregisterBroker => self.unregister(request),
            Code::BrokerHeartbeat => self.heartbeat(request),
            Code::QueryDataVersion => self.query_data_version(request),
            Code::GetBrokerMemberGroup => self.member_group(request),
            Code::GetBrokerClusterInfo => Ok(self.cluster_info()),
            Code::GetAllTopicListFromNameserver => self.all_topics(),
            Code::GetTopicsByCluster => self.topics_of_cluster(request),
            Code::GetSystemTopicListFromNs => self.system_topics(),
            Code::DeleteTopicInNamesrv => self.drop_topic(request),
            Code::WipeWritePermOfBroker | Code::AddWritePermOfBroker => {
                self.permit_writing(request)
            }
            Code::PutKvConfig => self.put_kv(request),
            Code::GetKvConfig => self.read_kv(request),
            Code::DeleteKvConfig => self.delete_kv(request),
            Code::GetKvlistByNamespace => self.list_kv(request),
            _ => Err(Failure::NotServed),
        }
    }
}

impl Serve for State {
    fn on_request(&self, connection: &Connection, command: CommandRef<'_>, body: Bytes) {
        let Some(code) = RequestCode::from_code(command.code) else {
            return not_supported(connection, &command);
        };
        let request = Request { code, command: &command, body: &body, connection };
        match self.answer(&request) {
            Ok(answer) => answer.send(connection, command.opaque),
            Err(Failure::NotServed) => not_supported(connection, &command),
            Err(Failure::Answer { code, remark }) => {
                // What any client can cause is no line in an operator's log; a broker that is refused is.
                if request.code == RequestCode::RegisterBroker {
                    tracing::warn!(peer = %connection.peer(), request = %request.code, "{remark}");
                } else {
                    tracing::debug!(peer = %connection.peer(), request = %request.code, %code, "{remark}");
                }
                Answer::failed(code, remark).send(connection, command.opaque);
            }
        }
    }

    fn on_close(&self, connection: &Connection) {
        let link = link(connection);
        self.links.borrow_mut().remove(&link);
        for broker in self.routes.borrow_mut().disconnected(link) {
            tell(&broker, Gone::Disconnected);
        }
    }
}

fn link(connection: &Connection) -> Link {
    Link(connection.id().as_u64())
}

fn tell(broker: &Left, why: Gone) {
    let Left { process, name, id, .. } = broker;
    let (cluster, addr) = (&process.cluster, &process.addr);
    tracing::info!(%cluster, broker = %name, id, %addr, "broker removed: {why}");
}
