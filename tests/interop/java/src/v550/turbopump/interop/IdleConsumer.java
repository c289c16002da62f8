package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A message that is sent while consumers idle arrives within 2 s, also after their pulls were held to the end once
 * (15 s), and also for a consumer whose pull was woken by messages with other tags.
 */
final class IdleConsumer {
    private static final int LIMIT_MILLIS = 2_000;
    private static final int[] IDLE_MILLIS = {1_500, 100, 700, 16_500, 1_000};

    private IdleConsumer() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        DefaultMQPushConsumer all = run.consumer(run.name("all"));
        DefaultMQPushConsumer some = run.consumer(run.name("some"));
        Mailbox ofAll = Subscriber.start(all, topic, "*");
        Mailbox ofSome = Subscriber.start(some, topic, "wanted");
        run.await(20, "both consumers have all queues", () -> Subscriber.queuesOf(all, topic) == queues.size()
            && Subscriber.queuesOf(some, topic) == queues.size());
        List<Letter> sent = new ArrayList<>();
        List<Letter> wanted = new ArrayList<>();
        for (int i = 0; i < IDLE_MILLIS.length; i++) {
            Thread.sleep(IDLE_MILLIS[i]);
            MessageQueue queue = queues.get(i % queues.size());
            String after = " sent to " + queue + " after an idle time of " + IDLE_MILLIS[i] + " ms";
            sent.add(send(run, producer, queue, "other"));
            awaitFast(run, ofAll, sent.size(), "message with another tag" + after);
            sent.add(send(run, producer, queue, "wanted"));
            wanted.add(sent.get(sent.size() - 1));
            awaitFast(run, ofSome, wanted.size(), "message with the tag" + after);
            awaitFast(run, ofAll, sent.size(), "message" + after);
        }
        run.awaitCount(1, "messages seen by the consumer of all", sent.size(), ofAll::total);
        Post.checkEachOnce(run, sent, ofAll);
        Post.checkEachOnce(run, wanted, ofSome);
    }

    private static Letter send(Run run, DefaultMQProducer producer, MessageQueue queue, String tag) throws Exception {
        Letter letter = Letter.of(new Message(queue.getTopic(), tag, new byte[] {1, 2, 3}), queue, 0);
        letter.checkAccepted(run, producer.send(letter.message, queue));
        return letter;
    }

    private static void awaitFast(Run run, Mailbox mailbox, int count, String what) throws InterruptedException {
        long start = System.nanoTime();
        if (run.await(20, what, () -> mailbox.total() >= count)) {
            long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
            run.expect(millis < LIMIT_MILLIS, what + ": expected within " + LIMIT_MILLIS + " ms, saw " + millis);
        }
    }
}
