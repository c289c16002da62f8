package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The offset message id of an answer leads to the message; an id that points past the end leads to code 1. */
@SuppressWarnings("deprecation")
final class ViewById {
    private static final int EACH = 10;

    private ViewById() {
    }

    static void check(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        String topic = run.name("t");
        List<MessageQueue> queues = run.createTopic(producer, topic);
        List<Letter> sent = new ArrayList<>(Post.all(Post.send(run, producer, queues, 0, EACH)));
        sent.add(compressed(run, producer, queues.get(0)));
        for (Letter letter : sent) {
            MessageExt seen = view(producer, topic, letter.result.getOffsetMsgId());
            run.same(topic, seen.getTopic(), "topic of " + letter.result.getOffsetMsgId());
            seen.setBrokerName(letter.queue.getBrokerName());
            letter.checkArrived(run, seen);
        }
        String id = sent.get(0).result.getOffsetMsgId();
        String beyond = id.substring(0, id.length() - 16) + "00007FFFFFFF0000";
        Refused.with(run, Refused.SYSTEM_ERROR, "view of " + beyond, () -> view(producer, topic, beyond));
        String inside = id.substring(0, id.length() - 16)
            + String.format("%016X", Long.parseLong(id.substring(id.length() - 16), 16) + 3);
        Refused.with(run, Refused.SYSTEM_ERROR, "view of " + inside + ", inside a record",
            () -> view(producer, topic, inside));
    }

    private static Letter compressed(Run run, DefaultMQProducer producer, MessageQueue queue) throws Exception {
        byte[] body = new byte[100_000];
        new Random(7).nextBytes(body);
        java.util.Arrays.fill(body, 1_000, 90_000, (byte) 'x');
        Letter letter = Letter.of(new Message(queue.getTopic(), body), queue, EACH);
        letter.checkAccepted(run, producer.send(letter.message, queue));
        return letter;
    }

    /** Below the producer's own method, which hides a refusal behind a search by key. */
    private static MessageExt view(DefaultMQProducer producer, String topic, String id) throws Exception {
        return producer.getDefaultMQProducerImpl().viewMessage(topic, id);
    }
}
