package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.route.QueueData;

/** A topic that nobody created comes into being with its first message: 4 queues, to be written and read. */
final class Autocreate {
    private static final int COUNT = 40;

    private Autocreate() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Broker broker = Broker.through(producer);
        String topic = run.name("t");
        Refused.with(run, Refused.TOPIC_NOT_EXIST, "route of a topic nobody used", () -> broker.route(topic));
        List<Letter> sent = new ArrayList<>();
        TreeSet<String> names = new TreeSet<>();
        Random random = run.random(0);
        MessageQueue anywhere = new MessageQueue(topic, "any", 0);
        for (int i = 0; i < COUNT; i++) {
            Letter draft = Letter.write(topic, anywhere, i, 1_500, random);
            org.apache.rocketmq.client.producer.SendResult result = producer.send(draft.message);
            Letter letter = Letter.of(draft.message, result.getMessageQueue(), i);
            letter.checkAccepted(run, result);
            names.add(result.getMessageQueue().getBrokerName());
            sent.add(letter);
        }
        List<MessageQueue> queues = run.awaitQueues(producer, topic, 4 * names.size());
        run.same(names, Run.brokerNames(queues), "broker names in the route");
        for (QueueData data : broker.route(topic).getQueueDatas()) {
            run.same(4, data.getReadQueueNums(), "read queues of " + data.getBrokerName());
            run.same(4, data.getWriteQueueNums(), "write queues of " + data.getBrokerName());
            run.same(6, data.getPerm(), "permissions of " + data.getBrokerName());
        }
        Mailbox mailbox = Subscriber.start(run.consumer(run.name("g")), topic, "*");
        run.awaitCount(30, "messages consumed", COUNT, mailbox::total);
        Post.checkEachOnce(run, sent, mailbox);
    }
}
