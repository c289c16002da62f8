package turbopump.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * One execution of one check: where to connect, the names that are its own, the clients to close and the
 * failures seen. A failure is one line of standard output.
 */
public final class Run {
    /** More lines than this say nothing new. */
    private static final int MAX_FAILURES_PRINTED = 20;
    static final int QUEUES_PER_BROKER = 4;
    /**
     * The 5.5.0 client skips the heartbeat that should follow its first rebalance when its timer's own heartbeat (1 s
     * after start) is under way; its pulls are then answered "subscription not latest" until the next beat, 30 s later
     * by default.
     */
    private static final int HEARTBEAT_MILLIS = 2_000;

    final String namesrv;
    final String check;
    final String id;
    final Map<String, String> options;
    private final List<Runnable> closers = new ArrayList<>();
    private int failures;
    private int clients;

    Run(String namesrv, String check, String id, Map<String, String> options) {
        this.namesrv = namesrv;
        this.check = check;
        this.id = id;
        this.options = options;
    }

    synchronized void fail(String what) {
        failures++;
        if (failures <= MAX_FAILURES_PRINTED) {
            System.out.println("FAIL " + check + ": " + what.replaceAll("\\s*\n\\s*", " "));
        } else if (failures == MAX_FAILURES_PRINTED + 1) {
            System.out.println("FAIL " + check + ": further failures not printed");
        }
    }

    synchronized int failures() {
        return failures;
    }

    void expect(boolean holds, String what) {
        if (!holds) {
            fail(what);
        }
    }

    void same(Object expected, Object seen, String what) {
        if (!Objects.equals(expected, seen)) {
            fail(what + ": expected " + expected + ", saw " + seen);
        }
    }

    String option(String key, String otherwise) {
        return options.getOrDefault(key, otherwise);
    }

    int intOption(String key, int otherwise) {
        String text = options.get(key);
        return text == null ? otherwise : Integer.parseInt(text);
    }

    /** A topic or group name nobody else uses. */
    String name(String part) {
        return "it-" + check + "-" + part + "-" + id;
    }

    /** The same random numbers for the same run id. */
    Random random(int stream) {
        return new Random(id.hashCode() * 31L + check.hashCode() + stream);
    }

    DefaultMQProducer producer() throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(name("pg" + ++clients));
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("p" + clients + "-" + id);
        producer.setSendMsgTimeout(10_000);
        producer.setRetryTimesWhenSendFailed(0);
        producer.setRetryTimesWhenSendAsyncFailed(0);
        producer.start();
        closers.add(producer::shutdown);
        return producer;
    }

    /** A push consumer that is not started: the caller subscribes, registers a listener and starts it. */
    DefaultMQPushConsumer consumer(String group) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("c" + ++clients + "-" + id);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setHeartbeatBrokerInterval(HEARTBEAT_MILLIS);
        closers.add(consumer::shutdown);
        return consumer;
    }

    DefaultMQPullConsumer pullConsumer(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("l" + ++clients + "-" + id);
        consumer.start();
        closers.add(consumer::shutdown);
        return consumer;
    }

    void closeLater(Runnable closer) {
        closers.add(closer);
    }

    void close() {
        for (int i = closers.size() - 1; i >= 0; i--) {
            try {
                closers.get(i).run();
            } catch (RuntimeException e) {
                fail("closing a client: " + e);
            }
        }
        closers.clear();
    }

    /** Creates the topic on every broker that serves the template topic and waits until the route shows it. */
    List<MessageQueue> createTopic(DefaultMQProducer producer, String topic) throws Exception {
        ClientVersion.createTopic(producer, topic, QUEUES_PER_BROKER);
        int brokers = brokerNames(producer.fetchPublishMessageQueues("TBW102")).size();
        return awaitQueues(producer, topic, brokers * QUEUES_PER_BROKER);
    }

    List<MessageQueue> awaitQueues(DefaultMQProducer producer, String topic, int count) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
        List<MessageQueue> queues = new ArrayList<>();
        while (System.nanoTime() < end) {
            try {
                queues = new ArrayList<>(producer.fetchPublishMessageQueues(topic));
            } catch (org.apache.rocketmq.client.exception.MQClientException noRouteYet) {
                queues.clear();
            }
            if (queues.size() >= count) {
                break;
            }
            Thread.sleep(50);
        }
        same(count, queues.size(), "queues in the route of " + topic);
        queues.sort(null);
        return queues;
    }

    static TreeSet<String> brokerNames(List<MessageQueue> queues) {
        TreeSet<String> names = new TreeSet<>();
        for (MessageQueue queue : queues) {
            names.add(queue.getBrokerName());
        }
        return names;
    }

    /** Waits for a condition; reports `what` as a failure if it does not come true. */
    boolean await(int seconds, String what, BooleanSupplier done) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!done.getAsBoolean()) {
            if (System.nanoTime() > end) {
                fail("not within " + seconds + " s: " + what);
                return false;
            }
            Thread.sleep(5);
        }
        return true;
    }

    /** Waits until the counter has reached `count`, then a little longer so that surplus arrivals show. */
    void awaitCount(int seconds, String what, int count, LongSupplier seen) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (seen.getAsLong() < count && System.nanoTime() < end) {
            Thread.sleep(5);
        }
        Thread.sleep(700);
        same((long) count, seen.getAsLong(), what);
    }

    static Map<String, String> parse(String[] words, int from) {
        Map<String, String> options = new HashMap<>();
        for (int i = from; i < words.length; i++) {
            int at = words[i].indexOf('=');
            if (at < 0) {
                throw new IllegalArgumentException("an option reads key=value, not " + words[i]);
            }
            options.put(words[i].substring(0, at), words[i].substring(at + 1));
        }
        return options;
    }
}
