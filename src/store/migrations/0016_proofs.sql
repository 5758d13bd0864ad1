-- The code by which an address was proven, as an HMAC: a check whose answer was lost is answered again.

ALTER TABLE proven_addresses ADD COLUMN code_hash BLOB;
