package turbopump.interop;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;

/** Requests that a server must refuse, and with which response code. */
final class Refused {
    static final int SYSTEM_ERROR = 1;
    static final int MESSAGE_ILLEGAL = 13;
    static final int NO_PERMISSION = 16;
    static final int TOPIC_NOT_EXIST = 17;
    static final int QUERY_NOT_FOUND = 22;
    static final int INVALID_PARAMETER = 29;
    /** The client's own: the route has no queue to send to. */
    static final int NO_QUEUE_TO_SEND_TO = 10_005;
    private static final int NONE = -1;

    private Refused() {
    }

    @FunctionalInterface
    interface Action {
        void run() throws Exception;
    }

    static void with(Run run, int code, String what, Action action) throws InterruptedException {
        withEither(run, code, code, what, action);
    }

    static void withEither(Run run, int code, int other, String what, Action action) throws InterruptedException {
        try {
            action.run();
            run.fail(what + ": expected a refusal with code " + code + ", saw success");
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            same(run, code(e) == other ? other : code, what, e);
        }
    }

    static void same(Run run, int code, String what, Throwable seen) {
        int seenCode = code(seen);
        if (seenCode != code) {
            run.fail(what + ": expected a refusal with code " + code + ", saw " + seenCode + ": " + seen);
        }
    }

    /** The broker's response code or the client's own; {@link #NONE} if the failure has none. */
    private static int code(Throwable failure) {
        if (failure instanceof MQBrokerException) {
            return ((MQBrokerException) failure).getResponseCode();
        }
        return failure instanceof MQClientException ? ((MQClientException) failure).getResponseCode() : NONE;
    }
}
