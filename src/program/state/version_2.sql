-- Link-layer addresses that a host was seen with: its own, and those of routers on the way to it.
CREATE TABLE link_address (
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    mac TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    next_hop INTEGER NOT NULL DEFAULT 0, -- whether it is known to carry several hosts
    PRIMARY KEY (record, mac)
) WITHOUT ROWID;
CREATE INDEX link_address_by_mac ON link_address (mac, next_hop);

-- When the one that was known was seen is known no better than when the host was.
INSERT INTO link_address (record, mac, first_seen, last_seen)
SELECT id, mac, first_seen, last_seen FROM record WHERE mac IS NOT NULL;

DROP VIEW sightings;
ALTER TABLE record DROP COLUMN mac;

-- So that a range of addresses is found without reading all: the family (4, 6) and the bytes of the address.
ALTER TABLE record ADD COLUMN address_key BLOB;
UPDATE record SET address_key = address_key(address);
CREATE INDEX record_by_address_key ON record (address_key);
CREATE INDEX record_by_last_seen ON record (last_seen);

-- Whether a host has evidence of some indicators is seen in the index alone.
DROP INDEX evidence_by_record;
CREATE INDEX evidence_by_record ON evidence (record, indicator);
CREATE INDEX evidence_set_aside ON evidence (last_seen) WHERE set_aside <> 0;

-- For people who ask with SQL: one row per host, source and piece of evidence. `macs` are those that the source saw the host with, also of
-- routers on the way.
CREATE VIEW sightings AS
SELECT
    record.address, record.vlan, record.inner_vlan, record.vni,
    (SELECT group_concat(mac, ' ') FROM link_address WHERE link_address.record = record.id) AS macs,
    evidence.indicator, evidence.seen_as, evidence.reached, evidence.field, evidence.observed, evidence.count,
    strftime('%Y-%m-%dT%H:%M:%SZ', evidence.first_seen / 1000000000, 'unixepoch') AS first_seen,
    strftime('%Y-%m-%dT%H:%M:%SZ', evidence.last_seen / 1000000000, 'unixepoch') AS last_seen,
    evidence.server, evidence.server_port, evidence.role,
    source.kind AS source_kind, source.name AS source, input.name AS input, evidence.packet
FROM evidence
JOIN record ON record.id = evidence.record
JOIN source ON source.id = record.source
JOIN input ON input.id = evidence.input;
