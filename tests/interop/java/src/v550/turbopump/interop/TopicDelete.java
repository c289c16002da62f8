package turbopump.interop;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** A topic that was deleted has no route; made again it is empty, and the groups that read it start anew. */
@SuppressWarnings("deprecation")
final class TopicDelete {
    private static final int BEFORE = 30;
    private static final int AFTER = 7;

    private TopicDelete() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Broker broker = Broker.through(producer);
        String topic = run.name("t");
        String group = run.name("g");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        consume(run, group, topic, Post.send(run, producer, queues, 0, BEFORE));
        for (MessageQueue queue : queues) {
            run.same((long) BEFORE, broker.startingOffset(group, queue, true), "offset before the deletion in " + queue);
        }

        broker.deleteTopic(run, topic);
        Refused.with(run, Refused.TOPIC_NOT_EXIST, "route of a deleted topic", () -> broker.route(topic));
        run.createTopic(producer, topic);
        DefaultMQPullConsumer pull = run.pullConsumer(run.name("p"));
        for (MessageQueue queue : queues) {
            run.same(0L, pull.minOffset(queue), "smallest offset of the new " + queue);
            run.same(0L, pull.maxOffset(queue), "largest offset of the new " + queue);
            run.same(PullStatus.NO_NEW_MSG, pull.pull(queue, "*", 0, 32).getPullStatus(), "pull from the new " + queue);
            Refused.with(run, Refused.QUERY_NOT_FOUND, "offset after the deletion in " + queue,
                () -> broker.startingOffset(group, queue, false));
        }
        Map<MessageQueue, List<Letter>> sent = Post.send(run, producer, queues, 0, AFTER);
        consume(run, group, topic, sent);
        consume(run, run.name("new"), topic, sent);
    }

    /** The group sees exactly these and is gone afterwards, its offsets committed. */
    private static void consume(Run run, String group, String topic, Map<MessageQueue, List<Letter>> sent)
            throws Exception {
        Mailbox mailbox = new Mailbox();
        DefaultMQPushConsumer consumer = Order.inOrderConsumer(run, group, topic, mailbox);
        run.awaitCount(30, "messages consumed by " + group, Post.count(sent), mailbox::total);
        sent.forEach((queue, letters) -> mailbox.checkQueue(run, queue, letters, 0));
        consumer.shutdown();
    }
}
