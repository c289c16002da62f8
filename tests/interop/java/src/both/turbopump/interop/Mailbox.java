package turbopump.interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What arrived, in the order of arrival for each queue. Safe for the client's listener threads. */
final class Mailbox {
    private final Map<MessageQueue, List<MessageExt>> byQueue = new HashMap<>();
    private int total;

    synchronized void add(MessageExt message) {
        MessageQueue queue = new MessageQueue(message.getTopic(), message.getBrokerName(), message.getQueueId());
        byQueue.computeIfAbsent(queue, absent -> new ArrayList<>()).add(message);
        total++;
    }

    synchronized int total() {
        return total;
    }

    synchronized List<MessageExt> of(MessageQueue queue) {
        return new ArrayList<>(byQueue.getOrDefault(queue, new ArrayList<>()));
    }

    synchronized List<MessageExt> all() {
        List<MessageExt> all = new ArrayList<>();
        byQueue.values().forEach(all::addAll);
        return all;
    }

    /** How often each property value `key` arrived. */
    synchronized TreeMap<String, Integer> countBy(String key) {
        TreeMap<String, Integer> counts = new TreeMap<>();
        for (MessageExt message : all()) {
            counts.merge(String.valueOf(message.getProperty(key)), 1, Integer::sum);
        }
        return counts;
    }

    synchronized TreeSet<String> uniqueIds() {
        TreeSet<String> ids = new TreeSet<>();
        for (MessageExt message : all()) {
            ids.add(message.getMsgId());
        }
        return ids;
    }

    /** Each letter once, in the order it was sent, at contiguous queue offsets from `firstOffset`. */
    void checkQueue(Run run, MessageQueue queue, List<Letter> sent, long firstOffset) {
        List<MessageExt> seen = of(queue);
        run.same(sent.size(), seen.size(), "messages consumed from " + queue);
        for (int i = 0; i < Math.min(sent.size(), seen.size()); i++) {
            run.same(firstOffset + i, seen.get(i).getQueueOffset(), "queue offset of arrival " + i + " from " + queue);
            sent.get(i).checkArrived(run, seen.get(i));
        }
    }
}
