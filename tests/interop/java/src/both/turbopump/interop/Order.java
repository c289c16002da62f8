package turbopump.interop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Option `count` (10,000) messages sent one by one to chosen queues while a push consumer reads them: each arrives
 * once, in order for its queue, unchanged, at the offset the broker named.
 */
final class Order {
    private Order() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        int count = run.intOption("count", 10_000);
        Mailbox mailbox = new Mailbox();
        inOrderConsumer(run, run.name("g"), topic, mailbox);

        Map<MessageQueue, List<Letter>> sent = sendToEach(run, producer, queues, count / queues.size());

        int total = sent.values().stream().mapToInt(List::size).sum();
        run.awaitCount(30, "messages consumed", total, mailbox::total);
        run.same(total, mailbox.uniqueIds().size(), "different message ids");
        for (Map.Entry<MessageQueue, List<Letter>> entry : sent.entrySet()) {
            mailbox.checkQueue(run, entry.getKey(), entry.getValue(), 0);
        }
    }

    /** With one consume thread the concurrent listener sees each queue in order. */
    static DefaultMQPushConsumer inOrderConsumer(Run run, String group, String topic, Mailbox mailbox) throws Exception {
        DefaultMQPushConsumer consumer = run.consumer(group);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(mailbox::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** One sending thread for each queue, each sending synchronously through a queue selector. */
    static Map<MessageQueue, List<Letter>> sendToEach(Run run, DefaultMQProducer producer, List<MessageQueue> queues,
            int each) throws Exception {
        Map<MessageQueue, List<Letter>> sent = new LinkedHashMap<>();
        List<Thread> threads = new ArrayList<>();
        for (int q = 0; q < queues.size(); q++) {
            List<Letter> letters = new ArrayList<>();
            sent.put(queues.get(q), letters);
            int index = q;
            Thread thread = new Thread(() -> sendQueue(run, producer, queues, index, each, letters), "send-" + q);
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return sent;
    }

    private static void sendQueue(Run run, DefaultMQProducer producer, List<MessageQueue> queues, int index, int each,
            List<Letter> letters) {
        MessageQueue queue = queues.get(index);
        java.util.Random random = run.random(index);
        for (int i = 0; i < each; i++) {
            Letter letter = Letter.write(queue.getTopic(), queue, i, 1500, random);
            try {
                SendResult result = producer.send(letter.message, (all, message, chosen) -> find(all, queue), index);
                letter.checkAccepted(run, result);
                run.same((long) i, result.getQueueOffset(), "queue offset of send " + i + " to " + queue);
            } catch (Exception e) {
                run.fail("send " + i + " to " + queue + ": " + e);
                return;
            }
            letters.add(letter);
        }
    }

    /** The selector is given the route's queues: the chosen one must be among them. */
    private static MessageQueue find(List<MessageQueue> all, MessageQueue wanted) {
        int at = all.indexOf(wanted);
        if (at < 0) {
            throw new IllegalStateException(wanted + " is not in the route " + all);
        }
        return all.get(at);
    }
}
