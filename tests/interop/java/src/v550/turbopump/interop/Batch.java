package turbopump.interop;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Batches of 1 to 365 messages, to chosen queues and to any: each message of a batch has an id and the next queue
 * offset, and arrives once, in order, unchanged. A batch above the broker's limit is refused whole.
 */
final class Batch {
    private static final int[] SIZES = {1, 2, 32, 100, 365};
    private static final int UNCHOSEN = 10;
    private static final int MEBIBYTE = 1 << 20;

    private Batch() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        Mailbox mailbox = new Mailbox();
        Order.inOrderConsumer(run, run.name("g"), topic, mailbox);
        Map<MessageQueue, List<Letter>> sent = new LinkedHashMap<>();
        queues.forEach(queue -> sent.put(queue, new ArrayList<>()));
        Random random = run.random(0);

        for (MessageQueue queue : queues) {
            for (int size : SIZES) {
                List<Message> messages = write(topic, queue, sent.get(queue).size(), size, random);
                record(run, producer.send(messages, queue), messages, sent);
            }
        }
        refuseTooLarge(run, producer, queues.get(0));
        for (int i = 0; i < UNCHOSEN; i++) {
            List<Message> messages = write(topic, queues.get(0), i * UNCHOSEN, UNCHOSEN, random);
            record(run, producer.send(messages), messages, sent);
        }

        run.awaitCount(30, "messages consumed", Post.count(sent), mailbox::total);
        for (Map.Entry<MessageQueue, List<Letter>> entry : sent.entrySet()) {
            mailbox.checkQueue(run, entry.getKey(), entry.getValue(), 0);
        }
    }

    private static List<Message> write(String topic, MessageQueue queue, int first, int size, Random random) {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            messages.add(Letter.write(topic, queue, first + i, 1_500, random).message);
        }
        return messages;
    }

    /** One answer stands for the whole batch: its ids in order, and the offset of its first message. */
    private static void record(Run run, SendResult answer, List<Message> messages,
            Map<MessageQueue, List<Letter>> sent) {
        List<Letter> before = sent.get(answer.getMessageQueue());
        if (before == null) {
            run.fail("a batch went to " + answer.getMessageQueue() + ", expected one of " + sent.keySet());
            return;
        }
        String[] ids = answer.getMsgId().split(",");
        String[] offsetIds = answer.getOffsetMsgId().split(",");
        run.same(messages.size(), ids.length, "ids in the answer to a batch");
        run.same(messages.size(), offsetIds.length, "offset ids in the answer to a batch");
        run.same((long) before.size(), answer.getQueueOffset(), "queue offset of a batch to " + answer.getMessageQueue());
        for (int i = 0; i < Math.min(messages.size(), Math.min(ids.length, offsetIds.length)); i++) {
            Letter letter = Letter.of(messages.get(i), answer.getMessageQueue(), before.size());
            letter.checkAccepted(run, new SendResult(answer.getSendStatus(), ids[i], offsetIds[i],
                answer.getMessageQueue(), answer.getQueueOffset() + i));
            before.add(letter);
        }
    }

    /**
     * Five messages of 1 MiB each are within every limit, all together are not. RocketMQ 5.5.0 answers with code 1,
     * where it has code 13 for a single message of this size; both say that nothing was stored.
     */
    private static void refuseTooLarge(Run run, DefaultMQProducer producer, MessageQueue queue) throws Exception {
        producer.setMaxMessageSize(8 * MEBIBYTE);
        List<Message> messages = new ArrayList<>();
        for (byte[] body : Collections.nCopies(5, new byte[MEBIBYTE])) {
            messages.add(new Message(queue.getTopic(), body));
        }
        Refused.withEither(run, Refused.MESSAGE_ILLEGAL, Refused.SYSTEM_ERROR, "a batch of 5 MiB",
            () -> producer.send(messages, queue));
    }
}
