package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Up to 128 sends under way at a time: each callback comes once with an offset of its own, each message arrives
 * once at that offset. A send to a queue that does not exist fails through its callback.
 */
final class Async {
    private static final int IN_FLIGHT = 128;

    private Async() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        Mailbox mailbox = Subscriber.start(run.consumer(run.name("g")), topic, "*");
        int count = run.intOption("count", 2_000);
        List<Letter> sent = send(run, producer, topic, queues, count);
        run.awaitCount(30, "messages consumed", count, mailbox::total);
        Post.checkEachOnce(run, sent, mailbox);
        queues.forEach(queue -> Post.checkContiguous(run, queue, 0, mailbox));
        refuse(run, producer, queues.get(0));
    }

    private static List<Letter> send(Run run, DefaultMQProducer producer, String topic, List<MessageQueue> queues,
            int count) throws Exception {
        Semaphore free = new Semaphore(IN_FLIGHT);
        AtomicInteger callbacks = new AtomicInteger();
        List<Letter> sent = new ArrayList<>();
        Random random = run.random(0);
        for (int i = 0; i < count; i++) {
            MessageQueue queue = queues.get(i % queues.size());
            Letter letter = Letter.write(topic, queue, i, 1_500, random);
            sent.add(letter);
            if (!free.tryAcquire(15, TimeUnit.SECONDS)) {
                run.fail("no callback within 15 s; " + callbacks.get() + " of " + i + " so far");
                return sent;
            }
            producer.send(letter.message, queue, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    letter.checkAccepted(run, result);
                    callbacks.incrementAndGet();
                    free.release();
                }

                @Override
                public void onException(Throwable e) {
                    run.fail("send " + letter.sequence + " to " + queue + ": " + e);
                    callbacks.incrementAndGet();
                    free.release();
                }
            });
        }
        run.awaitCount(15, "callbacks", count, callbacks::get);
        return sent;
    }

    private static void refuse(Run run, DefaultMQProducer producer, MessageQueue queue) throws Exception {
        MessageQueue absent = new MessageQueue(queue.getTopic(), queue.getBrokerName(), 99);
        CompletableFuture<Throwable> failure = new CompletableFuture<>();
        producer.send(new Message(queue.getTopic(), new byte[] {1}), absent, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                failure.complete(new IllegalStateException("accepted: " + result));
            }

            @Override
            public void onException(Throwable e) {
                failure.complete(e);
            }
        });
        Refused.same(run, Refused.INVALID_PARAMETER, "a send to queue 99 of 4", failure.get(15, TimeUnit.SECONDS));
    }
}
