package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A body of 4 MiB arrives, one byte more is refused and leaves no trace; bodies that the client compresses are
 * stored small and arrive as they were.
 */
final class BodySizes {
    private static final int LIMIT = 4 << 20;
    /** The client compresses bodies of this size and above. */
    private static final int COMPRESSED_FROM = 4_096;
    private static final int[] COMPRESSIBLE = {
        COMPRESSED_FROM - 1, COMPRESSED_FROM, COMPRESSED_FROM + 1, 64 << 10, 1 << 20,
    };

    private BodySizes() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer compressing = run.producer();
        String topic = run.name("t");
        MessageQueue queue = run.createTopic(compressing, topic).get(0);
        DefaultMQProducer plain = run.producer();
        plain.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        plain.setMaxMessageSize(2 * LIMIT);
        Mailbox mailbox = new Mailbox();
        Order.inOrderConsumer(run, run.name("g"), topic, mailbox);
        Random random = run.random(0);
        List<Letter> sent = new ArrayList<>();

        for (int size : COMPRESSIBLE) {
            send(run, compressing, queue, hexDigits(size, random), sent);
        }
        send(run, plain, queue, noise(LIMIT, random), sent);
        for (int surplus : new int[] {1, LIMIT - 1}) {
            Message tooLarge = new Message(topic, noise(LIMIT + surplus, random));
            Refused.with(run, Refused.MESSAGE_ILLEGAL, "a body of 4 MiB + " + surplus, () -> plain.send(tooLarge, queue));
        }
        send(run, plain, queue, noise(LIMIT - 1, random), sent);
        send(run, plain, queue, noise(1, random), sent);

        run.awaitCount(30, "messages consumed", sent.size(), mailbox::total);
        mailbox.checkQueue(run, queue, sent, 0);
        checkStoredSmall(run, mailbox.of(queue));
    }

    private static void send(Run run, DefaultMQProducer producer, MessageQueue queue, byte[] body, List<Letter> sent)
            throws Exception {
        Letter letter = Letter.of(new Message(queue.getTopic(), body), queue, sent.size());
        letter.checkAccepted(run, producer.send(letter.message, queue));
        sent.add(letter);
    }

    /** Hexadecimal digits shrink to about half; what was sent uncompressed is at least as large as its body. */
    private static void checkStoredSmall(Run run, List<MessageExt> seen) {
        for (MessageExt message : seen) {
            int body = message.getBody().length;
            boolean compressed = body >= COMPRESSED_FROM && body <= COMPRESSIBLE[COMPRESSIBLE.length - 1];
            int stored = message.getStoreSize();
            run.expect(compressed ? stored < body * 3 / 4 : stored > body,
                "stored size of a body of " + body + " bytes: expected " + (compressed ? "less than 3/4" : "more")
                    + ", saw " + stored);
        }
    }

    private static byte[] noise(int size, Random random) {
        byte[] body = new byte[size];
        random.nextBytes(body);
        return body;
    }

    private static byte[] hexDigits(int size, Random random) {
        byte[] body = new byte[size];
        for (int i = 0; i < size; i++) {
            body[i] = (byte) Character.forDigit(random.nextInt(16), 16);
        }
        return body;
    }
}
