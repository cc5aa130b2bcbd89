-- Times are nanoseconds since the Unix epoch, UTC; counts stop at 2^63 - 1.

-- Who wrote a record: a sensor by its name, a capture by what it holds.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,            -- sensor, capture
    key TEXT NOT NULL,             -- the sensor's name; digest and bytes of the capture, and the filter
    name TEXT NOT NULL,            -- the sensor's name; the path of the capture when it was scanned last
    filter TEXT NOT NULL,          -- libpcap expression that chose the packets; empty without one
    signatures TEXT NOT NULL,      -- SHA-256 of the signature set that was used last
    program TEXT NOT NULL,         -- version of the program that wrote last
    saved_at INTEGER NOT NULL,
    UNIQUE (kind, key)
);

-- Where packets are numbered: the path of a capture, the name of an interface.
CREATE TABLE input (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- What one source knows of one host.
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    vlan INTEGER,
    inner_vlan INTEGER,
    vni INTEGER,
    mac TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    flows INTEGER NOT NULL,
    bytes_sent INTEGER NOT NULL,
    bytes_received INTEGER NOT NULL,
    given_up INTEGER NOT NULL,     -- lines of evidence that found no room
    resolves_more INTEGER NOT NULL DEFAULT 0, -- whether it was asked for more names than are kept
    connects_more INTEGER NOT NULL DEFAULT 0,
    hop_64 INTEGER,                -- when a packet was seen whose hop limit began at 64
    hop_128 INTEGER,
    hop_255 INTEGER,
    hops_together INTEGER NOT NULL DEFAULT 0 -- which of the three were seen within an hour of another: 1, 2, 4
);
CREATE INDEX record_by_host ON record (address, source);
CREATE INDEX record_by_source ON record (source);

-- Why the host is believed to be what it is.
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    set_aside INTEGER NOT NULL DEFAULT 0, -- whether the signature set in use does not know it
    indicator TEXT NOT NULL,
    seen_as TEXT NOT NULL,
    reached TEXT NOT NULL,
    field TEXT NOT NULL,
    observed TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    server TEXT NOT NULL,
    server_port INTEGER NOT NULL,
    relayed INTEGER NOT NULL,
    role TEXT NOT NULL,
    input INTEGER NOT NULL REFERENCES input (id),
    packet INTEGER NOT NULL
);
CREATE INDEX evidence_by_record ON evidence (record);

-- Names that others asked the host for: such a host may do what it does on their behalf.
CREATE TABLE asked (
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    what TEXT NOT NULL,            -- resolve, connect
    name TEXT NOT NULL,
    PRIMARY KEY (record, what, name)
) WITHOUT ROWID;

-- For people who ask with SQL: one row per host, source and piece of evidence.
CREATE VIEW sightings AS
SELECT
    record.address, record.vlan, record.inner_vlan, record.vni, record.mac,
    evidence.indicator, evidence.seen_as, evidence.reached, evidence.field, evidence.observed, evidence.count,
    strftime('%Y-%m-%dT%H:%M:%SZ', evidence.first_seen / 1000000000, 'unixepoch') AS first_seen,
    strftime('%Y-%m-%dT%H:%M:%SZ', evidence.last_seen / 1000000000, 'unixepoch') AS last_seen,
    evidence.server, evidence.server_port, evidence.role,
    source.kind AS source_kind, source.name AS source, input.name AS input, evidence.packet
FROM evidence
JOIN record ON record.id = evidence.record
JOIN source ON source.id = record.source
JOIN input ON input.id = evidence.input;
