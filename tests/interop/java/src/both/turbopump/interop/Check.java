package turbopump.interop;

/** One named check. It reports what is wrong through {@link Run#fail}; an exception is a failure as well. */
@FunctionalInterface
public interface Check {
    void run(Run run) throws Exception;
}
