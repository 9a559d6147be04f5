<?php

// Verifies tokens with nothing but PHP's openssl and hash extensions, through the file that applications take along.
//
//     php verify.php KEYS ISSUER AUDIENCE
//
// KEYS is a file: a key set, or a secret for HS256 when its name ends with `.secret`.
// Reads tokens from standard input, one a line. Prints a line for each: {"claims": ...} or {"refused": reason}.
//
// ES256, RS256 and HS256. No EdDSA: before PHP 8.4 openssl_verify() cannot do without a digest, which Ed25519 does not have.

declare(strict_types=1);

require __DIR__ . '/../../examples/php/wxgate.php';

/** The claims of a token with a shared secret. */
function verifyShared(string $token, string $secret, string $issuer, string $audience): array
{
    $parts = explode('.', $token);
    if (count($parts) !== 3) {
        throw new Wxgate\NotValid('token does not have three parts');
    }
    $header = Wxgate\decodeJson(Wxgate\decodeBase64($parts[0]));
    if (($header['alg'] ?? null) !== 'HS256' || isset($header['crit'])) {
        throw new Wxgate\NotValid('algorithm is not HS256');
    }
    $expected = hash_hmac('sha256', "$parts[0].$parts[1]", $secret, true);
    if (!hash_equals($expected, Wxgate\decodeBase64($parts[2]))) {
        throw new Wxgate\NotValid('signature is wrong');
    }
    $claims = Wxgate\decodeJson(Wxgate\decodeBase64($parts[1]));
    Wxgate\checkClaims($claims, $issuer, $audience, time());
    return $claims;
}

[, $keysFile, $issuer, $audience] = $argv;
$content = trim((string) file_get_contents($keysFile));
$isSecret = str_ends_with($keysFile, '.secret');
$keys = $isSecret ? [] : Wxgate\keysOf($content);
$flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES;

while (($line = fgets(STDIN)) !== false) {
    $token = trim($line);
    try {
        $claims = $isSecret
            ? verifyShared($token, $content, $issuer, $audience)
            : Wxgate\verify($token, $keys, $issuer, $audience, time());
        echo json_encode(['claims' => $claims], $flags), "\n";
    } catch (Wxgate\NotValid $error) {
        echo json_encode(['refused' => $error->getMessage()], $flags), "\n";
    }
}
