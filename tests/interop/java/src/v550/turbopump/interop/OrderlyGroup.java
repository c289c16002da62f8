package turbopump.interop;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Two orderly consumers of a group lock half of the queues each and see each queue in order, each message once.
 * Nobody else gets the locks meanwhile. When one leaves, the other takes over its queues where it stopped; when
 * both are gone, the locks are free.
 */
final class OrderlyGroup {
    private static final int EACH = 100;

    private OrderlyGroup() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Broker broker = Broker.through(producer);
        String topic = run.name("t");
        String group = run.name("g");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        InOrder inOrder = new InOrder(run);
        Mailbox ofOne = new Mailbox();
        Mailbox ofTwo = new Mailbox();
        DefaultMQPushConsumer one = start(run, group, topic, inOrder, "one", ofOne);
        DefaultMQPushConsumer two = start(run, group, topic, inOrder, "two", ofTwo);
        int half = queues.size() / 2;
        run.await(20, "both consumers have locked " + half + " queues", () ->
            Subscriber.lockedQueuesOf(one, topic) == half && Subscriber.lockedQueuesOf(two, topic) == half);

        Map<MessageQueue, List<Letter>> sent = Order.sendToEach(run, producer, queues, EACH);
        run.awaitCount(30, "messages consumed", Post.count(sent), inOrder.together()::total);
        run.same(half * EACH, ofOne.total(), "messages consumed by the first consumer");
        run.same(half * EACH, ofTwo.total(), "messages consumed by the second consumer");
        run.same(new TreeSet<>(), broker.lock(group, "stranger@1", queues), "locks a stranger gets");

        two.shutdown();
        run.await(20, "the remaining consumer has locked all queues",
            () -> Subscriber.lockedQueuesOf(one, topic) == queues.size());
        Post.send(run, producer, queues, EACH, EACH).forEach((queue, letters) -> sent.get(queue).addAll(letters));
        run.awaitCount(30, "messages consumed in all", Post.count(sent), inOrder.together()::total);
        run.same(half * EACH, ofTwo.total(), "messages consumed by the consumer that left");
        sent.forEach((queue, letters) -> inOrder.together().checkQueue(run, queue, letters, 0));
        run.same(2 * EACH / 50 * queues.size(), inOrder.putOffs(), "messages put off once");

        one.shutdown();
        checkLocks(run, broker, group, queues);
    }

    private static DefaultMQPushConsumer start(Run run, String group, String topic, InOrder inOrder, String name,
            Mailbox own) throws Exception {
        DefaultMQPushConsumer consumer = run.consumer(group);
        consumer.setSuspendCurrentQueueTimeMillis(20);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inOrder.listener(name, own));
        consumer.start();
        return consumer;
    }

    /** With no consumer left the locks belong to who asks first, again and again, until he gives them back. */
    private static void checkLocks(Run run, Broker broker, String group, List<MessageQueue> queues) throws Exception {
        TreeSet<MessageQueue> all = new TreeSet<>(queues);
        TreeSet<MessageQueue> none = new TreeSet<>();
        run.same(all, broker.lock(group, "stranger@1", queues), "free locks a stranger gets");
        run.same(all, broker.lock(group, "stranger@1", queues), "own locks a stranger gets again");
        run.same(none, broker.lock(group, "stranger@2", queues), "taken locks another stranger gets");
        run.same(all, broker.lock(group + "-other", "stranger@2", queues), "locks of another group");
        broker.unlock(group, "stranger@2", queues);
        run.same(none, broker.lock(group, "stranger@2", queues), "locks after an unlock by someone else");
        List<MessageQueue> first = queues.subList(0, 1);
        broker.unlock(group, "stranger@1", first);
        run.same(new TreeSet<>(first), broker.lock(group, "stranger@2", queues), "locks after one was given back");
    }
}
