-- Multiplies the one host of a state file into 250,000 hosts of as many addresses, each with the same evidence:
--   kaspector scan pcaps/dns-then-tls.pcap --state many.state && sqlite3 many.state < benches/inventory.sql
BEGIN;
CREATE TEMPORARY TABLE number (i INTEGER PRIMARY KEY);
INSERT INTO number WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 249999) SELECT i FROM n;
CREATE TEMPORARY TABLE model AS SELECT * FROM record WHERE id = (SELECT min(id) FROM record);
INSERT INTO record (id, source, address, address_key, first_seen, last_seen, flows, bytes_sent, bytes_received, given_up, hop_64)
SELECT 1000 + i, source, printf('10.%d.%d.%d', 64 + (i >> 14), i >> 7 & 127, i & 127),
    CAST(char(4, 10, 64 + (i >> 14), i >> 7 & 127, i & 127) AS BLOB),
    first_seen + i * 1000000000, last_seen + i * 1000000000, flows, bytes_sent, bytes_received, given_up, hop_64
FROM model, number;
-- Each piece of evidence, and the same under another server's address: four in all.
INSERT INTO evidence (record, indicator, seen_as, reached, field, observed, count, first_seen, last_seen, server, server_port, relayed,
    role, input, packet)
SELECT 1000 + number.i, indicator, seen_as, reached, field, observed, count, first_seen + number.i * 1000000000, last_seen + number.i * 1000000000,
    printf('198.51.100.%d', 10 + copy.at), server_port, relayed, role, input, packet
FROM number, (SELECT 0 AS at UNION ALL SELECT 1) AS copy, evidence
WHERE evidence.record = (SELECT id FROM model)
ORDER BY number.i;
INSERT INTO link_address (record, mac, first_seen, last_seen)
SELECT 1000 + number.i, printf('02:00:00:%02x:%02x:%02x', number.i >> 16, number.i >> 8 & 255, number.i & 255),
    link_address.first_seen + number.i * 1000000000, link_address.last_seen + number.i * 1000000000
FROM number, link_address WHERE link_address.record = (SELECT id FROM model);
COMMIT;
