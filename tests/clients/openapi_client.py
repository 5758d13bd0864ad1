"""Calls the tools by a client that openapi-python-client has generated from our description.

Usage: openapi_client.py DIRECTORY-OF-THE-PACKAGE-generated ADDRESS TOKEN
"""
import sys

directory, address, token = sys.argv[1:]
sys.path.insert(0, directory)

from generated import AuthenticatedClient  # noqa: E402
from generated.api.default import create_ticket, lookup_order  # noqa: E402
from generated.models import CreateTicketBody, LookupOrderBody  # noqa: E402

client = AuthenticatedClient(base_url=address, token=token)

found = lookup_order.sync(client=client, body=LookupOrderBody(order_id="1001"))
assert found.ok and found.result.order_id == "1001" and found.result.items[0].name, found
print("ok an order is read into the generated types")

foreign = lookup_order.sync(client=client, body=LookupOrderBody(order_id="2001"))
assert not foreign.ok and foreign.code == "not_found" and foreign.message, foreign
print("ok another customer's order is an outcome")

ticket = CreateTicketBody(subject="s", description="d")
twice = [create_ticket.sync(client=client, body=ticket, idempotency_key="generated-1") for _ in range(2)]
assert twice[0].result.ticket_id == twice[1].result.ticket_id, twice
print("ok one key is one ticket")

refused = lookup_order.sync_detailed(
    client=AuthenticatedClient(base_url=address, token="wrong"), body=LookupOrderBody(order_id="1001")
)
assert refused.status_code == 401 and refused.parsed.code == "unauthorized" and refused.parsed.next_, refused
print("ok a fault is a problem document")
