package turbopump.interop;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Reads the receipts in the file that option `file` names and pulls from each queue: at every receipt's offset
 * there must be that body, at the physical offset of the receipt's id. Further messages are allowed.
 */
@SuppressWarnings("deprecation")
final class Verify {
    private Verify() {
    }

    static void check(Run run) throws Exception {
        String file = run.option("file", "");
        if (file.isEmpty()) {
            run.fail("expected an option file=PATH with receipts, saw none");
            return;
        }
        Map<MessageQueue, TreeMap<Long, Receipt>> promised = new TreeMap<>();
        List<Receipt> receipts = Receipt.read(Path.of(file));
        run.expect(!receipts.isEmpty(), "expected receipts in " + file + ", saw none");
        for (Receipt receipt : receipts) {
            Receipt other = promised.computeIfAbsent(receipt.queue(), absent -> new TreeMap<>())
                .put(receipt.offset(), receipt);
            run.expect(other == null, "offset " + receipt.offset() + " of " + receipt.queue() + " was promised twice");
        }
        DefaultMQPullConsumer consumer = run.pullConsumer(run.name("g"));
        long seen = 0;
        for (Map.Entry<MessageQueue, TreeMap<Long, Receipt>> entry : promised.entrySet()) {
            seen += checkQueue(run, consumer, entry.getKey(), entry.getValue());
        }
        System.err.println("found " + seen + " of " + receipts.size() + " promised messages");
    }

    /** Returns how many were there as promised. */
    private static long checkQueue(Run run, DefaultMQPullConsumer consumer, MessageQueue queue,
            TreeMap<Long, Receipt> promised) throws Exception {
        long found = 0;
        long offset = promised.firstKey();
        while (offset <= promised.lastKey()) {
            PullResult result = consumer.pull(queue, "*", offset, 32);
            if (result.getPullStatus() != PullStatus.FOUND) {
                run.fail("pull at " + offset + " from " + queue + " with promises up to " + promised.lastKey()
                    + ": expected FOUND, saw " + result);
                return found;
            }
            for (MessageExt message : result.getMsgFoundList()) {
                run.same(offset, message.getQueueOffset(), "next offset from " + queue);
                offset = message.getQueueOffset() + 1;
                Receipt receipt = promised.get(message.getQueueOffset());
                if (receipt != null && matches(run, receipt, message)) {
                    found++;
                }
            }
        }
        return found;
    }

    private static boolean matches(Run run, Receipt receipt, MessageExt message) {
        String hash = Receipt.hash(message.getBody());
        String what = " of offset " + receipt.offset() + " in " + receipt.queue();
        run.same(receipt.hash(), hash, "body hash" + what);
        run.same(receipt.physicalOffset(), message.getCommitLogOffset(), "physical offset" + what);
        return receipt.hash().equals(hash) && receipt.physicalOffset() == message.getCommitLogOffset();
    }
}
