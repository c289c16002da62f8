package turbopump.interop;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A message with everything in it that must come back unchanged, and what the broker said when it took it. */
final class Letter {
    final Message message;
    final MessageQueue queue;
    /** Position among the letters of its queue, from 0. */
    final int sequence;
    volatile SendResult result;

    private Letter(Message message, MessageQueue queue, int sequence) {
        this.message = message;
        this.queue = queue;
        this.sequence = sequence;
    }

    /** A body of 1 to `maxBody` random bytes, a tag, two keys, a flag and user properties outside ASCII. */
    static Letter write(String topic, MessageQueue queue, int sequence, int maxBody, Random random) {
        byte[] body = new byte[1 + random.nextInt(maxBody)];
        random.nextBytes(body);
        String key = queue.getBrokerName() + "-" + queue.getQueueId() + "-" + sequence;
        Message message = new Message(topic, "tag" + sequence % 7, key + " second" + sequence, body);
        message.setFlag(sequence);
        message.putUserProperty("sequence", Integer.toString(sequence));
        message.putUserProperty("mixed", "größe 数 =;,&{}\" " + sequence);
        return new Letter(message, queue, sequence);
    }

    static Letter of(Message message, MessageQueue queue, int sequence) {
        return new Letter(message, queue, sequence);
    }

    void checkAccepted(Run run, SendResult seen) {
        result = seen;
        String what = "send " + queue.getQueueId() + "/" + sequence;
        run.same(SendStatus.SEND_OK, seen.getSendStatus(), what + " status");
        run.same(queue, seen.getMessageQueue(), what + " queue");
        run.expect(seen.getMsgId() != null && !seen.getMsgId().isEmpty(), what + " has no msgId");
        String offsetId = seen.getOffsetMsgId();
        run.expect(offsetId != null && offsetId.length() >= 32, what + " has offsetMsgId " + offsetId);
    }

    /** Compares what a consumer got with what was sent and with what the broker answered. */
    void checkArrived(Run run, MessageExt seen) {
        String what = "message " + queue + " #" + sequence;
        run.same(queue.getBrokerName(), seen.getBrokerName(), what + " broker name");
        run.same(queue.getQueueId(), seen.getQueueId(), what + " queue id");
        run.expect(Arrays.equals(message.getBody(), seen.getBody()), what + " body differs: sent "
            + message.getBody().length + " bytes, saw " + seen.getBody().length);
        run.same(message.getTags(), seen.getTags(), what + " tags");
        run.same(message.getKeys(), seen.getKeys(), what + " keys");
        run.same(message.getFlag(), seen.getFlag(), what + " flag");
        for (Map.Entry<String, String> property : message.getProperties().entrySet()) {
            run.same(property.getValue(), seen.getProperty(property.getKey()), what + " property " + property.getKey());
        }
        run.expect(seen.getStoreTimestamp() >= seen.getBornTimestamp() - 5_000, what + " stored before it was born");
        run.expect(seen.getStoreSize() > message.getBody().length / 64, what + " store size " + seen.getStoreSize());
        run.same(0, seen.getReconsumeTimes(), what + " reconsume times");
        if (result != null) {
            run.same(result.getMsgId(), seen.getMsgId(), what + " unique id");
            run.same(result.getQueueOffset(), seen.getQueueOffset(), what + " queue offset");
            checkOffsetId(run, seen, what);
        }
    }

    /** An offset message id is the store host followed by the physical offset. */
    private void checkOffsetId(Run run, MessageExt seen, String what) {
        ByteBuffer id = ByteBuffer.allocate(64);
        String text = result.getOffsetMsgId().split(",")[0];
        for (int i = 0; i < text.length(); i += 2) {
            id.put((byte) Integer.parseInt(text.substring(i, i + 2), 16));
        }
        id.flip();
        long physical = id.getLong(id.limit() - 8);
        run.same(physical, seen.getCommitLogOffset(), what + " physical offset of " + text);
        run.same(seen.getStoreHost(), host(id), what + " store host of " + text);
    }

    private static java.net.InetSocketAddress host(ByteBuffer id) {
        byte[] address = new byte[id.limit() - 12];
        id.get(address);
        int port = id.getInt();
        try {
            return new java.net.InetSocketAddress(java.net.InetAddress.getByAddress(address), port);
        } catch (java.net.UnknownHostException e) {
            throw new IllegalArgumentException("an address of " + address.length + " bytes", e);
        }
    }
}
