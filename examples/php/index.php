<?php

// An application behind wxgate that trusts nothing but the signed token.
//
//     WXGATE_ISSUER=https://www.example.com WXGATE_AUDIENCE=www.example.com php -S 127.0.0.1:8080 index.php

declare(strict_types=1);

require __DIR__ . '/wxgate.php';

$jwksUrl = getenv('WXGATE_JWKS_URL') ?: 'http://127.0.0.1:9500/_wxgate/jwks';
$issuer = getenv('WXGATE_ISSUER') ?: 'http://127.0.0.1:9500';
$audience = getenv('WXGATE_AUDIENCE') ?: '127.0.0.1';
// In a folder that only this application can write to: whoever writes this file can be anybody.
$cache = getenv('WXGATE_JWKS_CACHE') ?: __DIR__ . '/jwks-cache.json';

/** The key set, from the cache while it is younger than $maxAge seconds. */
function keySet(string $url, string $cache, int $maxAge): string
{
    clearstatcache();
    if (is_file($cache) && time() - filemtime($cache) < $maxAge) {
        return (string) file_get_contents($cache);
    }
    $context = stream_context_create(['http' => ['timeout' => 3, 'follow_location' => 0]]);
    $jwks = @file_get_contents($url, false, $context, 0, 256 * 1024);
    if ($jwks === false) {
        // Old keys are better than none: they are published for days after their last use.
        return is_file($cache) ? (string) file_get_contents($cache) : '{"keys":[]}';
    }
    // Replaced as a whole, so that no request reads half of it.
    $new = $cache . '.' . bin2hex(random_bytes(8));
    if (@file_put_contents($new, $jwks) !== false) {
        rename($new, $cache);
    }
    return $jwks;
}

$token = $_SERVER['HTTP_X_WXGATE_JWT_ASSERTION'] ?? '';
header('Content-Type: text/plain; charset=utf-8');
header('Cache-Control: no-store');
try {
    try {
        $keys = Wxgate\keysOf(keySet($jwksUrl, $cache, 300));
        $claims = Wxgate\verify($token, $keys, $issuer, $audience, time());
    } catch (Wxgate\UnknownKey) {
        // Keys rotate: look once more, but not for every forged token.
        $keys = Wxgate\keysOf(keySet($jwksUrl, $cache, 10));
        $claims = Wxgate\verify($token, $keys, $issuer, $audience, time());
    }
    echo 'Hello ', $claims['openid'], "\n";
} catch (Wxgate\NotValid $error) {
    http_response_code(401);
    error_log('token refused: ' . $error->getMessage());
    echo "Who are you?\n";
}
