package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages sent without asking for an answer: each arrives once. No order is promised between them. */
final class Oneway {
    /** Few enough that no broker's send queue is full, so that nothing may be lost. */
    private static final int UNDER_WAY = 100;

    private Oneway() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        DefaultMQPushConsumer consumer = run.consumer(run.name("g"));
        Mailbox mailbox = Subscriber.start(consumer, topic, "*");
        List<Letter> sent = new ArrayList<>();
        Random random = run.random(0);
        int count = run.intOption("count", 1_000);
        for (int i = 0; i < count; i++) {
            MessageQueue queue = queues.get(i % queues.size());
            Letter letter = Letter.write(topic, queue, i, 1_500, random);
            sent.add(letter);
            if (i / queues.size() % 2 == 0) {
                producer.sendOneway(letter.message, queue);
            } else {
                producer.sendOneway(letter.message, (all, message, wanted) -> (MessageQueue) wanted, queue);
            }
            if (sent.size() % UNDER_WAY == 0
                && !run.await(20, "oneway messages consumed: " + sent.size(), () -> mailbox.total() >= sent.size())) {
                break;
            }
        }
        run.awaitCount(20, "messages consumed", sent.size(), mailbox::total);
        Post.checkEachOnce(run, sent, mailbox);
        queues.forEach(queue -> Post.checkContiguous(run, queue, 0, mailbox));
    }
}
