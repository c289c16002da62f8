package turbopump.interop;

import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * `Main NAMESRV CHECK ID [key=value ...]`: runs one check against a running cluster. Prints `FAIL CHECK: ...` for
 * each failure, `OK CHECK` if there is none; exit code 0 or 1. Option `deadline` (seconds) bounds it.
 */
public final class Main {
    private Main() {
    }

    public static void main(String[] words) {
        if (words.length < 3) {
            System.out.println("usage: Main NAMESRV CHECK ID [key=value ...]; checks: " + ClientVersion.CHECKS.keySet());
            System.exit(2);
        }
        Map<String, String> options = Run.parse(words, 3);
        Run run = new Run(words[0], words[1], words[2], options);
        Check check = ClientVersion.CHECKS.get(run.check);
        if (check == null) {
            System.out.println("FAIL " + run.check + ": no such check; there are " + ClientVersion.CHECKS.keySet());
            System.exit(2);
        }
        bound(run, run.intOption("deadline", 120));
        try {
            check.run(run);
        } catch (Throwable e) {
            run.fail("exception " + e);
            e.printStackTrace();
        }
        run.close();
        if (run.failures() == 0) {
            System.out.println("OK " + run.check);
        }
        System.out.flush();
        Runtime.getRuntime().halt(run.failures() == 0 ? 0 : 1);
    }

    private static void bound(Run run, int seconds) {
        Thread watchdog = new Thread(() -> {
            try {
                Thread.sleep(TimeUnit.SECONDS.toMillis(seconds));
            } catch (InterruptedException e) {
                return;
            }
            run.fail("not finished within its deadline of " + seconds + " s");
            for (StackTraceElement frame : mainStack()) {
                System.err.println("    at " + frame);
            }
            System.out.flush();
            Runtime.getRuntime().halt(1);
        }, "deadline");
        watchdog.setDaemon(true);
        watchdog.start();
    }

    private static StackTraceElement[] mainStack() {
        for (Map.Entry<Thread, StackTraceElement[]> entry : Thread.getAllStackTraces().entrySet()) {
            if (entry.getKey().getName().equals("main")) {
                return entry.getValue();
            }
        }
        return new StackTraceElement[0];
    }
}
