package turbopump.interop;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * KeptOffsets outlive their consumers and the broker, in two phases with the same run id. `offsets1` sends everything;
 * a push group and a pull group consume the first half of it and commit. `offsets2`, after a restart of the broker,
 * expects for both groups the second half and nothing else.
 */
@SuppressWarnings("deprecation")
final class KeptOffsets {
    /** Messages in each queue: the push group stops once in the middle of the first half. */
    private static final int QUARTER = 25;
    private static final int HALF = 2 * QUARTER;

    private KeptOffsets() {
    }

    static void first(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = run.createTopic(producer, name(run, "t"));
        pushPart(run, producer, queues, 0);
        pushPart(run, producer, queues, QUARTER);
        Post.send(run, producer, queues, HALF, HALF);
        pullHalf(run, queues);
    }

    static void second(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = run.awaitQueues(producer, name(run, "t"),
            Run.QUEUES_PER_BROKER * Run.brokerNames(producer.fetchPublishMessageQueues("TBW102")).size());
        DefaultMQPullConsumer pull = run.pullConsumer(name(run, "pull"));
        for (MessageQueue queue : queues) {
            run.same((long) HALF, pull.fetchConsumeOffset(queue, true), "offset of the pull group in " + queue);
            run.same(2L * HALF, pull.maxOffset(queue), "largest offset of " + queue);
        }
        pull.shutdown();
        for (String group : new String[] {"push", "pull"}) {
            Mailbox mailbox = new Mailbox();
            Order.inOrderConsumer(run, name(run, group), name(run, "t"), mailbox);
            run.awaitCount(30, "messages left for the " + group + " group", HALF * queues.size(), mailbox::total);
            for (MessageQueue queue : queues) {
                checkRange(run, mailbox.of(queue), queue, HALF, HALF);
            }
        }
    }

    /** A consumer of its own each time: it gets the new messages, none that an earlier one had. */
    private static void pushPart(Run run, DefaultMQProducer producer, List<MessageQueue> queues, int first)
            throws Exception {
        Map<MessageQueue, List<Letter>> sent = Post.send(run, producer, queues, first, QUARTER);
        Mailbox mailbox = new Mailbox();
        DefaultMQPushConsumer consumer = Order.inOrderConsumer(run, name(run, "push"), name(run, "t"), mailbox);
        run.awaitCount(30, "messages for the push group from " + first, Post.count(sent), mailbox::total);
        sent.forEach((queue, letters) -> mailbox.checkQueue(run, queue, letters, first));
        consumer.shutdown();
    }

    /** Reads the first half although the second is there, and commits where it stopped. */
    private static void pullHalf(Run run, List<MessageQueue> queues) throws Exception {
        DefaultMQPullConsumer consumer = run.pullConsumer(name(run, "pull"));
        for (MessageQueue queue : queues) {
            Mailbox mailbox = new Mailbox();
            long offset = 0;
            while (offset < HALF) {
                PullResult result = consumer.pull(queue, "*", offset, (int) Math.min(32, HALF - offset));
                if (result.getPullStatus() != PullStatus.FOUND) {
                    run.fail("pull at " + offset + " from " + queue + ": expected FOUND, saw " + result);
                    return;
                }
                result.getMsgFoundList().forEach(mailbox::add);
                offset = result.getNextBeginOffset();
            }
            checkRange(run, mailbox.of(queue), queue, 0, HALF);
            consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, HALF, false);
        }
        consumer.shutdown();
    }

    /** The offsets in order, and the sequence number that was written into each message. */
    private static void checkRange(Run run, List<MessageExt> seen, MessageQueue queue, int first, int count) {
        Map<Long, String> wanted = new TreeMap<>();
        Map<Long, String> found = new LinkedHashMap<>();
        for (int i = first; i < first + count; i++) {
            wanted.put((long) i, Integer.toString(i));
        }
        seen.forEach(message -> found.put(message.getQueueOffset(), message.getProperty("sequence")));
        run.same(wanted, found, "messages by offset from " + queue);
        run.same(count, seen.size(), "messages from " + queue);
    }

    /** The same in both phases. */
    private static String name(Run run, String part) {
        return "it-offsets-" + part + "-" + run.id;
    }
}
