package turbopump.interop;

import java.util.HashSet;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A consumer that goes away and comes back, as another client of the same group, and what it got each time. While it is away
 * nobody of the group is there, and nobody commits for it: where it goes on is what the brokers have kept.
 */
final class Returner {
    private final Set<String> had = new HashSet<>();
    private final Set<String> got = new HashSet<>();
    private DefaultMQPushConsumer consumer;
    private boolean isBack;
    private long again;

    /** A client of its group that is started, and hands each message to {@link #arrived}. */
    void take(DefaultMQPushConsumer consumer) {
        this.consumer = consumer;
    }

    /** Stops the client, which commits its offsets. All that it had counts as had. */
    void leave() {
        consumer.shutdown();
        synchronized (this) {
            isBack = true;
            had.addAll(got);
        }
    }

    synchronized void arrived(MessageExt message) {
        got.add(message.getMsgId());
        again += isBack && had.contains(message.getMsgId()) ? 1 : 0;
    }

    synchronized boolean has(Set<String> ids) {
        return got.containsAll(ids);
    }

    /** What came for the first time since it is back, and what came again, as `key=number` words. */
    synchronized String counts() {
        return "new=" + (got.size() - had.size()) + " again=" + again;
    }
}
