"""Prints a customer context: python3 mint.py cus_ada [ada@example.com]"""
import base64, hashlib, hmac, json, os, sys, time, uuid


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


now = int(time.time())
claims = {
    "iss": "https://shop.example.com",  # identity.context.issuer
    "aud": "frontdesk",
    "sub": sys.argv[1],  # the customer who has signed in
    "lvl": "verified",
    "cid": str(uuid.uuid4()),  # the conversation
    "iat": now,
    "exp": now + 900,
}
if len(sys.argv) > 2:
    claims |= {"email": sys.argv[2], "email_verified": True}

key_file = os.environ.get("CONTEXT_KEY")
header = {"typ": "cctx+jwt", "alg": "EdDSA" if key_file else "HS256"}
signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
if key_file:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with open(key_file, "rb") as file:
        signature = load_pem_private_key(file.read(), None).sign(signed.encode())
else:
    signature = hmac.digest(os.environ["CONTEXT_SECRET"].encode(), signed.encode(), hashlib.sha256)
print(signed + "." + b64(signature))
