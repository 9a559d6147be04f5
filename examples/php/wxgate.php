<?php

// Verifies the token in X-Wxgate-Jwt-Assertion. One file, no Composer: needs PHP 8.0 and its openssl extension.
//
// ES256 and RS256. For EdDSA use sodium_crypto_sign_verify_detached(), or openssl_verify() of PHP 8.4.

declare(strict_types=1);

namespace Wxgate;

/** How far the clocks of gateway and application may differ, in seconds. */
const LEEWAY = 30;

/** The token proves nothing; the message says why. */
class NotValid extends \RuntimeException
{
}

/** No key of the set has the token's `kid`: fetch the set again, once. */
final class UnknownKey extends NotValid
{
}

/**
 * The claims of a valid token.
 *
 * @param array<string, array<string, mixed>> $keys by `kid`, from keysOf()
 * @return array<string, mixed>
 * @throws NotValid
 */
function verify(string $token, array $keys, string $issuer, string $audience, int $now): array
{
    $parts = explode('.', $token);
    if (count($parts) !== 3) {
        throw new NotValid('token does not have three parts');
    }
    $header = decodeJson(decodeBase64($parts[0]));
    $kid = $header['kid'] ?? null;
    if (!is_string($kid) || !isset($keys[$kid])) {
        throw new UnknownKey('no key with this kid');
    }
    // The key decides on the algorithm, never the token alone.
    $key = $keys[$kid];
    if (($header['alg'] ?? null) !== $key['alg'] || isset($header['crit'])) {
        throw new NotValid('token and key do not fit');
    }
    $signature = decodeBase64($parts[2]);
    [$pem, $signature] = match ($key['alg']) {
        'ES256' => [ellipticCurvePem($key), ecdsaDer($signature)],
        'RS256' => [rsaPem($key), $signature],
        default => throw new NotValid('algorithm is not supported'),
    };
    if (openssl_verify("$parts[0].$parts[1]", $signature, $pem, OPENSSL_ALGO_SHA256) !== 1) {
        throw new NotValid('signature is wrong');
    }
    $claims = decodeJson(decodeBase64($parts[1]));
    checkClaims($claims, $issuer, $audience, $now);
    return $claims;
}

/**
 * The signing keys of a key set, by `kid`.
 *
 * @return array<string, array<string, mixed>>
 * @throws NotValid
 */
function keysOf(string $jwks): array
{
    $keys = [];
    foreach (decodeJson($jwks)['keys'] ?? [] as $key) {
        if (is_array($key) && is_string($key['kid'] ?? null) && is_string($key['alg'] ?? null)) {
            $keys[$key['kid']] = $key;
        }
    }
    return $keys;
}

/** @param array<string, mixed> $claims */
function checkClaims(array $claims, string $issuer, string $audience, int $now): void
{
    if (($claims['iss'] ?? null) !== $issuer) {
        throw new NotValid('another issuer');
    }
    if (!in_array($audience, (array) ($claims['aud'] ?? []), true)) {
        throw new NotValid('another audience');
    }
    $expires = $claims['exp'] ?? null;
    if (!is_int($expires) || $now > $expires + LEEWAY) {
        throw new NotValid('expired');
    }
    $begins = $claims['nbf'] ?? 0;
    if (!is_int($begins) || $now < $begins - LEEWAY) {
        throw new NotValid('not yet valid');
    }
}

/** @return array<string, mixed> */
function decodeJson(string $json): array
{
    $value = json_decode($json, true);
    if (!is_array($value)) {
        throw new NotValid('not JSON');
    }
    return $value;
}

function decodeBase64(mixed $text): string
{
    if (!is_string($text) || preg_match('/^[A-Za-z0-9_-]*$/D', $text) !== 1) {
        throw new NotValid('not base64url');
    }
    return (string) base64_decode(strtr($text, '-_', '+/'));
}

/** @param array<string, mixed> $key */
function ellipticCurvePem(array $key): string
{
    [$x, $y] = [decodeBase64($key['x'] ?? null), decodeBase64($key['y'] ?? null)];
    if (($key['crv'] ?? null) !== 'P-256' || strlen($x) !== 32 || strlen($y) !== 32) {
        throw new NotValid('not a key on P-256');
    }
    // SubjectPublicKeyInfo: id-ecPublicKey, prime256v1, then the uncompressed point.
    $prefix = hex2bin('3059301306072a8648ce3d020106082a8648ce3d03010703420004');
    return pem($prefix . $x . $y);
}

/** @param array<string, mixed> $key */
function rsaPem(array $key): string
{
    $modulus = derInteger(decodeBase64($key['n'] ?? null));
    $exponent = derInteger(decodeBase64($key['e'] ?? null));
    $public = der("\x30", $modulus . $exponent);
    $rsaEncryption = hex2bin('300d06092a864886f70d0101010500');
    return pem(der("\x30", $rsaEncryption . der("\x03", "\x00" . $public)));
}

/** JWS puts r and s in a row; openssl wants them as two integers in a sequence. */
function ecdsaDer(string $signature): string
{
    if (strlen($signature) !== 64) {
        throw new NotValid('signature is wrong');
    }
    return der("\x30", derInteger(substr($signature, 0, 32)) . derInteger(substr($signature, 32)));
}

function derInteger(string $bytes): string
{
    $bytes = ltrim($bytes, "\x00");
    // A first bit that is set would make the number negative.
    $isPositive = $bytes !== '' && ord($bytes[0]) < 0x80;
    return der("\x02", $isPositive ? $bytes : "\x00" . $bytes);
}

function der(string $tag, string $content): string
{
    $length = strlen($content);
    if ($length < 0x80) {
        return $tag . chr($length) . $content;
    }
    $bytes = ltrim(pack('N', $length), "\x00");
    return $tag . chr(0x80 | strlen($bytes)) . $bytes . $content;
}

function pem(string $der): string
{
    return "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64, "\n") . "-----END PUBLIC KEY-----\n";
}
