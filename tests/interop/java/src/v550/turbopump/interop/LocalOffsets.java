package turbopump.interop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Where broadcasting consumers of this process keep their offsets: the client reads the property once. */
final class LocalOffsets {
    private static final String PROPERTY = "rocketmq.client.localOffsetStoreDir";
    private static boolean chosen;

    private LocalOffsets() {
    }

    /** Must come before the first broadcasting consumer of the process; the directory goes when the run closes. */
    static synchronized void intoTemporaryDirectory(Run run) throws IOException {
        if (chosen) {
            return;
        }
        chosen = true;
        Path directory = Files.createTempDirectory("turbopump-interop-offsets");
        System.setProperty(PROPERTY, directory.toString());
        run.closeLater(() -> delete(directory));
    }

    private static void delete(Path directory) {
        try (Stream<Path> walk = Files.walk(directory)) {
            List<Path> deepestFirst = walk.sorted(Comparator.reverseOrder()).collect(Collectors.toList());
            for (Path path : deepestFirst) {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new IllegalStateException("cannot remove " + directory, e);
        }
    }
}
