package turbopump.interop;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * What an acknowledgement promised, as one line of text:
 * `topic queueId queueOffset offsetMsgId brokerName bodyhash`, the hash being SHA-256 of the body in hex.
 */
record Receipt(MessageQueue queue, long offset, String offsetId, String hash) {
    private static final int WORDS = 6;

    static Receipt of(SendResult result, byte[] body) {
        return new Receipt(result.getMessageQueue(), result.getQueueOffset(), result.getOffsetMsgId(), hash(body));
    }

    String line() {
        return String.join(" ", queue.getTopic(), Integer.toString(queue.getQueueId()), Long.toString(offset), offsetId,
            queue.getBrokerName(), hash);
    }

    /** Bytes from the start of the log, the last 8 bytes of the id. */
    long physicalOffset() {
        return Long.parseUnsignedLong(offsetId.substring(offsetId.length() - 16), 16);
    }

    /**
     * All receipts of a file. A last line without an end was being written when the writer died, and does not
     * count; neither do the lines that say how a check ended.
     */
    static List<Receipt> read(Path file) throws Exception {
        String text = Files.readString(file, StandardCharsets.UTF_8);
        List<Receipt> receipts = new ArrayList<>();
        for (String line : text.substring(0, text.lastIndexOf('\n') + 1).split("\n")) {
            if (!line.isEmpty() && !line.startsWith("OK ") && !line.startsWith("FAIL ")) {
                receipts.add(parse(line));
            }
        }
        return receipts;
    }

    private static Receipt parse(String line) {
        String[] words = line.split(" ");
        if (words.length != WORDS) {
            throw new IllegalArgumentException("a receipt has " + WORDS + " words, not '" + line + "'");
        }
        MessageQueue queue = new MessageQueue(words[0], words[4], Integer.parseInt(words[1]));
        return new Receipt(queue, Long.parseLong(words[2]), words[3], words[5]);
    }

    static String hash(byte[] body) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
