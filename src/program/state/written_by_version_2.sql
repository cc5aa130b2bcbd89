PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO source VALUES(1,'capture','84a29f4611f58226c93add6a7c1f62103983f4dd44277595635c3261dde5c19e 3864','pcaps/dns-then-tls.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556393876235);
INSERT INTO source VALUES(2,'capture','1330bca0dff1cf592d4a10a0f72c9a86508ced511324d77fd0189b50552afcb0 7808','pcaps/browsing-www.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556400416891);
INSERT INTO source VALUES(3,'capture','0d976335d4cc73cf2fc1c70dcc21730bd78591a2753bfd2182c2d3e0a3db57c9 4864','pcaps/derived/vxlan.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556401367574);
INSERT INTO source VALUES(4,'capture','84f6b2e4cd869350852fd335e926f87154e2df1f278a91c7e8112b38a598d59d 15374','pcaps/proxy-both-sides.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556402210896);
INSERT INTO source VALUES(5,'capture','6aae635f8dd15078c45e8334c8ea5ce82da0ac1b9eaad851b667585b13e05895 539','pcaps/resolver-both-sides.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556402967906);
INSERT INTO source VALUES(6,'capture','cc23968d31c57867634591d95a7212707dfc8dec1f7aa41b0dbe4339c6292dac 7117','pcaps/nat-two-systems.pcap','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875556403604840);
INSERT INTO source VALUES(7,'sensor','sensor-01','sensor-01','','3f745568da54935ac093334754450ff203452f2ebfe541a05469602f1ecf170f','0.1.0',1795875584371739890);
CREATE TABLE input (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO input VALUES(1,'pcaps/dns-then-tls.pcap');
INSERT INTO input VALUES(2,'pcaps/browsing-www.pcap');
INSERT INTO input VALUES(3,'pcaps/derived/vxlan.pcap');
INSERT INTO input VALUES(4,'pcaps/proxy-both-sides.pcap');
INSERT INTO input VALUES(5,'pcaps/resolver-both-sides.pcap');
INSERT INTO input VALUES(6,'pcaps/nat-two-systems.pcap');
INSERT INTO input VALUES(7,'eth1');
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    vlan INTEGER,
    inner_vlan INTEGER,
    vni INTEGER,
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
, address_key BLOB);
INSERT INTO record VALUES(1,1,'10.20.0.5',NULL,NULL,NULL,1795491549279629000,1795491549282012000,2,1426,2438,0,0,0,1795491549282012000,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(2,2,'10.20.0.5',NULL,NULL,NULL,1795491535827620000,1795491535859447000,4,2885,4923,0,0,0,1795491535859447000,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(3,3,'10.20.0.5',NULL,NULL,5001,1795491549279629000,1795491549282012000,2,1926,2938,0,0,0,1795491549282012000,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(4,4,'10.20.0.5',NULL,NULL,NULL,1795491567587693000,1795491567594771000,1,1596,2311,0,0,0,1795491567594771000,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(6,4,'10.20.0.80',NULL,NULL,NULL,1795491567591642000,1795491567594845000,2,1508,2580,0,0,0,1795491567594845000,NULL,NULL,0,X'040a140050');
INSERT INTO record VALUES(7,5,'10.20.0.5',NULL,NULL,NULL,1795491572731934000,1795491572731934000,1,104,108,0,0,0,1795491572731934000,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(8,5,'10.20.0.53',NULL,NULL,NULL,1795491572732075000,1795491572732075000,1,92,151,0,0,0,1795491572732075000,NULL,NULL,0,X'040a140035');
INSERT INTO record VALUES(9,6,'192.0.2.1',NULL,NULL,NULL,1795547500938913000,1795547501018170000,2,2670,4447,0,0,0,1795547500938913000,1795547501018170000,NULL,3,X'04c0000201');
INSERT INTO record VALUES(10,7,'10.20.0.5',NULL,NULL,NULL,1795875581189701196,1795875581190143726,6,4311,7361,0,0,0,1795875581190143726,NULL,NULL,0,X'040a140005');
INSERT INTO record VALUES(11,7,'2001:db8:20::7',NULL,NULL,NULL,1795875581189861647,1795875581189897845,2,1626,2651,0,0,0,1795875581189897845,NULL,NULL,0,X'0620010db8002000000000000000000007');
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
INSERT INTO evidence VALUES(1,1,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s07.upd.kaspersky.com',2,1795491549279629000,1795491549279680000,'10.20.0.53',53,0,'endpoint',1,1);
INSERT INTO evidence VALUES(2,1,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s07.upd.kaspersky.com',1,1795491549282012000,1795491549282012000,'198.51.100.10',443,0,'endpoint',1,8);
INSERT INTO evidence VALUES(3,2,0,'KL-WEB-0006','lookup','data-exchanged','dns.query','www.kaspersky.com',2,1795491535827620000,1795491535827655000,'10.20.0.53',53,0,'endpoint',2,1);
INSERT INTO evidence VALUES(4,2,0,'KL-WEB-0006','contact','data-exchanged','tls.sni','www.kaspersky.com',1,1795491535833149000,1795491535833149000,'198.51.100.10',443,0,'endpoint',2,8);
INSERT INTO evidence VALUES(5,2,0,'KL-WEB-0034','lookup','data-exchanged','dns.query','securelist.com',2,1795491535856202000,1795491535856269000,'10.20.0.53',53,0,'endpoint',2,21);
INSERT INTO evidence VALUES(6,2,0,'KL-WEB-0034','contact','data-exchanged','tls.sni','securelist.com',1,1795491535859447000,1795491535859447000,'198.51.100.10',443,0,'endpoint',2,28);
INSERT INTO evidence VALUES(7,3,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s07.upd.kaspersky.com',2,1795491549279629000,1795491549279680000,'10.20.0.53',53,0,'endpoint',3,1);
INSERT INTO evidence VALUES(8,3,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s07.upd.kaspersky.com',1,1795491549282012000,1795491549282012000,'198.51.100.10',443,0,'endpoint',3,8);
INSERT INTO evidence VALUES(9,4,0,'KL-UPD-0001','contact','data-exchanged','http.connect','s12.upd.kaspersky.com',1,1795491567587693000,1795491567587693000,'10.20.0.80',3128,0,'endpoint',4,4);
INSERT INTO evidence VALUES(10,4,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s12.upd.kaspersky.com',1,1795491567594771000,1795491567594771000,'10.20.0.80',3128,0,'endpoint',4,15);
INSERT INTO evidence VALUES(11,6,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s12.upd.kaspersky.com',2,1795491567591642000,1795491567591691000,'10.20.0.53',53,0,'endpoint',4,6);
INSERT INTO evidence VALUES(12,6,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s12.upd.kaspersky.com',1,1795491567594845000,1795491567594845000,'198.51.100.10',443,0,'endpoint',4,16);
INSERT INTO evidence VALUES(13,7,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s08.upd.kaspersky.com',1,1795491572731934000,1795491572731934000,'10.20.0.53',53,0,'endpoint',5,1);
INSERT INTO evidence VALUES(14,8,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s08.upd.kaspersky.com',1,1795491572732075000,1795491572732075000,'198.51.100.53',53,1,'endpoint',5,2);
INSERT INTO evidence VALUES(15,9,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s07.upd.kaspersky.com',1,1795547500938913000,1795547500938913000,'198.51.100.10',443,0,'endpoint',6,4);
INSERT INTO evidence VALUES(16,9,0,'KL-REP-0008','contact','data-exchanged','tls.sni','ksn-file-geo.kaspersky-labs.com',1,1795547501018170000,1795547501018170000,'198.51.100.10',443,0,'endpoint',6,22);
INSERT INTO evidence VALUES(25,10,0,'KL-UPD-0001','lookup','data-exchanged','dns.query','s07.upd.kaspersky.com',2,1795875581189701196,1795875581189713549,'10.20.0.53',53,0,'endpoint',7,7);
INSERT INTO evidence VALUES(26,10,0,'KL-UPD-0001','contact','data-exchanged','tls.sni','s07.upd.kaspersky.com',1,1795875581189745730,1795875581189745730,'198.51.100.10',443,0,'endpoint',7,14);
INSERT INTO evidence VALUES(27,10,0,'KL-WEB-0006','lookup','data-exchanged','dns.query','www.kaspersky.com',2,1795875581190009835,1795875581190015596,'10.20.0.53',53,0,'endpoint',7,47);
INSERT INTO evidence VALUES(28,10,0,'KL-WEB-0006','contact','data-exchanged','tls.sni','www.kaspersky.com',1,1795875581190045412,1795875581190045412,'198.51.100.10',443,0,'endpoint',7,54);
INSERT INTO evidence VALUES(29,10,0,'KL-WEB-0034','lookup','data-exchanged','dns.query','securelist.com',2,1795875581190110263,1795875581190114982,'10.20.0.53',53,0,'endpoint',7,67);
INSERT INTO evidence VALUES(30,10,0,'KL-WEB-0034','contact','data-exchanged','tls.sni','securelist.com',1,1795875581190143726,1795875581190143726,'198.51.100.10',443,0,'endpoint',7,74);
INSERT INTO evidence VALUES(31,11,0,'KL-UPD-0002','lookup','data-exchanged','dns.query','p03.upd.kaspersky.com',2,1795875581189861647,1795875581189867909,'2001:db8:20::53',53,0,'endpoint',7,27);
INSERT INTO evidence VALUES(32,11,0,'KL-UPD-0002','contact','data-exchanged','tls.sni','p03.upd.kaspersky.com',1,1795875581189897845,1795875581189897845,'2001:db8:100::10',443,0,'endpoint',7,34);
CREATE TABLE asked (
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    what TEXT NOT NULL,            -- resolve, connect
    name TEXT NOT NULL,
    PRIMARY KEY (record, what, name)
) WITHOUT ROWID;
INSERT INTO asked VALUES(6,'connect','s12.upd.kaspersky.com');
INSERT INTO asked VALUES(8,'resolve','s08.upd.kaspersky.com');
CREATE TABLE link_address (
    record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    mac TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    next_hop INTEGER NOT NULL DEFAULT 0, -- whether it is known to carry several hosts
    PRIMARY KEY (record, mac)
) WITHOUT ROWID;
INSERT INTO link_address VALUES(1,'1a:52:6c:ee:93:90',1795491549279629000,1795491549282012000,0);
INSERT INTO link_address VALUES(2,'1a:52:6c:ee:93:90',1795491535827620000,1795491535859447000,0);
INSERT INTO link_address VALUES(3,'1a:52:6c:ee:93:90',1795491549279629000,1795491549282012000,0);
INSERT INTO link_address VALUES(4,'1a:52:6c:ee:93:90',1795491567587693000,1795491567594771000,0);
INSERT INTO link_address VALUES(6,'1e:79:0d:6f:3c:da',1795491567591642000,1795491567594845000,0);
INSERT INTO link_address VALUES(7,'1a:52:6c:ee:93:90',1795491572731934000,1795491572731934000,0);
INSERT INTO link_address VALUES(8,'42:79:bf:d3:f3:24',1795491572732075000,1795491572732075000,0);
INSERT INTO link_address VALUES(9,'aa:de:6e:9b:ad:50',1795547500938913000,1795547501018170000,0);
INSERT INTO link_address VALUES(10,'1a:52:6c:ee:93:90',1795875581189701196,1795875581190143726,0);
INSERT INTO link_address VALUES(11,'2e:a3:c2:ef:dd:9c',1795875581189861647,1795875581189897845,0);
CREATE INDEX record_by_host ON record (address, source);
CREATE INDEX record_by_source ON record (source);
CREATE INDEX link_address_by_mac ON link_address (mac, next_hop);
CREATE INDEX record_by_address_key ON record (address_key);
CREATE INDEX record_by_last_seen ON record (last_seen);
CREATE INDEX evidence_by_record ON evidence (record, indicator);
CREATE INDEX evidence_set_aside ON evidence (last_seen) WHERE set_aside <> 0;
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
COMMIT;
