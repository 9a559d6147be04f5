// An application behind wxgate that trusts nothing but the signed token. Needs a JDK 17 or newer and nothing else.
//
//     WXGATE_ISSUER=https://www.example.com WXGATE_AUDIENCE=www.example.com java App.java
//
// Copy the class `TokenVerifier` into your application. It knows ES256, EdDSA and RS256.

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

public class App {
    public static void main(String[] arguments) throws IOException {
        String issuer = environment("WXGATE_ISSUER", "http://127.0.0.1:9500");
        String audience = environment("WXGATE_AUDIENCE", "127.0.0.1");
        String jwksUrl = environment("WXGATE_JWKS_URL", "http://127.0.0.1:9500/_wxgate/jwks");
        int port = Integer.parseInt(environment("PORT", "8080"));

        KeySet keys = new KeySet(URI.create(jwksUrl));
        TokenVerifier verifier = new TokenVerifier(keys::key, issuer, audience);

        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            int status = 200;
            String text;
            try {
                String token = exchange.getRequestHeaders().getFirst("X-Wxgate-Jwt-Assertion");
                Map<String, Object> claims = verifier.verify(token, Instant.now());
                text = "Hello " + claims.get("openid") + "\n";
            } catch (NotValid error) {
                System.err.println("token refused: " + error.getMessage());
                status = 401;
                text = "Who are you?\n";
            }
            byte[] body = text.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
            exchange.getResponseHeaders().set("Cache-Control", "no-store");
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}

/** The token proves nothing; the message says why, without repeating what somebody sent. */
class NotValid extends Exception {
    NotValid(String reason) {
        super(reason);
    }
}

/** Checks signature, issuer, audience and time of a token. */
class TokenVerifier {
    /** How far the clocks of gateway and application may differ. */
    private static final Duration LEEWAY = Duration.ofSeconds(30);

    /** Finds the key with this `kid`. */
    interface Keys {
        Map<String, Object> key(String kid) throws NotValid;
    }

    private final Keys keys;
    private final String issuer;
    private final String audience;

    TokenVerifier(Keys keys, String issuer, String audience) {
        this.keys = keys;
        this.issuer = issuer;
        this.audience = audience;
    }

    /** The claims of a valid token. */
    Map<String, Object> verify(String token, Instant now) throws NotValid {
        String[] parts = token == null ? new String[0] : token.split("\\.", -1);
        if (parts.length != 3) {
            throw new NotValid("token does not have three parts");
        }
        Map<String, Object> header = Json.object(decode(parts[0]));
        if (!(header.get("kid") instanceof String kid)) {
            throw new NotValid("token names no key");
        }
        Map<String, Object> key = keys.key(kid);
        // The key decides on the algorithm, never the token alone.
        if (!(key.get("alg") instanceof String algorithm)
                || !algorithm.equals(header.get("alg"))
                || header.containsKey("crit")) {
            throw new NotValid("token and key do not fit");
        }
        byte[] signed = (parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII);
        if (!isSignedBy(key, algorithm, signed, decode(parts[2]))) {
            throw new NotValid("signature is wrong");
        }
        Map<String, Object> claims = Json.object(decode(parts[1]));
        check(claims, now);
        return claims;
    }

    private void check(Map<String, Object> claims, Instant now) throws NotValid {
        if (!issuer.equals(claims.get("iss"))) {
            throw new NotValid("another issuer");
        }
        Object audiences = claims.get("aud");
        boolean isForUs = audiences instanceof List<?> list ? list.contains(audience) : audience.equals(audiences);
        if (!isForUs) {
            throw new NotValid("another audience");
        }
        if (!(claims.get("sub") instanceof String) || !(claims.get("openid") instanceof String)) {
            throw new NotValid("names nobody");
        }
        if (!(claims.get("exp") instanceof Long expires) || now.minus(LEEWAY).getEpochSecond() > expires) {
            throw new NotValid("expired");
        }
        Object begins = claims.getOrDefault("nbf", 0L);
        if (!(begins instanceof Long first) || now.plus(LEEWAY).getEpochSecond() < first) {
            throw new NotValid("not yet valid");
        }
    }

    private static boolean isSignedBy(Map<String, Object> key, String algorithm, byte[] signed, byte[] signature)
            throws NotValid {
        try {
            Signature verifier;
            switch (algorithm) {
                case "ES256":
                    verifier = Signature.getInstance("SHA256withECDSAinP1363Format");
                    verifier.initVerify(ellipticKey(key));
                    break;
                case "EdDSA":
                    verifier = Signature.getInstance("Ed25519");
                    verifier.initVerify(edwardsKey(key));
                    break;
                case "RS256":
                    verifier = Signature.getInstance("SHA256withRSA");
                    verifier.initVerify(rsaKey(key));
                    break;
                default:
                    throw new NotValid("algorithm is not supported");
            }
            verifier.update(signed);
            return verifier.verify(signature);
        } catch (GeneralSecurityException error) {
            // A signature of the wrong length, for one.
            return false;
        }
    }

    private static PublicKey ellipticKey(Map<String, Object> key) throws GeneralSecurityException, NotValid {
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        ECPoint point = new ECPoint(number(key, "x"), number(key, "y"));
        ECParameterSpec parameters = curve.getParameterSpec(ECParameterSpec.class);
        return KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, parameters));
    }

    private static PublicKey rsaKey(Map<String, Object> key) throws GeneralSecurityException, NotValid {
        return KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(number(key, "n"), number(key, "e")));
    }

    private static PublicKey edwardsKey(Map<String, Object> key) throws GeneralSecurityException, NotValid {
        // RFC 8410: every Ed25519 key is these twelve bytes and the 32 of the key.
        byte[] start = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
        byte[] bytes = decode(text(key, "x"));
        if (bytes.length != 32) {
            throw new NotValid("key is damaged");
        }
        byte[] encoded = new byte[start.length + bytes.length];
        System.arraycopy(start, 0, encoded, 0, start.length);
        System.arraycopy(bytes, 0, encoded, start.length, bytes.length);
        return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
    }

    private static BigInteger number(Map<String, Object> key, String name) throws NotValid {
        return new BigInteger(1, decode(text(key, name)));
    }

    private static String text(Map<String, Object> key, String name) throws NotValid {
        if (key.get(name) instanceof String text) {
            return text;
        }
        throw new NotValid("key is damaged");
    }

    private static byte[] decode(String base64) throws NotValid {
        try {
            return Base64.getUrlDecoder().decode(base64);
        } catch (IllegalArgumentException error) {
            throw new NotValid("not base64url");
        }
    }
}

/**
 * The gateway's key set: kept for five minutes, and fetched once more for a `kid` it does not know, at most every ten seconds.
 */
class KeySet {
    private static final Duration KEPT = Duration.ofMinutes(5);
    private static final Duration PAUSE = Duration.ofSeconds(10);
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    private final HttpClient client = HttpClient.newBuilder().connectTimeout(PATIENCE).build();
    private final URI address;
    private Map<String, Map<String, Object>> keys = Map.of();
    private Instant fetched = Instant.MIN;
    private Instant tried = Instant.MIN;

    KeySet(URI address) {
        this.address = address;
    }

    /** The key with this `kid`. An old set is better than none while the gateway cannot be reached. */
    synchronized Map<String, Object> key(String kid) throws NotValid {
        Instant now = Instant.now();
        boolean isOld = now.isAfter(later(fetched, KEPT));
        if ((isOld || !keys.containsKey(kid)) && now.isAfter(later(tried, PAUSE))) {
            tried = now;
            fetch(now);
        }
        Map<String, Object> key = keys.get(kid);
        if (key == null) {
            throw new NotValid("no key with this kid");
        }
        return key;
    }

    /** The keys of a key set, by `kid`. */
    static Map<String, Map<String, Object>> keysOf(byte[] jwks) throws NotValid {
        Map<String, Map<String, Object>> keys = new HashMap<>();
        if (Json.object(jwks).get("keys") instanceof List<?> list) {
            for (Object key : list) {
                if (key instanceof Map<?, ?> fields && fields.get("kid") instanceof String kid) {
                    Map<String, Object> copy = new HashMap<>();
                    fields.forEach((name, value) -> copy.put((String) name, value));
                    keys.put(kid, copy);
                }
            }
        }
        return keys;
    }

    private void fetch(Instant now) throws NotValid {
        HttpRequest request = HttpRequest.newBuilder(address).timeout(PATIENCE).build();
        try {
            HttpResponse<byte[]> answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
            if (answer.statusCode() == 200) {
                keys = keysOf(answer.body());
                fetched = now;
            } else {
                System.err.println("key set: status " + answer.statusCode());
            }
        } catch (IOException error) {
            System.err.println("key set: " + error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private static Instant later(Instant instant, Duration duration) {
        return instant == Instant.MIN ? instant : instant.plus(duration);
    }
}

/** Reads JSON: objects are maps, arrays lists, whole numbers `Long`. */
class Json {
    private static final int DEEPEST = 16;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The object that these bytes are. */
    static Map<String, Object> object(byte[] bytes) throws NotValid {
        Json json = new Json(new String(bytes, StandardCharsets.UTF_8));
        try {
            Object value = json.value(0);
            json.skipSpace();
            if (json.at == json.text.length() && value instanceof Map<?, ?> map) {
                Map<String, Object> object = new LinkedHashMap<>();
                map.forEach((name, member) -> object.put((String) name, member));
                return object;
            }
        } catch (IndexOutOfBoundsException | NumberFormatException error) {
            // Ends too early, or has a number that is none.
        }
        throw new NotValid("not a JSON object");
    }

    private Object value(int depth) throws NotValid {
        skipSpace();
        char first = text.charAt(at);
        if (depth > DEEPEST) {
            throw new NotValid("JSON is too deep");
        }
        switch (first) {
            case '{':
                return members(depth);
            case '[':
                return elements(depth);
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> members(int depth) throws NotValid {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        skipSpace();
        if (took('}')) {
            return members;
        }
        do {
            skipSpace();
            String name = string();
            expect(':');
            // A name that stands twice is read differently by different programs.
            if (members.containsKey(name)) {
                throw new NotValid("JSON names a member twice");
            }
            members.put(name, value(depth + 1));
        } while (took(','));
        expect('}');
        return members;
    }

    private List<Object> elements(int depth) throws NotValid {
        List<Object> elements = new ArrayList<>();
        at++;
        skipSpace();
        if (took(']')) {
            return elements;
        }
        do {
            elements.add(value(depth + 1));
        } while (took(','));
        expect(']');
        return elements;
    }

    private String string() throws NotValid {
        expect('"');
        StringBuilder string = new StringBuilder();
        while (true) {
            char letter = text.charAt(at++);
            if (letter == '"') {
                return string.toString();
            }
            string.append(letter == '\\' ? escaped() : letter);
        }
    }

    private char escaped() throws NotValid {
        char letter = text.charAt(at++);
        switch (letter) {
            case '"':
            case '\\':
            case '/':
                return letter;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                at += 4;
                return (char) Integer.parseInt(text.substring(at - 4, at), 16);
            default:
                throw new NotValid("not JSON");
        }
    }

    private Object number() {
        int start = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String number = text.substring(start, at);
        boolean isWhole = number.chars().allMatch(letter -> letter == '-' || Character.isDigit(letter));
        if (isWhole) {
            return Long.valueOf(number);
        }
        return Double.valueOf(number);
    }

    private Object word(String word, Object value) throws NotValid {
        if (!text.startsWith(word, at)) {
            throw new NotValid("not JSON");
        }
        at += word.length();
        return value;
    }

    private void expect(char letter) throws NotValid {
        if (!took(letter)) {
            throw new NotValid("not JSON");
        }
    }

    private boolean took(char letter) {
        skipSpace();
        boolean isNext = text.charAt(at) == letter;
        if (isNext) {
            at++;
        }
        return isNext;
    }

    private void skipSpace() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }
}
