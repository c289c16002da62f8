package turbopump.interop;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** What differs between the client releases: here 5.5.0, which runs every check. */
final class ClientVersion {
    static final Map<String, Check> CHECKS = new TreeMap<>();

    static {
        CHECKS.put("order", Order::check);
        CHECKS.put("tags", Tags::check);
        CHECKS.put("batch", Batch::check);
        CHECKS.put("oneway", Oneway::check);
        CHECKS.put("async", Async::check);
        CHECKS.put("bigbody", BodySizes::check);
        CHECKS.put("orderly", OrderlyGroup::check);
        CHECKS.put("broadcast", Broadcast::check);
        CHECKS.put("fromfirst", StartFrom::first);
        CHECKS.put("fromlast", StartFrom::last);
        CHECKS.put("fromtimestamp", StartFrom::timestamp);
        CHECKS.put("pull", PullConsumer::check);
        CHECKS.put("offsets1", KeptOffsets::first);
        CHECKS.put("offsets2", KeptOffsets::second);
        CHECKS.put("viewbyid", ViewById::check);
        CHECKS.put("autocreate", Autocreate::check);
        CHECKS.put("createtopic", CreateTopic::check);
        CHECKS.put("longpoll", IdleConsumer::check);
        CHECKS.put("topicdelete", TopicDelete::check);
        CHECKS.put("sendloop", ReceiptLoop::check);
        CHECKS.put("verify", Verify::check);
        CHECKS.put("twonames", TwoNames::check);
        CHECKS.put("swap", Swap::check);
        CHECKS.put("outage", Outage::check);
    }

    private ClientVersion() {
    }

    static void createTopic(DefaultMQProducer producer, String topic, int queues) throws MQClientException {
        producer.createTopic("TBW102", topic, queues, new HashMap<>());
    }
}
