-- What a host is called, as somebody said on the wire.
CREATE TABLE label (
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,            -- name, domain, user, system, device
    source TEXT NOT NULL,          -- the protocol that said so
    text TEXT NOT NULL,            -- as it was sent
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (record, kind, source, text)
) WITHOUT ROWID;
