package turbopump.interop;

import java.util.HashMap;
import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.route.QueueData;

/** Topics made and changed by an administrator: their numbers of queues and permissions, and what is refused. */
@SuppressWarnings("deprecation")
final class CreateTopic {
    private static final int READ = 4;
    private static final int WRITE = 2;

    private final Run run;
    private final DefaultMQProducer producer;
    private final Broker broker;

    private CreateTopic(Run run) throws Exception {
        this.run = run;
        producer = run.producer();
        broker = Broker.through(producer);
    }

    static void check(Run run) throws Exception {
        CreateTopic here = new CreateTopic(run);
        here.checkByClient();
        here.checkChanges();
        here.checkPermissions();
        here.checkRefusals();
    }

    /** As the client's own createTopic does it: on all brokers. */
    private void checkByClient() throws Exception {
        String topic = run.name("plain");
        producer.createTopic("TBW102", topic, 3, new HashMap<>());
        awaitRoute(topic, 3, 3, READ | WRITE);
        int brokers = broker.addresses(topic).size();
        run.same(3 * brokers, run.awaitQueues(producer, topic, 3 * brokers).size(), "queues to send to");
    }

    /** The numbers for reading and writing may differ, and may be changed. */
    private void checkChanges() throws Exception {
        String topic = run.name("uneven");
        DefaultMQPullConsumer consumer = run.pullConsumer(run.name("g"));
        int brokers = create(topic, 2, 5, READ | WRITE);
        run.same(5 * brokers, run.awaitQueues(producer, topic, 5 * brokers).size(), "queues to send to");
        run.same(2 * brokers, consumer.fetchSubscribeMessageQueues(topic).size(), "queues to read from");
        create(topic, 6, 6, READ | WRITE);
        List<MessageQueue> queues = run.awaitQueues(producer, topic, 6 * brokers);
        Post.send(run, producer, queues, 0, 2);
        for (MessageQueue queue : queues) {
            run.same(2L, consumer.maxOffset(queue), "largest offset of " + queue);
        }
        create(topic, 6, 1, READ | WRITE);
        run.same(new TreeSet<>(queues), new TreeSet<>(consumer.fetchSubscribeMessageQueues(topic)),
            "queues to read from with fewer to write to");
    }

    /** A topic without the permission to write has no queues for producers; a broker refuses a pull itself. */
    private void checkPermissions() throws Exception {
        String topic = run.name("perm");
        DefaultMQPullConsumer consumer = run.pullConsumer(run.name("p"));
        create(topic, 1, 1, READ | WRITE);
        MessageQueue queue = run.awaitQueues(producer, topic, broker.addresses(topic).size()).get(0);
        Post.send(run, producer, queue, 0, 1);
        create(topic, 1, 1, READ);
        DefaultMQProducer other = run.producer();
        Refused.with(run, Refused.NO_QUEUE_TO_SEND_TO, "a send to a topic that can only be read",
            () -> other.send(new Message(topic, new byte[] {1})));
        run.same(1, consumer.pull(queue, "*", 0, 32).getMsgFoundList().size(), "messages in a topic that can be read");
        create(topic, 1, 1, WRITE);
        Refused.with(run, Refused.NO_PERMISSION, "a pull from a topic that can only be written",
            () -> consumer.pull(queue, "*", 0, 32));
        Post.send(run, producer, queue, 1, 1);
    }

    private void checkRefusals() throws Exception {
        for (String address : broker.addresses("TBW102")) {
            for (String name : new String[] {"it bad name", "it$bad", "x".repeat(128), "SCHEDULE_TOPIC_XXXX", "TBW102"}) {
                Refused.with(run, Refused.INVALID_PARAMETER, "creation of topic '" + name + "'",
                    () -> broker.createTopic(address, new TopicConfig(name, 1, 1, READ | WRITE)));
            }
        }
    }

    /** On all brokers; returns their number. */
    private int create(String topic, int read, int write, int perm) throws Exception {
        TreeSet<String> addresses = broker.addresses("TBW102");
        for (String address : addresses) {
            broker.createTopic(address, new TopicConfig(topic, read, write, perm));
        }
        awaitRoute(topic, read, write, perm);
        return addresses.size();
    }

    private void awaitRoute(String topic, int read, int write, int perm) throws Exception {
        int brokers = broker.addresses("TBW102").size();
        String wanted = brokers + " x read " + read + " write " + write + " perm " + perm;
        long end = System.nanoTime() + 15_000_000_000L;
        String seen = "";
        while (!seen.equals(wanted) && System.nanoTime() < end) {
            Thread.sleep(20);
            seen = summary(topic);
        }
        run.same(wanted, seen, "route of " + topic);
    }

    private String summary(String topic) throws Exception {
        TreeSet<String> kinds = new TreeSet<>();
        List<QueueData> all;
        try {
            all = broker.route(topic).getQueueDatas();
        } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
            return notYet.toString();
        }
        for (QueueData data : all) {
            kinds.add("read " + data.getReadQueueNums() + " write " + data.getWriteQueueNums() + " perm " + data.getPerm());
        }
        return all.size() + " x " + String.join(", ", kinds);
    }
}
