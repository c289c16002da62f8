package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A subscription of "TagA || Aa" sees these two tags only: not other tags, not messages without a tag, and not
 * "BB", which has the same hash as "Aa" and is sorted out by the client.
 */
final class Tags {
    private static final String[] TAGS = {"TagA", "Aa", "BB", "TagB", ""};

    private Tags() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        Mailbox early = subscribe(run, "early", topic, "TagA || Aa");
        int each = run.intOption("count", 500) / TAGS.length;
        send(run, producer, topic, queues, each);
        Mailbox late = subscribe(run, "late", topic, "TagA || Aa");
        Mailbox nothing = subscribe(run, "none", topic, "TagZ");

        TreeMap<String, Integer> wanted = new TreeMap<>();
        wanted.put("TagA", each);
        wanted.put("Aa", each);
        run.awaitCount(20, "messages seen by the consumer started before them", 2 * each, early::total);
        run.awaitCount(20, "messages seen by the consumer started after them", 2 * each, late::total);
        run.same(wanted, early.countBy("TAGS"), "tags seen by the consumer started before the messages");
        run.same(wanted, late.countBy("TAGS"), "tags seen by the consumer started after the messages");
        run.same(2 * each, late.uniqueIds().size(), "different message ids");
        run.same(0, nothing.total(), "messages seen by a subscription to a tag nobody used");
    }

    private static void send(Run run, DefaultMQProducer producer, String topic, List<MessageQueue> queues, int each)
            throws Exception {
        for (int i = 0; i < each * TAGS.length; i++) {
            Message message = new Message(topic, ("body " + i).getBytes());
            String tag = TAGS[i % TAGS.length];
            if (!tag.isEmpty()) {
                message.setTags(tag);
            }
            MessageQueue queue = queues.get(i % queues.size());
            Letter.of(message, queue, i).checkAccepted(run, producer.send(message, queue));
        }
    }

    private static Mailbox subscribe(Run run, String name, String topic, String expression) throws Exception {
        Mailbox mailbox = new Mailbox();
        DefaultMQPushConsumer consumer = run.consumer(run.name(name));
        consumer.subscribe(topic, expression);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            new ArrayList<>(messages).forEach(mailbox::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return mailbox;
    }
}
