-- Customers write k1001 for K1001.
CREATE INDEX orders_by_number_in_any_case ON orders (number COLLATE NOCASE);
