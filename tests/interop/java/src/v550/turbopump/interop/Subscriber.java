package turbopump.interop;

import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.impl.consumer.ProcessQueue;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Push consumers that put everything into a mailbox. */
final class Subscriber {
    private Subscriber() {
    }

    static Mailbox start(DefaultMQPushConsumer consumer, String topic, String expression) throws Exception {
        Mailbox mailbox = new Mailbox();
        consumer.subscribe(topic, expression);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(mailbox::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return mailbox;
    }

    /** A broadcasting consumer keeps its offsets in a file of this machine: `run` gets a directory of its own. */
    static DefaultMQPushConsumer broadcasting(Run run, String group) throws Exception {
        LocalOffsets.intoTemporaryDirectory(run);
        DefaultMQPushConsumer consumer = run.consumer(group);
        consumer.setMessageModel(MessageModel.BROADCASTING);
        return consumer;
    }

    /** Queues of the topic that the consumer has been given and knows where to start in. */
    static int queuesOf(DefaultMQPushConsumer consumer, String topic) {
        return count(consumer, topic, false);
    }

    static int lockedQueuesOf(DefaultMQPushConsumer consumer, String topic) {
        return count(consumer, topic, true);
    }

    @SuppressWarnings("deprecation")
    private static int count(DefaultMQPushConsumer consumer, String topic, boolean locked) {
        int count = 0;
        Map<MessageQueue, ProcessQueue> table =
            consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable();
        for (Map.Entry<MessageQueue, ProcessQueue> entry : table.entrySet()) {
            boolean wanted = !locked || entry.getValue().isLocked();
            if (entry.getKey().getTopic().equals(topic) && wanted) {
                count++;
            }
        }
        return count;
    }
}
