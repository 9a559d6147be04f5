<?php

// Verifies a token with nothing but PHP's openssl extension: verify.php TOKEN JWKS_FILE ISSUER AUDIENCE
// Prints the claims as JSON and exits 0, or exits 1 with a reason.
//
// ES256 and RS256. No EdDSA: before PHP 8.4 openssl_verify() cannot do without a digest, which Ed25519 does not have.

declare(strict_types=1);

require __DIR__ . '/../../examples/php/wxgate.php';

if ($argc !== 5) {
    fwrite(STDERR, "usage: verify.php TOKEN JWKS_FILE ISSUER AUDIENCE\n");
    exit(1);
}
[, $token, $jwksFile, $issuer, $audience] = $argv;

try {
    $keys = Wxgate\keysOf((string) @file_get_contents($jwksFile));
    $claims = Wxgate\verify($token, $keys, $issuer, $audience, time());
    echo json_encode($claims, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
} catch (Wxgate\NotValid $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
