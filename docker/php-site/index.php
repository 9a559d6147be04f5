<?php
// A site as it was before wxgate: it only reads a header.
// The header is safe to read because nobody reaches this container past the gateway.
$openid = $_SERVER['HTTP_X_WECHAT_OPENID'] ?? '';
header('Content-Type: text/html; charset=utf-8');
?>
<!doctype html>
<meta charset="utf-8">
<title>PHP site</title>
<h1><?= $openid === '' ? 'Nobody is logged in' : 'Hello, ' . htmlspecialchars($openid) ?></h1>
