//! What clients and tools look up.

use std::collections::BTreeMap;

use remoting::ResponseCode;
use remoting::body::{BrokerData, ClusterInfo, QueueData, TopicList, TopicRouteData};
use remoting::header::DecodeExt;
use remoting::header::route::{ClusterHeader, DropTopicHeader, RouteHeader};

use super::answer::{Answer, Failure};
use super::{Request, State};
use crate::kv::ORDER_TOPICS;
use crate::routes::BrokerView;

impl State {
    /// 105. Broker ids are quoted for every client: all of them read that, and only some read bare ones.
    pub(super) fn route(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = RouteHeader::decode(request.code, &request.command.ext)?;
        if self.started.elapsed() < self.config.warm_up {
            return Err(Failure::new(ResponseCode::SystemError, "name server not ready"));
        }
        let Some(route) = self.routes.borrow().route(header.topic) else {
            let remark = format!(
                "No topic route info in name server for the topic: {}\nIs the topic created, and its broker registered here?",
                header.topic
            );
            return Err(Failure::new(ResponseCode::TopicNotExist, remark));
        };
        let order_topic_conf = match self.config.order_in_routes {
            true => self.kv.borrow().get(ORDER_TOPICS, header.topic).map(str::to_owned),
            false => None,
        };
        let queue = |(broker_name, queues): (String, crate::routes::Queues)| QueueData {
            broker_name,
            perm: queues.perm.0,
            read_queue_nums: queues.read,
            topic_sys_flag: queues.sys_flag,
            write_queue_nums: queues.write,
        };
        Ok(Answer::ok().with_body(&TopicRouteData {
            broker_datas: route.brokers.into_iter().map(broker).collect(),
            filter_server_table: BTreeMap::new(),
            order_topic_conf,
            queue_datas: route.queues.into_iter().map(queue).collect(),
            topic_queue_mapping_by_broker: None,
        }))
    }

    /// 106.
    pub(super) fn cluster_info(&self) -> Answer {
        let routes = self.routes.borrow();
        Answer::ok().with_body(&ClusterInfo {
            broker_addr_table: routes
                .brokers()
                .map(|view| (view.name.clone(), broker(view)))
                .collect(),
            cluster_addr_table: routes.clusters().clone(),
        })
    }

    /// 206.
    pub(super) fn all_topics(&self) -> Result<Answer, Failure> {
        permitted(self.config.list_all_topics, "enableAllTopicList")?;
        Ok(topic_list(self.routes.borrow().topics(), None))
    }

    /// 224.
    pub(super) fn topics_of_cluster(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        permitted(self.config.list_topics, "enableTopicList")?;
        let header = ClusterHeader::decode(request.code, &request.command.ext)?;
        Ok(topic_list(self.routes.borrow().topics_of_cluster(header.cluster), None))
    }

    /// 304.
    pub(super) fn system_topics(&self) -> Result<Answer, Failure> {
        permitted(self.config.list_topics, "enableTopicList")?;
        let routes = self.routes.borrow();
        let (names, addr) = routes.system_topics();
        Ok(topic_list(names, addr))
    }

    /// 216.
    pub(super) fn drop_topic(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = DropTopicHeader::decode(request.code, &request.command.ext)?;
        let cluster = header.cluster_name.filter(|name| !name.is_empty());
        if self.routes.borrow_mut().drop_topic(header.topic, cluster) {
            tracing::info!(topic = header.topic, cluster, peer = %request.connection.peer(), "topic removed");
        }
        Ok(Answer::ok())
    }
}

fn permitted(is: bool, key: &str) -> Result<(), Failure> {
    if is {
        return Ok(());
    }
    Err(Failure::new(
        ResponseCode::NoPermission,
        format!("disable: {key} is false on this NameServer"),
    ))
}

fn topic_list<'a>(names: impl IntoIterator<Item = &'a str>, addr: Option<&str>) -> Answer {
    Answer::ok().with_body(&TopicList {
        broker_addr: addr.map(str::to_owned),
        topic_list: names.into_iter().map(str::to_owned).collect(),
    })
}

fn broker(view: BrokerView) -> BrokerData {
    BrokerData {
        broker_addrs: view.addrs,
        broker_name: view.name,
        cluster: view.cluster,
        enable_acting_master: view.acting_master,
        zone_name: None,
    }
}
