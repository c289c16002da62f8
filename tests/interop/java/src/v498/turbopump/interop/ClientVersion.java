package turbopump.interop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** What differs between the client releases: here 4.9.8. */
final class ClientVersion {
    static final Map<String, Check> CHECKS = new TreeMap<>();

    static {
        CHECKS.put("order", Order::check);
        CHECKS.put("tags", Tags::check);
        CHECKS.put("outage", Outage::check);
    }

    private ClientVersion() {
    }

    static void createTopic(DefaultMQProducer producer, String topic, int queues) throws MQClientException {
        producer.createTopic("TBW102", topic, queues);
    }
}
