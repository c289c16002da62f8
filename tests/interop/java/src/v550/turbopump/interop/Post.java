package turbopump.interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Letters sent one by one to chosen queues, and the comparison with arrivals whose order is not promised. */
final class Post {
    private static final int MAX_BODY = 1_500;

    private Post() {
    }

    /** `each` letters to every queue; in each the first must get queue offset `first`, the others follow it. */
    static Map<MessageQueue, List<Letter>> send(Run run, DefaultMQProducer producer, List<MessageQueue> queues,
            int first, int each) throws Exception {
        Map<MessageQueue, List<Letter>> sent = new LinkedHashMap<>();
        for (MessageQueue queue : queues) {
            sent.put(queue, send(run, producer, queue, first, each));
        }
        return sent;
    }

    static List<Letter> send(Run run, DefaultMQProducer producer, MessageQueue queue, int first, int count)
            throws Exception {
        Random random = run.random(queue.hashCode() + first);
        List<Letter> letters = new ArrayList<>();
        for (int i = first; i < first + count; i++) {
            Letter letter = Letter.write(queue.getTopic(), queue, i, MAX_BODY, random);
            letter.checkAccepted(run, producer.send(letter.message, queue));
            run.same((long) i, letter.result.getQueueOffset(), "queue offset of send " + i + " to " + queue);
            letters.add(letter);
        }
        return letters;
    }

    static int count(Map<MessageQueue, List<Letter>> sent) {
        return sent.values().stream().mapToInt(List::size).sum();
    }

    static List<Letter> all(Map<MessageQueue, List<Letter>> sent) {
        List<Letter> letters = new ArrayList<>();
        sent.values().forEach(letters::addAll);
        return letters;
    }

    /** Every letter arrived once and unchanged, and nothing else did. */
    static void checkEachOnce(Run run, Collection<Letter> sent, Mailbox mailbox) {
        Map<String, Letter> missing = new TreeMap<>();
        sent.forEach(letter -> missing.put(uniqueId(letter), letter));
        run.same(sent.size(), missing.size(), "different ids among the messages sent");
        for (MessageExt seen : mailbox.all()) {
            Letter letter = missing.remove(seen.getMsgId());
            if (letter == null) {
                run.fail("message " + seen.getKeys() + " of queue " + seen.getQueueId() + " at " + seen.getQueueOffset()
                    + " arrived twice or was never sent");
            } else {
                letter.checkArrived(run, seen);
            }
        }
        for (Letter letter : missing.values()) {
            run.fail("message #" + letter.sequence + " for " + letter.queue + " did not arrive");
        }
    }

    /** Queue offsets of what arrived from a queue are `first`, `first` + 1, … in any order. */
    static void checkContiguous(Run run, MessageQueue queue, long first, Mailbox mailbox) {
        List<Long> seen = new ArrayList<>();
        mailbox.of(queue).forEach(message -> seen.add(message.getQueueOffset()));
        seen.sort(null);
        for (int i = 0; i < seen.size(); i++) {
            if (seen.get(i) != first + i) {
                run.fail("queue offsets from " + queue + ": expected " + (first + i) + ", saw " + seen.get(i));
                return;
            }
        }
    }

    private static String uniqueId(Letter letter) {
        return String.valueOf(letter.message.getProperty("UNIQ_KEY"));
    }
}
