package turbopump.interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** The plainest use: 100 messages sent, then read by a push consumer. For clusters of servers of two makers. */
final class Swap {
    private Swap() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        int each = run.intOption("count", 100) / queues.size();
        Map<MessageQueue, List<Letter>> sent = Post.send(run, producer, queues, 0, each);
        Mailbox mailbox = new Mailbox();
        Order.inOrderConsumer(run, run.name("g"), topic, mailbox);
        run.awaitCount(30, "messages consumed", Post.count(sent), mailbox::total);
        sent.forEach((queue, letters) -> mailbox.checkQueue(run, queue, letters, 0));
    }
}
