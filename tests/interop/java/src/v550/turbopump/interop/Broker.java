package turbopump.interop;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.body.LockBatchRequestBody;
import org.apache.rocketmq.remoting.protocol.body.UnlockBatchRequestBody;
import org.apache.rocketmq.remoting.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;

/** Single requests that the client library otherwise sends only as a part of something larger. */
final class Broker {
    private static final long TIMEOUT_MILLIS = 10_000;
    private final MQClientAPIImpl requests;

    private Broker(MQClientAPIImpl requests) {
        this.requests = requests;
    }

    /** Through the connections of a started producer. */
    @SuppressWarnings("deprecation")
    static Broker through(DefaultMQProducer producer) {
        MQClientInstance client = producer.getDefaultMQProducerImpl().getMqClientFactory();
        return new Broker(client.getMQClientAPIImpl());
    }

    /** The NameServer's answer itself; an unknown topic is an MQClientException with code 17. */
    TopicRouteData route(String topic) throws Exception {
        return requests.getTopicRouteInfoFromNameServer(topic, TIMEOUT_MILLIS);
    }

    /** Addresses of all brokers that serve the topic. */
    TreeSet<String> addresses(String topic) throws Exception {
        TreeSet<String> addresses = new TreeSet<>();
        for (BrokerData data : route(topic).getBrokerDatas()) {
            addresses.add(data.selectBrokerAddr());
        }
        return addresses;
    }

    String address(MessageQueue queue) throws Exception {
        for (BrokerData data : route(queue.getTopic()).getBrokerDatas()) {
            if (data.getBrokerName().equals(queue.getBrokerName())) {
                return data.selectBrokerAddr();
            }
        }
        throw new IllegalStateException("no address for " + queue);
    }

    void createTopic(String address, TopicConfig topic) throws Exception {
        requests.createTopic(address, "TBW102", topic, TIMEOUT_MILLIS);
    }

    /** On every broker that serves it, then at every NameServer: the order of Apache's deleteTopic tool. */
    void deleteTopic(Run run, String topic) throws Exception {
        for (String address : addresses(topic)) {
            requests.deleteTopicInBroker(address, topic, TIMEOUT_MILLIS);
        }
        for (String namesrv : run.namesrv.split(";")) {
            requests.deleteTopicInNameServer(namesrv, topic, TIMEOUT_MILLIS);
        }
    }

    /** Asks for locks as a client `clientId` would; returns the queues it holds now. */
    TreeSet<MessageQueue> lock(String group, String clientId, List<MessageQueue> queues) throws Exception {
        TreeSet<MessageQueue> locked = new TreeSet<>();
        for (String name : Run.brokerNames(queues)) {
            LockBatchRequestBody body = new LockBatchRequestBody();
            body.setConsumerGroup(group);
            body.setClientId(clientId);
            body.setMqSet(of(name, queues));
            locked.addAll(requests.lockBatchMQ(address(queues, name), body, TIMEOUT_MILLIS));
        }
        return locked;
    }

    void unlock(String group, String clientId, List<MessageQueue> queues) throws Exception {
        for (String name : Run.brokerNames(queues)) {
            UnlockBatchRequestBody body = new UnlockBatchRequestBody();
            body.setConsumerGroup(group);
            body.setClientId(clientId);
            body.setMqSet(of(name, queues));
            requests.unlockBatchMQ(address(queues, name), body, TIMEOUT_MILLIS, false);
        }
    }

    /** What the broker says to a consumer that asks where to start; code 22 if it says "not found". */
    long startingOffset(String group, MessageQueue queue, boolean zeroIfYoung) throws Exception {
        QueryConsumerOffsetRequestHeader header = new QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        header.setBrokerName(queue.getBrokerName());
        header.setSetZeroIfNotFound(zeroIfYoung);
        return requests.queryConsumerOffset(address(queue), header, TIMEOUT_MILLIS);
    }

    private String address(List<MessageQueue> queues, String name) throws Exception {
        return address(of(name, queues).iterator().next());
    }

    private static Set<MessageQueue> of(String brokerName, Collection<MessageQueue> queues) {
        Set<MessageQueue> own = new TreeSet<>(queues);
        own.removeIf(queue -> !queue.getBrokerName().equals(brokerName));
        return own;
    }
}
