package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * DefaultMQPullConsumer: the queues of a topic, the bounds of a queue, offsets by time, and every status that a
 * pull can have.
 */
@SuppressWarnings("deprecation")
final class PullConsumer {
    private static final int COUNT = 70;
    private final Run run;
    private final DefaultMQPullConsumer consumer;
    private final MessageQueue queue;

    private PullConsumer(Run run, DefaultMQPullConsumer consumer, MessageQueue queue) {
        this.run = run;
        this.consumer = consumer;
        this.queue = queue;
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        DefaultMQPullConsumer consumer = run.pullConsumer(run.name("g"));
        run.same(new TreeSet<>(queues), new TreeSet<>(consumer.fetchSubscribeMessageQueues(topic)),
            "queues to subscribe to");
        MessageQueue queue = queues.get(queues.size() - 1);
        PullConsumer pull = new PullConsumer(run, consumer, queue);
        pull.checkBounds(0, 0);
        pull.checkNothing(0, PullStatus.NO_NEW_MSG, 0);
        pull.checkNothing(5, PullStatus.OFFSET_ILLEGAL, 0);

        List<Letter> sent = Post.send(run, producer, queue, 0, COUNT / 2);
        Thread.sleep(20);
        sent.addAll(Post.send(run, producer, queue, COUNT / 2, COUNT / 2));
        pull.checkBounds(0, COUNT);
        List<MessageExt> seen = pull.checkContent(sent);
        pull.checkNothing(COUNT, PullStatus.NO_NEW_MSG, COUNT);
        pull.checkNothing(COUNT + 1, PullStatus.OFFSET_ILLEGAL, COUNT);
        pull.checkNothing(COUNT + 1_000_000, PullStatus.OFFSET_ILLEGAL, COUNT);
        pull.checkTags();
        pull.checkTimes(seen);
        pull.checkOffsets();
        pull.checkBlocking(producer);
    }

    private void checkBounds(long min, long max) throws Exception {
        run.same(min, consumer.minOffset(queue), "smallest offset of " + queue);
        run.same(max, consumer.maxOffset(queue), "largest offset of " + queue);
    }

    private void checkNothing(long offset, PullStatus status, long next) throws Exception {
        PullResult result = consumer.pull(queue, "*", offset, 32);
        String what = "pull at " + offset;
        run.same(status, result.getPullStatus(), what + " status");
        run.same(next, result.getNextBeginOffset(), what + " next offset");
        run.same(0L, result.getMinOffset(), what + " smallest offset");
    }

    /** From the start in steps of at most 32, and single messages from anywhere. */
    private List<MessageExt> checkContent(List<Letter> sent) throws Exception {
        Mailbox mailbox = new Mailbox();
        long offset = 0;
        while (offset < sent.size()) {
            PullResult result = consumer.pull(queue, "*", offset, 32);
            if (result.getPullStatus() != PullStatus.FOUND) {
                run.fail("pull at " + offset + ": expected FOUND, saw " + result);
                break;
            }
            run.same((long) sent.size(), result.getMaxOffset(), "largest offset in the answer at " + offset);
            run.expect(result.getMsgFoundList().size() <= 32, "expected at most 32 messages, saw " + result);
            result.getMsgFoundList().forEach(mailbox::add);
            run.same(offset + result.getMsgFoundList().size(), result.getNextBeginOffset(), "offset after " + result);
            offset = result.getNextBeginOffset();
        }
        mailbox.checkQueue(run, queue, sent, 0);
        for (int at : new int[] {0, 1, COUNT / 2, COUNT - 1}) {
            PullResult result = consumer.pull(queue, "*", at, 1);
            run.same(PullStatus.FOUND, result.getPullStatus(), "pull of the one message at " + at);
            List<MessageExt> found = result.getPullStatus() == PullStatus.FOUND ? result.getMsgFoundList() : List.of();
            run.same(1, found.size(), "messages in a pull of one at " + at);
            found.forEach(message -> sent.get(at).checkArrived(run, message));
        }
        return mailbox.of(queue);
    }

    /** Letters have the tags tag0 to tag6 in turn. */
    private void checkTags() throws Exception {
        List<Long> seen = new ArrayList<>();
        List<Long> wanted = new ArrayList<>();
        for (long i = 0; i < COUNT; i++) {
            if (i % 7 == 3 || i % 7 == 4) {
                wanted.add(i);
            }
        }
        long offset = 0;
        while (offset < COUNT) {
            PullResult result = consumer.pull(queue, "tag3 || tag4", offset, 32);
            if (result.getPullStatus() == PullStatus.FOUND) {
                result.getMsgFoundList().forEach(message -> seen.add(message.getQueueOffset()));
            }
            if (result.getNextBeginOffset() <= offset) {
                run.fail("pull of two tags does not get beyond " + offset + ": " + result);
                break;
            }
            offset = result.getNextBeginOffset();
        }
        run.same(wanted, seen, "offsets with tag3 or tag4");
        PullResult none = consumer.pull(queue, "tag9", 0, 32);
        run.same(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "pull of a tag nobody used");
        run.same((long) COUNT, none.getNextBeginOffset(), "next offset after a tag nobody used");
    }

    /** The first message stored at the time or later; behind the last one the largest offset. */
    private void checkTimes(List<MessageExt> seen) throws Exception {
        if (seen.size() < COUNT) {
            run.fail("no search by time without all messages");
            return;
        }
        long firstTime = seen.get(0).getStoreTimestamp();
        long lastTime = seen.get(COUNT - 1).getStoreTimestamp();
        run.same(firstTime, consumer.earliestMsgStoreTime(queue), "earliest store time");
        run.same(0L, consumer.searchOffset(queue, firstTime - 60_000), "offset a minute before the first message");
        run.same(0L, consumer.searchOffset(queue, firstTime), "offset at the time of the first message");
        long middleTime = seen.get(COUNT / 2).getStoreTimestamp();
        long middle = COUNT / 2;
        run.same(middle, consumer.searchOffset(queue, middleTime), "offset at the time of message " + middle);
        run.same(middle, consumer.searchOffset(queue, middleTime - 5), "offset in the pause before message " + middle);
        run.same((long) COUNT, consumer.searchOffset(queue, lastTime + 60_000), "offset a minute after the last message");
    }

    private void checkOffsets() throws Exception {
        consumer.updateConsumeOffset(queue, COUNT / 2);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, COUNT / 2, false);
        run.same((long) COUNT / 2, consumer.fetchConsumeOffset(queue, true), "offset of the group");
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, 3, false);
        run.same(3L, consumer.fetchConsumeOffset(queue, true), "offset of the group after it went back");
    }

    /** A blocking pull at the end is held until a message comes, and then answered with it. */
    private void checkBlocking(DefaultMQProducer producer) throws Exception {
        Thread sender = new Thread(() -> {
            try {
                Thread.sleep(1_500);
                Post.send(run, producer, queue, COUNT, 1);
            } catch (Exception e) {
                run.fail("send during a blocking pull: " + e);
            }
        });
        long start = System.nanoTime();
        sender.start();
        PullResult result = consumer.pullBlockIfNotFound(queue, "*", COUNT, 32);
        long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
        sender.join();
        run.same(PullStatus.FOUND, result.getPullStatus(), "blocking pull status");
        run.same((long) COUNT + 1, result.getNextBeginOffset(), "blocking pull next offset");
        run.expect(millis >= 1_400 && millis < 3_500,
            "blocking pull with a message after 1500 ms: expected an answer between 1400 and 3500 ms, saw " + millis);
    }
}
