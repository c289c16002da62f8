package turbopump.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends and consumes while somebody else kills servers, with the settings that clients have by default, and counts what
 * becomes of each message. It is told what to do by lines of its input, says `READY`, and answers each when it is done:
 *
 * `consume` starts a consumer that is never restarted: `CONSUMING`.
 * `send HOW COUNT` sends: `AT n` after each hundredth, then `SENT` with the sums. HOW is `sync`, `async` (64 at a time),
 * `selector` (a selector goes round the queues), or `queue` (a thread for each queue, which sends each message until it
 * is acknowledged, so that all sends to a queue have one order).
 * `flow RATE` sends as `queue` does, but so many messages a second over all queues, and until it is told otherwise: `FLOWING`
 * at once, then `FLOWED n` at an acknowledgement, once a second at most. `still` ends that: `STILL` with the sums, when nothing
 * is under way.
 * `recover HOW` sends on, a hundred at a time, until none of a hundred fails: `RECOVERED` with the sums. The clocks of the
 * pauses run on.
 * `join` starts a consumer of another group: `JOINED`. `leave` waits until it has got all that was acknowledged, and stops it:
 * `LEFT`. `return` starts a new one of its group, and waits until that one has got what was acknowledged meanwhile: `RETURNED`,
 * with what was new to the group, and what came to it again.
 * `await BROKER...` waits until all that these broker names acknowledged has arrived: `AWAITED`.
 * End of input: waits until all that was acknowledged has arrived, or `wait` (120) seconds: `COUNTS` with everything.
 *
 * After a failed send the next one waits for 100 ms, as behind a message that somebody logs.
 *
 * Option `poll`: milliseconds between two looks for routes, where the default of 30 s takes too long. Option `pace`:
 * milliseconds between a synchronous send and the next, where sends shall go on for some time.
 */
final class Outage {
    static final String SEQUENCE = "sequence";
    private static final int IN_FLIGHT = 64;
    private static final int PROGRESS_EVERY = 100;
    private static final int PAUSE_MILLIS = 20;
    /** How long one message is sent again and again. */
    private static final int PERSISTENCE_SECONDS = 60;
    private static final int BODY = 1_024;
    /** As often as the client sends a message by default. */
    private static final int CREATIONS = 3;
    /** Every start picks a name server by chance: where one of two is dead, all of them fail once in four thousand. */
    private static final int STARTS = 12;
    /** Between a failed send and the next. */
    private static final int AFTER_FAILURE_MILLIS = 100;
    /** A client looks for routes every 30 s; a send may take three. */
    private static final int RECOVERY_SECONDS = 90;
    private static final int RECOVERED = 100;
    /** What a new consumer gets although it should not comes with its first pulls. */
    private static final int AGAIN_MILLIS = 5_000;

    private final Run run;
    private final Ledger ledger = new Ledger();
    private final AtomicInteger sequence = new AtomicInteger();
    private final DefaultMQProducer producer;
    private final String topic;
    private final List<MessageQueue> queues;
    private final Returner returner = new Returner();
    private int consumers;
    private Flow flow;

    private Outage(Run run) throws Exception {
        this.run = run;
        topic = run.name("t");
        producer = new DefaultMQProducer(run.name("pg"));
        producer.setNamesrvAddr(run.namesrv);
        producer.setInstanceName("outage-p-" + run.id);
        poll().ifPresent(producer::setPollNameServerInterval);
        producer.start();
        run.closeLater(producer::shutdown);
        queues = createTopic();
    }

    /** The client asks a name server that it picks by chance; one that is dead fails the call, and the next call asks another. */
    private List<MessageQueue> createTopic() throws Exception {
        for (int left = CREATIONS; ; left--) {
            try {
                return run.createTopic(producer, topic);
            } catch (MQClientException e) {
                if (left == 1) {
                    throw e;
                }
                pause(PAUSE_MILLIS);
            }
        }
    }

    private java.util.Optional<Integer> poll() {
        int millis = run.intOption("poll", 0);
        return millis == 0 ? java.util.Optional.empty() : java.util.Optional.of(millis);
    }

    static void check(Run run) throws Exception {
        Outage outage = new Outage(run);
        say("READY");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            outage.obey(line.trim().split(" "));
        }
        outage.finish();
    }

    static void say(String line) {
        synchronized (System.out) {
            System.out.println(line);
            System.out.flush();
        }
    }

    private void obey(String[] words) throws Exception {
        switch (words[0]) {
            case "consume":
                consume();
                say("CONSUMING");
                break;
            case "send":
                ledger.begin();
                send(words[1], Integer.parseInt(words[2]));
                say("SENT " + ledger.sends());
                break;
            case "flow":
                flow(words);
                say("FLOWING");
                break;
            case "still":
                still();
                say("STILL " + ledger.sends());
                break;
            case "recover":
                recover(words[1]);
                say("RECOVERED " + ledger.sends());
                break;
            case "join":
                join();
                say("JOINED");
                break;
            case "leave":
                awaitReturner();
                returner.leave();
                say("LEFT");
                break;
            case "return":
                join();
                awaitReturner();
                Thread.sleep(AGAIN_MILLIS);
                say("RETURNED " + returner.counts());
                break;
            case "await":
                awaitFrom(Arrays.asList(words).subList(1, words.length));
                say("AWAITED");
                break;
            default:
                run.fail("expected consume, send, flow, still, recover, join, leave, return or await, saw " + words[0]);
        }
    }

    private void consume() throws Exception {
        consumer("g", ledger::arrived);
    }

    /** A client that is started. Like a call, its start asks a name server that it picks by chance, and fails if that one is dead. */
    private DefaultMQPushConsumer consumer(String group, Consumer<MessageExt> arrived) throws Exception {
        for (int left = STARTS; ; left--) {
            DefaultMQPushConsumer consumer = newConsumer(group, arrived);
            try {
                consumer.start();
                run.closeLater(consumer::shutdown);
                return consumer;
            } catch (MQClientException | IllegalStateException e) {
                consumer.shutdown();
                if (left == 1) {
                    throw e;
                }
                pause(PAUSE_MILLIS);
            }
        }
    }

    /** With one thread the listener sees each queue in order. */
    private DefaultMQPushConsumer newConsumer(String group, Consumer<MessageExt> arrived) throws MQClientException {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(run.name(group));
        consumer.setNamesrvAddr(run.namesrv);
        consumer.setInstanceName("outage-c" + ++consumers + "-" + run.id);
        poll().ifPresent(consumer::setPollNameServerInterval);
        poll().ifPresent(consumer::setHeartbeatBrokerInterval);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(arrived);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private void recover(String how) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(RECOVERY_SECONDS);
        long failed;
        do {
            failed = ledger.failed();
            send(how, RECOVERED);
        } while (ledger.failed() > failed && System.nanoTime() < end);
        if (ledger.failed() > failed) {
            run.fail("sends still fail after " + RECOVERY_SECONDS + " s: " + ledger.failures());
        }
    }

    private void join() throws Exception {
        returner.take(consumer("returner", returner::arrived));
    }

    private void awaitReturner() throws InterruptedException {
        Set<String> acknowledged = ledger.acknowledged();
        run.await(run.intOption("wait", 120), "all that was acknowledged", () -> returner.has(acknowledged));
    }

    private void send(String how, int count) throws Exception {
        switch (how) {
            case "sync":
                oneByOne(count, message -> producer.send(message));
                break;
            case "selector":
                oneByOne(count, message -> producer.send(message,
                    (all, sent, number) -> all.get((Integer) number % all.size()), number(message)));
                break;
            case "queue":
                persistently(count / queues.size());
                break;
            case "async":
                atOnce(count);
                break;
            default:
                run.fail("expected sync, async, selector or queue, saw " + how);
        }
    }

    private void flow(String[] words) {
        if (flow != null || words.length != 2) {
            throw new IllegalArgumentException("expected one flow at a time, and its rate, saw " + Arrays.toString(words));
        }
        ledger.begin();
        flow = new Flow(run, queues, Integer.parseInt(words[1]), this::persistently);
    }

    private void still() throws InterruptedException {
        if (flow == null) {
            throw new IllegalStateException("expected flow before still");
        }
        flow.still();
        flow = null;
    }

    private interface Way {
        SendResult send(Message message) throws Exception;
    }

    private void oneByOne(int count, Way way) {
        int pace = run.intOption("pace", 0);
        for (int i = 0; i < count; i++) {
            Message message = draft();
            long began = System.nanoTime();
            try {
                SendResult result = way.send(message);
                ledger.sent(id(message));
                ledger.accepted(id(message), result, began);
            } catch (Exception e) {
                ledger.sent(id(message));
                ledger.refused(reason(e));
                pause(AFTER_FAILURE_MILLIS);
            }
            progress();
            pause(pace);
        }
    }

    private void persistently(int each) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (MessageQueue queue : queues) {
            Thread thread = new Thread(() -> {
                for (int i = 0; i < each; i++) {
                    persistently(queue);
                    progress();
                }
            }, "send-" + queue);
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    /** Sends one message until it is acknowledged; false if it never was. */
    private boolean persistently(MessageQueue queue) {
        Message message = draft();
        long began = System.nanoTime();
        int attempts = 0;
        String why = "";
        while (System.nanoTime() - began < TimeUnit.SECONDS.toNanos(PERSISTENCE_SECONDS)) {
            attempts++;
            try {
                SendResult result = producer.send(message, queue);
                ledger.sent(id(message), attempts);
                return ledger.accepted(id(message), result, began);
            } catch (Exception e) {
                why = reason(e);
                pause(PAUSE_MILLIS);
            }
        }
        ledger.sent(id(message), attempts);
        ledger.refused(why);
        return false;
    }

    private void atOnce(int count) throws Exception {
        Semaphore free = new Semaphore(IN_FLIGHT);
        long failed = ledger.failed();
        for (int i = 0; i < count; i++) {
            free.acquire();
            if (ledger.failed() > failed) {
                failed = ledger.failed();
                pause(AFTER_FAILURE_MILLIS);
            }
            Message message = draft();
            long began = System.nanoTime();
            try {
                producer.send(message, new SendCallback() {
                    @Override
                    public void onSuccess(SendResult result) {
                        ledger.sent(id(message));
                        ledger.accepted(id(message), result, began);
                        progress();
                        free.release();
                    }

                    @Override
                    public void onException(Throwable e) {
                        ledger.sent(id(message));
                        ledger.refused(reason(e));
                        progress();
                        free.release();
                    }
                });
            } catch (Exception e) {
                ledger.sent(id(message));
                ledger.refused("at once: " + reason(e));
                free.release();
            }
        }
        if (!free.tryAcquire(IN_FLIGHT, PERSISTENCE_SECONDS, TimeUnit.SECONDS)) {
            run.fail("callbacks of " + (IN_FLIGHT - free.availablePermits()) + " sends did not come");
        }
    }

    private void progress() {
        long done = ledger.done();
        if (done % PROGRESS_EVERY == 0) {
            say("AT " + done);
        }
    }

    private Message draft() {
        Message message = new Message(topic, new byte[BODY]);
        message.putUserProperty(SEQUENCE, Integer.toString(sequence.getAndIncrement()));
        return message;
    }

    private static int number(Message message) {
        return Integer.parseInt(message.getUserProperty(SEQUENCE));
    }

    /** The client sets it at the first attempt, and keeps it over its retries. */
    private static String id(Message message) {
        return String.valueOf(message.getProperty("UNIQ_KEY"));
    }

    /** Short enough to be counted by: no addresses, no numbers that differ from one message to the next. */
    private static String reason(Throwable e) {
        Throwable root = e;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String code = "";
        if (root instanceof MQBrokerException) {
            code = " code " + ((MQBrokerException) root).getResponseCode();
        } else if (root instanceof MQClientException) {
            code = " code " + ((MQClientException) root).getResponseCode();
        }
        return root.getClass().getSimpleName() + code;
    }

    private void awaitFrom(List<String> brokers) throws InterruptedException {
        run.await(run.intOption("wait", 120), "messages from " + brokers, () ->
            ledger.missing().keySet().stream().noneMatch(brokers::contains));
    }

    private void finish() throws InterruptedException {
        if (flow != null) {
            still();
        }
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(run.intOption("wait", 120));
        while (!ledger.missing().isEmpty() && System.nanoTime() < end) {
            pause(PAUSE_MILLIS);
        }
        // Surplus shows a little later.
        Thread.sleep(1_000);
        for (Map.Entry<String, Integer> failure : ledger.failures().entrySet()) {
            say("FAILED " + failure.getValue() + " x " + failure.getKey());
        }
        say("COUNTS " + ledger.counts());
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
