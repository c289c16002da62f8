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

    private Refused() {
    }

    @FunctionalInterface
    interface Action {
        void run() throws Exception;
    }

    static void with(Run run, int code, String what, Action action) throws InterruptedException {
        try {
            action.run();
            run.fail(what + ": expected a refusal with code " + code + ", saw success");
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            same(run, code, what, e);
        }
    }

    static void same(Run run, int code, String what, Throwable seen) {
        if (seen instanceof MQBrokerException) {
            run.same(code, ((MQBrokerException) seen).getResponseCode(), what + ": code of " + seen);
        } else if (seen instanceof MQClientException) {
            run.same(code, ((MQClientException) seen).getResponseCode(), what + ": code of " + seen);
        } else {
            run.fail(what + ": expected a refusal with code " + code + ", saw " + seen);
        }
    }
}
