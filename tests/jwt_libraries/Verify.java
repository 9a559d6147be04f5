// Verifies tokens with nothing but the JDK, through the classes that applications take along.
//
//     javac -d CLASSES examples/java/App.java Verify.java
//     java -cp CLASSES Verify KEYS ISSUER AUDIENCE
//
// KEYS is the file of a key set. Reads tokens from standard input, one a line. Prints a line for each: {"claims": ...} or
// {"refused": reason}.

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

class Verify {
    public static void main(String[] arguments) throws IOException, NotValid {
        Map<String, Map<String, Object>> keys = KeySet.keysOf(Files.readAllBytes(Path.of(arguments[0])));
        TokenVerifier.Keys find = kid -> {
            if (!keys.containsKey(kid)) {
                throw new NotValid("no key with this kid");
            }
            return keys.get(kid);
        };
        TokenVerifier verifier = new TokenVerifier(find, arguments[1], arguments[2]);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String token = input.readLine(); token != null; token = input.readLine()) {
            Map<String, ?> judged;
            try {
                judged = Map.of("claims", verifier.verify(token, Instant.now()));
            } catch (NotValid error) {
                judged = Map.of("refused", error.getMessage());
            }
            output.println(json(judged));
        }
    }

    private static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                .map(entry -> json(entry.getKey()) + ":" + json(entry.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof List<?> list) {
            return list.stream().map(Verify::json).collect(Collectors.joining(",", "[", "]"));
        }
        if (value instanceof String text) {
            return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
        }
        return String.valueOf(value);
    }
}
