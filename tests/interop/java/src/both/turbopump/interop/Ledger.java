package turbopump.interop;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * What became of messages: sent, acknowledged, arrived, each by the unique id that a client keeps over its own retries.
 * A place is a queue and an offset in it. Safe for all threads of the clients.
 */
final class Ledger {
    /** Kinds of failures that are told one by one. */
    private static final int MAX_KINDS = 12;

    private final Set<String> sent = new HashSet<>();
    private final Map<String, String> acknowledged = new HashMap<>();
    private final Map<String, String> brokers = new HashMap<>();
    private final Map<String, Set<String>> arrived = new HashMap<>();
    private final Map<MessageQueue, TreeMap<Long, MessageExt>> queues = new HashMap<>();
    private final Map<String, Integer> failures = new TreeMap<>();
    private long deliveries;
    private long failed;
    private long disordered;
    private long longestSend;
    private long lastAcknowledged;
    private long longestPause;
    private long lastArrival;
    private long longestSilence;

    synchronized void sent(String id) {
        sent.add(id);
    }

    /** The clocks of the pauses start anew: what lies between two rounds of sends is no outage. */
    synchronized void begin() {
        lastAcknowledged = System.nanoTime();
        lastArrival = lastAcknowledged;
    }

    /** Another status than SEND_OK is a promise less, and counts as a failure. */
    synchronized void accepted(String id, SendResult result, long began) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            refused("status " + result.getSendStatus());
            return;
        }
        long now = System.nanoTime();
        longestSend = Math.max(longestSend, now - began);
        longestPause = Math.max(longestPause, now - lastAcknowledged);
        lastAcknowledged = now;
        acknowledged.put(id, place(result.getMessageQueue(), result.getQueueOffset()));
        brokers.put(id, result.getMessageQueue().getBrokerName());
    }

    synchronized void refused(String why) {
        failed++;
        if (failures.size() < MAX_KINDS || failures.containsKey(why)) {
            failures.merge(why, 1, Integer::sum);
        }
    }

    synchronized void arrived(MessageExt message) {
        long now = System.nanoTime();
        longestSilence = Math.max(longestSilence, now - lastArrival);
        lastArrival = now;
        deliveries++;
        MessageQueue queue = new MessageQueue(message.getTopic(), message.getBrokerName(), message.getQueueId());
        arrived.computeIfAbsent(message.getMsgId(), absent -> new HashSet<>())
            .add(place(queue, message.getQueueOffset()));
        TreeMap<Long, MessageExt> before = queues.computeIfAbsent(queue, absent -> new TreeMap<>());
        boolean isLate = !before.isEmpty() && before.lastKey() > message.getQueueOffset();
        if (before.putIfAbsent(message.getQueueOffset(), message) == null && isLate) {
            disordered++;
        }
    }

    /**
     * Acknowledged messages that stand behind one that was sent later. What was sent in vain may be stored at any time, as
     * long as a connection keeps it.
     */
    private long behindLater() {
        long behind = 0;
        for (Map.Entry<MessageQueue, TreeMap<Long, MessageExt>> queue : queues.entrySet()) {
            int latest = -1;
            for (MessageExt message : queue.getValue().values()) {
                if (place(queue.getKey(), message.getQueueOffset()).equals(acknowledged.get(message.getMsgId()))) {
                    behind += sequence(message) < latest ? 1 : 0;
                    latest = Math.max(latest, sequence(message));
                }
            }
        }
        return behind;
    }

    synchronized long done() {
        return acknowledged.size() + failed;
    }

    synchronized long failed() {
        return failed;
    }

    /** The ids of all acknowledged messages. */
    synchronized Set<String> acknowledged() {
        return new HashSet<>(acknowledged.keySet());
    }

    synchronized String sends() {
        return "sent=" + sent.size() + " acknowledged=" + acknowledged.size() + " failed=" + failed;
    }

    /** Acknowledged messages that have not arrived, by the broker name that acknowledged them. */
    synchronized Map<String, Integer> missing() {
        Map<String, Integer> missing = new TreeMap<>();
        for (String id : acknowledged.keySet()) {
            if (!arrived.containsKey(id)) {
                missing.merge(brokers.get(id), 1, Integer::sum);
            }
        }
        return missing;
    }

    /** Failed sends by their reason. */
    synchronized Map<String, Integer> failures() {
        return new TreeMap<>(failures);
    }

    /** Everything that was counted, as `key=number` words. */
    synchronized String counts() {
        long places = 0;
        long strangers = 0;
        long unpromised = 0;
        for (Map.Entry<String, Set<String>> entry : arrived.entrySet()) {
            places += entry.getValue().size();
            strangers += sent.contains(entry.getKey()) ? 0 : 1;
            unpromised += acknowledged.containsKey(entry.getKey()) ? 0 : 1;
        }
        long misplaced = 0;
        for (Map.Entry<String, String> entry : acknowledged.entrySet()) {
            Set<String> found = arrived.get(entry.getKey());
            misplaced += found == null || found.contains(entry.getValue()) ? 0 : 1;
        }
        long lost = missing().values().stream().mapToInt(Integer::intValue).sum();
        return sends() + " lost=" + lost + " misplaced=" + misplaced + " strangers=" + strangers + " unpromised="
            + unpromised + " stored_twice=" + (places - arrived.size()) + " delivered_twice=" + (deliveries - places)
            + " disordered=" + (disordered + behindLater()) + " longest_send_ms=" + longestSend / 1_000_000 + " longest_pause_ms="
            + longestPause / 1_000_000 + " longest_silence_ms=" + longestSilence / 1_000_000;
    }

    private static int sequence(MessageExt message) {
        return Integer.parseInt(message.getProperty(Outage.SEQUENCE));
    }

    private static String place(MessageQueue queue, long offset) {
        return queue.getBrokerName() + "/" + queue.getQueueId() + "@" + offset;
    }
}
