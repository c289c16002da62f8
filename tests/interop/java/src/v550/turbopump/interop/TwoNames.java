package turbopump.interop;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;

/**
 * A topic over `names` (2) broker names: each has an address and queues of its own, takes messages, gives them back
 * in order, and finds them by id; a producer that does not choose uses them all.
 */
final class TwoNames {
    private static final int EACH = 100;

    private TwoNames() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Broker broker = Broker.through(producer);
        String topic = run.name("t");
        int names = run.intOption("names", 2);
        List<MessageQueue> queues = run.createTopic(producer, topic);
        run.same(names * Run.QUEUES_PER_BROKER, queues.size(), "queues");
        checkRoute(run, broker.route(topic).getBrokerDatas(), names);
        Mailbox mailbox = new Mailbox();
        Order.inOrderConsumer(run, run.name("g"), topic, mailbox);
        Map<MessageQueue, List<Letter>> sent = Order.sendToEach(run, producer, queues, EACH);
        run.awaitCount(30, "messages consumed", Post.count(sent), mailbox::total);
        sent.forEach((queue, letters) -> mailbox.checkQueue(run, queue, letters, 0));

        for (MessageQueue queue : queues) {
            checkById(run, producer, sent.get(queue).get(EACH / 2));
        }
        run.same(new TreeSet<>(queues), broker.lock(run.name("l"), "someone@1", queues), "locks over all names");
        checkSpread(run, producer, topic, queues);
        run.awaitCount(30, "messages consumed in all", Post.count(sent) + EACH, mailbox::total);
    }

    private static void checkRoute(Run run, List<BrokerData> brokers, int names) {
        TreeSet<String> seenNames = new TreeSet<>();
        TreeSet<String> addresses = new TreeSet<>();
        for (BrokerData broker : brokers) {
            seenNames.add(broker.getBrokerName());
            addresses.add(broker.getBrokerAddrs().get(0L));
        }
        run.same(names, seenNames.size(), "different broker names in " + brokers);
        run.same(names, addresses.size(), "different addresses in " + brokers);
    }

    @SuppressWarnings("deprecation")
    private static void checkById(Run run, DefaultMQProducer producer, Letter letter) throws Exception {
        String topic = letter.queue.getTopic();
        MessageExt seen = producer.getDefaultMQProducerImpl().viewMessage(topic, letter.result.getOffsetMsgId());
        seen.setBrokerName(letter.queue.getBrokerName());
        letter.checkArrived(run, seen);
    }

    /** The client goes round the queues: each gets the same number of messages, but for where it starts. */
    private static void checkSpread(Run run, DefaultMQProducer producer, String topic, List<MessageQueue> queues)
            throws Exception {
        Map<MessageQueue, Integer> counts = new TreeMap<>();
        for (int i = 0; i < EACH; i++) {
            SendResult result = producer.send(new Message(topic, new byte[] {(byte) i}));
            counts.merge(result.getMessageQueue(), 1, Integer::sum);
        }
        for (MessageQueue queue : queues) {
            int seen = counts.getOrDefault(queue, 0);
            run.expect(Math.abs(seen - EACH / queues.size()) <= 1, "messages that fell to " + queue + ": expected about "
                + EACH / queues.size() + ", saw " + seen);
        }
    }
}
