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
 * A place is a queue and an offset in it. Safe for all threads of the clients. It keeps no bodies.
 */
final class Ledger {
    /** Kinds of failures that are told one by one. */
    private static final int MAX_KINDS = 12;
    /** The client sends a message so often at most, unless its caller sends it again. */
    private static final int CLIENTS_ATTEMPTS = 3;

    /** What arrived, as far as it is needed later: messages with their bodies would fill the heap. */
    private record Arrival(String id, int sequence) {
    }

    /** How often each was sent, at most. */
    private final Map<String, Integer> sent = new HashMap<>();
    private final Map<String, String> acknowledged = new HashMap<>();
    private final Map<String, String> brokers = new HashMap<>();
    private final Map<String, Set<String>> arrived = new HashMap<>();
    private final Map<MessageQueue, TreeMap<Long, Arrival>> queues = new HashMap<>();
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
        sent(id, CLIENTS_ATTEMPTS);
    }

    /** With the number of attempts: each may have stored it once. */
    synchronized void sent(String id, int attempts) {
        sent.put(id, attempts);
    }

    /** The clocks of the pauses start anew: what lies between two rounds of sends is no outage. */
    synchronized void begin() {
        lastAcknowledged = System.nanoTime();
        lastArrival = lastAcknowledged;
    }

    /** Another status than SEND_OK is a promise less, and counts as a failure: false. */
    synchronized boolean accepted(String id, SendResult result, long began) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            refused("status " + result.getSendStatus());
            return false;
        }
        long now = System.nanoTime();
        longestSend = Math.max(longestSend, now - began);
        longestPause = Math.max(longestPause, now - lastAcknowledged);
        lastAcknowledged = now;
        acknowledged.put(id, place(result.getMessageQueue(), result.getQueueOffset()));
        brokers.put(id, result.getMessageQueue().getBrokerName());
        return true;
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
        TreeMap<Long, Arrival> before = queues.computeIfAbsent(queue, absent -> new TreeMap<>());
        boolean isLate = !before.isEmpty() && before.lastKey() > message.getQueueOffset();
        Arrival arrival = new Arrival(message.getMsgId(), sequence(message));
        if (before.putIfAbsent(message.getQueueOffset(), arrival) == null && isLate) {
            disordered++;
        }
    }

    /**
     * Acknowledged messages that stand behind one that was sent later. What was sent in vain may be stored at any time, as
     * long as a connection keeps it.
     */
    private long behindLater() {
        long behind = 0;
        for (Map.Entry<MessageQueue, TreeMap<Long, Arrival>> queue : queues.entrySet()) {
            int latest = -1;
            for (Map.Entry<Long, Arrival> entry : queue.getValue().entrySet()) {
                Arrival message = entry.getValue();
                if (place(queue.getKey(), entry.getKey()).equals(acknowledged.get(message.id()))) {
                    behind += message.sequence() < latest ? 1 : 0;
                    latest = Math.max(latest, message.sequence());
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
        // More copies than attempts: somebody else has sent it again.
        long unsent = 0;
        for (Map.Entry<String, Set<String>> entry : arrived.entrySet()) {
            places += entry.getValue().size();
            strangers += sent.containsKey(entry.getKey()) ? 0 : 1;
            unsent += Math.max(0, entry.getValue().size() - sent.getOrDefault(entry.getKey(), Integer.MAX_VALUE));
            unpromised += acknowledged.containsKey(entry.getKey()) ? 0 : 1;
        }
        long misplaced = 0;
        for (Map.Entry<String, String> entry : acknowledged.entrySet()) {
            Set<String> found = arrived.get(entry.getKey());
            misplaced += found == null || found.contains(entry.getValue()) ? 0 : 1;
        }
        long lost = missing().values().stream().mapToInt(Integer::intValue).sum();
        return sends() + " lost=" + lost + " misplaced=" + misplaced + " strangers=" + strangers + " unpromised="
            + unpromised + " stored_twice=" + (places - arrived.size()) + " stored_unsent=" + unsent
            + " delivered_twice=" + (deliveries - places) + " disordered=" + (disordered + behindLater())
            + " longest_send_ms=" + longestSend / 1_000_000 + " longest_pause_ms=" + longestPause / 1_000_000
            + " longest_silence_ms=" + longestSilence / 1_000_000;
    }

    /** A stranger need not have one. */
    private static int sequence(MessageExt message) {
        String sequence = message.getProperty(Outage.SEQUENCE);
        return sequence == null ? -1 : Integer.parseInt(sequence);
    }

    private static String place(MessageQueue queue, long offset) {
        return queue.getBrokerName() + "/" + queue.getQueueId() + "@" + offset;
    }
}
