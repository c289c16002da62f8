package turbopump.interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Two broadcasting consumers of one group both get all messages, and leave no offset at the broker. */
final class Broadcast {
    private static final int EACH = 50;

    private Broadcast() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        String group = run.name("g");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        DefaultMQPushConsumer one = Subscriber.broadcasting(run, group);
        DefaultMQPushConsumer two = Subscriber.broadcasting(run, group);
        Mailbox ofOne = Subscriber.start(one, topic, "*");
        Mailbox ofTwo = Subscriber.start(two, topic, "*");
        Map<MessageQueue, List<Letter>> sent = Order.sendToEach(run, producer, queues, EACH);

        int total = Post.count(sent);
        run.awaitCount(30, "messages consumed by the first consumer", total, ofOne::total);
        run.awaitCount(10, "messages consumed by the second consumer", total, ofTwo::total);
        Post.checkEachOnce(run, Post.all(sent), ofOne);
        Post.checkEachOnce(run, Post.all(sent), ofTwo);
        one.shutdown();
        two.shutdown();
        Broker broker = Broker.through(producer);
        for (MessageQueue queue : queues) {
            Refused.with(run, Refused.QUERY_NOT_FOUND, "offset of a broadcasting group in " + queue,
                () -> broker.startingOffset(group, queue, false));
        }
    }
}
