<?php
// Signs a webhook and posts it: php sign.php body.json http://127.0.0.1:8080/webhooks/escalation
$body = file_get_contents($argv[1]); // the bytes that are signed are the bytes that are sent
$signature = hash_hmac('sha256', $body, getenv('WEBHOOK_SECRET'));
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'header' => ['Content-Type: application/json', "x-webhook-signature: $signature"],
    'content' => $body,
    'ignore_errors' => true,
]]);
$answer = file_get_contents($argv[2], false, $context);
echo explode(' ', $http_response_header[0])[1], ' ', $answer, "\n";
