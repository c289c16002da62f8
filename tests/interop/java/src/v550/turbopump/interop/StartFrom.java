package turbopump.interop;

import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Where a new group begins. The broker answers a clustering group that is new to a young topic with offset 0, so
 * its setting has no effect there; a broadcasting group asks no broker, so there the setting decides.
 */
final class StartFrom {
    private static final int EACH = 25;
    private final Run run;
    private final DefaultMQProducer producer;
    private final String topic;
    private final List<MessageQueue> queues;

    private StartFrom(Run run) throws Exception {
        this.run = run;
        producer = run.producer();
        topic = run.name("t");
        queues = run.createTopic(producer, topic);
    }

    static void first(Run run) throws Exception {
        StartFrom here = new StartFrom(run);
        Map<MessageQueue, List<Letter>> sent = here.send(0);
        Mailbox clustering = here.start(run.consumer(run.name("c")), ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        Mailbox broadcasting = here.start(Subscriber.broadcasting(run, run.name("b")),
            ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        here.send(EACH).forEach((queue, letters) -> sent.get(queue).addAll(letters));
        here.checkSaw("a clustering group", clustering, sent);
        here.checkSaw("a broadcasting group", broadcasting, sent);
    }

    static void last(Run run) throws Exception {
        StartFrom here = new StartFrom(run);
        Map<MessageQueue, List<Letter>> old = here.send(0);
        here.checkYoung(Broker.through(here.producer));
        Mailbox clustering = here.start(run.consumer(run.name("c")), ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        Mailbox broadcasting = here.start(Subscriber.broadcasting(run, run.name("b")),
            ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        Map<MessageQueue, List<Letter>> later = here.send(EACH);
        here.checkSaw("a broadcasting group", broadcasting, later);
        later.forEach((queue, letters) -> old.get(queue).addAll(letters));
        here.checkSaw("a clustering group", clustering, old);
    }

    static void timestamp(Run run) throws Exception {
        StartFrom here = new StartFrom(run);
        Map<MessageQueue, List<Letter>> old = here.send(0);
        Date between = nextFullSecond();
        Map<MessageQueue, List<Letter>> later = here.send(EACH);
        Date past = new Date(between.getTime() - 3_600_000);
        Date future = new Date(between.getTime() + 3_600_000);

        Mailbox clustering = here.start(run.consumer(run.name("c")), between);
        Mailbox middle = here.start(Subscriber.broadcasting(run, run.name("middle")), between);
        Mailbox early = here.start(Subscriber.broadcasting(run, run.name("past")), past);
        Mailbox late = here.start(Subscriber.broadcasting(run, run.name("future")), future);
        Map<MessageQueue, List<Letter>> last = here.send(2 * EACH);

        here.checkSaw("a broadcasting group from the future", late, last);
        last.forEach((queue, letters) -> later.get(queue).addAll(letters));
        here.checkSaw("a broadcasting group from between", middle, later);
        later.forEach((queue, letters) -> old.get(queue).addAll(letters));
        here.checkSaw("a broadcasting group from the past", early, old);
        here.checkSaw("a clustering group", clustering, old);
    }

    private Map<MessageQueue, List<Letter>> send(int first) throws Exception {
        return Post.send(run, producer, queues, first, EACH);
    }

    private Mailbox start(DefaultMQPushConsumer consumer, Date from) throws Exception {
        consumer.setConsumeTimestamp(new SimpleDateFormat("yyyyMMddHHmmss").format(from));
        return start(consumer, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
    }

    /** Returns when the consumer has decided for every queue where it starts. */
    private Mailbox start(DefaultMQPushConsumer consumer, ConsumeFromWhere where) throws Exception {
        consumer.setConsumeFromWhere(where);
        Mailbox mailbox = Subscriber.start(consumer, topic, "*");
        run.await(20, consumer.getConsumerGroup() + " has all queues",
            () -> Subscriber.queuesOf(consumer, topic) == queues.size());
        return mailbox;
    }

    private void checkSaw(String who, Mailbox mailbox, Map<MessageQueue, List<Letter>> sent) throws Exception {
        run.awaitCount(20, "messages seen by " + who, Post.count(sent), mailbox::total);
        Post.checkEachOnce(run, Post.all(sent), mailbox);
    }

    /** The answers that lead to this behaviour: 0, unless the asker does not want it. */
    private void checkYoung(Broker broker) throws Exception {
        for (MessageQueue queue : queues) {
            run.same(0L, broker.startingOffset(run.name("new"), queue, true), "start of a new group in " + queue);
            Refused.with(run, Refused.QUERY_NOT_FOUND, "start of a new group in " + queue + " without the zero",
                () -> broker.startingOffset(run.name("new"), queue, false));
        }
    }

    /** A time at which nothing is stored: the setting knows full seconds only. */
    private static Date nextFullSecond() throws InterruptedException {
        Thread.sleep(50);
        long next = System.currentTimeMillis() / 1_000 * 1_000 + 1_000;
        while (System.currentTimeMillis() < next + 50) {
            Thread.sleep(10);
        }
        return new Date(next);
    }
}
