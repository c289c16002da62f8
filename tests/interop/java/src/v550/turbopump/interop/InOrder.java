package turbopump.interop;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Listeners of the consumers of one group. They share what arrived and see to it that a queue is with one of them
 * at a time. Each fiftieth message of a queue is put off once: nothing may overtake it.
 */
final class InOrder {
    private static final int PUT_OFF_EVERY = 50;
    private final Run run;
    private final Mailbox together = new Mailbox();
    private final Map<MessageQueue, String> inside = new ConcurrentHashMap<>();
    private final Set<String> putOff = ConcurrentHashMap.newKeySet();

    InOrder(Run run) {
        this.run = run;
    }

    Mailbox together() {
        return together;
    }

    int putOffs() {
        return putOff.size();
    }

    MessageListenerOrderly listener(String name, Mailbox own) {
        return (messages, context) -> consume(name, own, messages, context);
    }

    private ConsumeOrderlyStatus consume(String name, Mailbox own, List<MessageExt> messages,
            ConsumeOrderlyContext context) {
        MessageQueue queue = context.getMessageQueue();
        String other = inside.putIfAbsent(queue, name);
        if (other != null) {
            run.fail(name + " was given messages of " + queue + " while " + other + " had some");
        }
        try {
            long offset = messages.get(0).getQueueOffset();
            if (offset % PUT_OFF_EVERY == PUT_OFF_EVERY - 1 && putOff.add(queue.toString() + offset)) {
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            messages.forEach(message -> checkTimes(queue, message));
            messages.forEach(together::add);
            messages.forEach(own::add);
            return ConsumeOrderlyStatus.SUCCESS;
        } finally {
            inside.remove(queue, name);
        }
    }

    /** The client counts how often it gave out a message; the count is taken back so that it is as it was stored. */
    private void checkTimes(MessageQueue queue, MessageExt message) {
        boolean wasPutOff = putOff.contains(queue.toString() + message.getQueueOffset());
        run.same(wasPutOff ? 1 : 0, message.getReconsumeTimes(),
            "reconsume times of message " + message.getQueueOffset() + " of " + queue);
        message.setReconsumeTimes(0);
    }
}
