"""Signs a webhook and posts it: python3 sign.py body.json http://127.0.0.1:8080/webhooks/escalation"""
import hashlib, hmac, os, sys, urllib.error, urllib.request

with open(sys.argv[1], "rb") as file:
    body = file.read()  # the bytes that are signed are the bytes that are sent
signature = hmac.digest(os.environ["WEBHOOK_SECRET"].encode(), body, hashlib.sha256).hex()
headers = {"Content-Type": "application/json", "x-webhook-signature": signature}
try:
    response = urllib.request.urlopen(urllib.request.Request(sys.argv[2], body, headers))
except urllib.error.HTTPError as refused:
    response = refused
print(response.status, response.read().decode())
