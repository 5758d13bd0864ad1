<?php
// Prints a customer context: php mint.php cus_ada [ada@example.com]
function b64(string $data): string
{
    return rtrim(strtr(base64_encode($data), '+/', '-_'), '=');
}

$now = time();
$claims = [
    'iss' => 'https://shop.example.com', // identity.context.issuer
    'aud' => 'frontdesk',
    'sub' => $argv[1], // the customer who has signed in
    'lvl' => 'verified',
    'cid' => bin2hex(random_bytes(16)), // the conversation
    'iat' => $now,
    'exp' => $now + 900,
];
if (isset($argv[2])) {
    $claims += ['email' => $argv[2], 'email_verified' => true];
}

$keyFile = getenv('CONTEXT_KEY');
$header = ['typ' => 'cctx+jwt', 'alg' => $keyFile ? 'EdDSA' : 'HS256'];
$signed = b64(json_encode($header)) . '.' . b64(json_encode($claims));
if ($keyFile) {
    // The last 32 octets of an Ed25519 key in PKCS #8 are its seed.
    $pem = preg_replace('/-----[^-]+-----|\s/', '', file_get_contents($keyFile));
    $pair = sodium_crypto_sign_seed_keypair(substr(base64_decode($pem), -32));
    $signature = sodium_crypto_sign_detached($signed, sodium_crypto_sign_secretkey($pair));
} else {
    $signature = hash_hmac('sha256', $signed, getenv('CONTEXT_SECRET'), true);
}
echo $signed, '.', b64($signature), "\n";
