package turbopump.interop;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends as fast as `threads` (8) synchronous senders can until standard input ends, and prints a {@link Receipt}
 * for each acknowledged message, flushed. A failed send is no failure of the check: the sender waits a moment and
 * goes on with a new message, so that brokers may die and come back. Set `deadline` to more than the run takes.
 */
final class ReceiptLoop {
    private static final int MAX_BODY = 2_000;
    private static final int SEND_TIMEOUT_MILLIS = 2_000;
    private static final int PAUSE_MILLIS = 20;
    private static final int START_SECONDS = 30;

    private final Run run;
    private final DefaultMQProducer producer;
    private final List<MessageQueue> queues;
    private final AtomicLong serial = new AtomicLong();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();
    private volatile boolean stopping;

    private ReceiptLoop(Run run) throws Exception {
        this.run = run;
        producer = run.producer();
        producer.setSendMsgTimeout(SEND_TIMEOUT_MILLIS);
        queues = createTopic();
    }

    /** A broker may be dead already when this begins. */
    private List<MessageQueue> createTopic() throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
        while (true) {
            try {
                return run.createTopic(producer, run.name("t"));
            } catch (MQClientException e) {
                if (System.nanoTime() > end) {
                    throw e;
                }
                Thread.sleep(PAUSE_MILLIS);
            }
        }
    }

    static void check(Run run) throws Exception {
        ReceiptLoop loop = new ReceiptLoop(run);
        Thread input = new Thread(loop::awaitEndOfInput, "stdin");
        input.setDaemon(true);
        input.start();
        List<Thread> senders = new ArrayList<>();
        for (int i = 0; i < run.intOption("threads", 8); i++) {
            int number = i;
            Thread sender = new Thread(() -> loop.send(number), "send-" + i);
            senders.add(sender);
            sender.start();
        }
        for (Thread sender : senders) {
            sender.join();
        }
        System.err.println("acknowledged " + loop.acknowledged + ", failed " + loop.failed);
        run.expect(loop.acknowledged.get() > 0, "expected at least one acknowledged message, saw none");
    }

    private void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                continue;
            }
        } catch (IOException e) {
            System.err.println("standard input: " + e);
        }
        stopping = true;
    }

    private void send(int number) {
        SplittableRandom random = new SplittableRandom(run.id.hashCode() * 1_000L + number);
        for (int i = number; !stopping; i++) {
            MessageQueue queue = queues.get(i % queues.size());
            byte[] body = body(random);
            try {
                SendResult result = producer.send(new Message(queue.getTopic(), body), queue);
                record(result, body);
            } catch (InterruptedException e) {
                return;
            } catch (Exception e) {
                failed.incrementAndGet();
                pause();
            }
        }
    }

    /** Only SEND_OK with a flush behind it is a promise. */
    private void record(SendResult result, byte[] body) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            failed.incrementAndGet();
            return;
        }
        String line = Receipt.of(result, body).line() + "\n";
        synchronized (System.out) {
            System.out.print(line);
            System.out.flush();
        }
        acknowledged.incrementAndGet();
    }

    /** No two bodies of a run are the same: each begins with a number of its own. */
    private byte[] body(SplittableRandom random) {
        byte[] body = new byte[Long.BYTES + random.nextInt(MAX_BODY)];
        random.nextBytes(body);
        ByteBuffer.wrap(body).putLong(serial.incrementAndGet());
        return body;
    }

    private static void pause() {
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
