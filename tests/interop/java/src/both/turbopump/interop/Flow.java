package turbopump.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends at an even pace until it is told to be still: a thread for each queue, which sends one message after the other. What was
 * not sent in time, because sends took longer, is not made up for.
 */
final class Flow {
    /** What a ledger of this size takes of the heap is about 200 MB. */
    private static final int MOST = 300_000;
    /** Between two lines of progress. */
    private static final long SAID_EVERY = TimeUnit.SECONDS.toNanos(1);

    private final Run run;
    private final Predicate<MessageQueue> send;
    /** Nanoseconds from one message of a queue to the next. */
    private final long pace;
    private final List<Thread> threads = new ArrayList<>();
    private boolean isOver;
    private int sent;
    private long acknowledged;
    private long lastSaid;

    /**
     * Begins. `rate` is messages a second over all queues; `send` sends one message to a queue, and says whether it was
     * acknowledged.
     */
    Flow(Run run, List<MessageQueue> queues, int rate, Predicate<MessageQueue> send) {
        if (rate < 1) {
            throw new IllegalArgumentException("a flow has at least one message a second, not " + rate);
        }
        this.run = run;
        this.send = send;
        pace = TimeUnit.SECONDS.toNanos(queues.size()) / rate;
        long begin = System.nanoTime();
        lastSaid = begin - SAID_EVERY;
        for (int i = 0; i < queues.size(); i++) {
            MessageQueue queue = queues.get(i);
            long first = begin + i * pace / queues.size();
            Thread thread = new Thread(() -> flow(queue, first), "flow-" + queue.getQueueId());
            // Whoever looks at this process sees its end; a queue that is silent nobody would see.
            thread.setUncaughtExceptionHandler((dead, e) -> giveUp("exception in " + dead.getName() + ": " + e));
            threads.add(thread);
        }
        threads.forEach(Thread::start);
    }

    /** Begins no more messages, and waits for the answers to those that are under way. */
    void still() throws InterruptedException {
        synchronized (this) {
            isOver = true;
            notifyAll();
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private void flow(MessageQueue queue, long first) {
        for (long next = first; mayBeginAt(next); next = Math.max(next + pace, System.nanoTime())) {
            if (send.test(queue)) {
                acknowledged();
            }
        }
    }

    /** Waits until then; false if it is to be still. */
    private synchronized boolean mayBeginAt(long then) {
        try {
            for (long left = then - System.nanoTime(); left > 0 && !isOver; left = then - System.nanoTime()) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts a flow", e);
        }
        if (!isOver && ++sent > MOST) {
            giveUp("more than " + MOST + " messages cannot be remembered: take a lower rate or less time");
        }
        return !isOver;
    }

    /** A line with all that was acknowledged, once a second at most: each says that something was, just then. */
    private synchronized void acknowledged() {
        acknowledged++;
        long now = System.nanoTime();
        if (now - lastSaid >= SAID_EVERY) {
            lastSaid = now;
            Outage.say("FLOWED " + acknowledged);
        }
    }

    private void giveUp(String why) {
        run.fail(why);
        System.out.flush();
        Runtime.getRuntime().halt(1);
    }
}
