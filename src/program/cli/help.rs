//! What help and manual pages say at their ends: examples, exit codes, files, environment.

/// What `--help` and the manual page say at their ends: examples, then the rest.
pub(super) fn long(examples: &str, rest: &[&str]) -> String {
    let parts: Vec<&str> = std::iter::once(examples).chain(rest.iter().copied()).collect();
    parts.join("\n\n")
}

pub(super) const PROGRAM_EXAMPLES: &str = "\
Examples:
  kaspector scan office.pcap
  kaspector scan /captures --format json
  kaspector watch -i eth1 -o file:eve.json
  kaspector hosts --state hosts.state --since 7d
  kaspector report /captures -o office.html
  kaspector signatures test s07.upd.kaspersky.com";

pub(super) const PROGRAM_EXIT: &str = "\
Exit status:
  0  ran
  1  an output could not be written, or anything that none of the others says
  2  bad usage
  3  --fail-on met; for 'signatures test', nothing matches
  4  an input could not be read at all; the others are still reported";

pub(super) const SCAN_EXIT: &str = "\
Exit status:
  0  every input was read
  1  an output could not be written, the scan was interrupted, or a defect
  2  bad usage; an output that is an input, or that belongs to another program
  3  --fail-on met
  4  an input could not be read at all; the others are still reported";

pub(super) const SCAN_FILES: &str = "\
Files:
  PATH          a name that is not UTF-8 is shown with \\xNN for such bytes and
                with \\\\ for a backslash
  --output FILE replaced when it is an answer of this program, left alone else
  --eve FILE    replaced when each of its lines is an alert of a scan, left
                alone else; never an input, nor a capture
  --state FILE  an SQLite database; FILE-wal and FILE-shm stand beside it while
                it is in use
  --evidence DIR
                each scan adds NNNN-HOST.pcapng, NNNN-HOST.json and
                manifest-NNNN.sha256, which names the one before and which
                'sha256sum -c' checks; what is there is left alone
  --site FILE   read, never changed; [[subnet]], [[machine]], [[resolver]],
                [[proxy]], [[nat]] and [[exception]] tables";

pub(super) const MERGE_EXAMPLES: &str = "\
Examples:
  kaspector scan /captures/a --partial -o a.kpart
  kaspector scan /captures/b --partial -o b.kpart
  kaspector merge a.kpart b.kpart
  kaspector merge *.kpart --partial -o all.kpart
  kaspector merge *.kpart --state hosts.state";

pub(super) const MERGE_EXIT: &str = "\
Exit status:
  0  merged
  1  an output could not be written, a file could not be read, or a defect
  2  bad usage; an output that is an input, or that belongs to another program
  3  --fail-on met
  4  a scan could not read one of its inputs at all";

pub(super) const MERGE_FILES: &str = "\
Files:
  FILE          Parquet, as docs/partial.md describes it; read, never changed
  --output FILE replaced when it is an answer of this program, left alone else
  --state FILE  an SQLite database; FILE-wal and FILE-shm stand beside it while
                it is in use
  --site FILE   read, never changed";

pub(super) const TOP_EXAMPLES: &str = "\
Examples:
  kaspector top -i eth1
  kaspector watch -i eth1 --http 127.0.0.1:9317 -o file:eve.json &
  kaspector top
  kaspector top --once | mail -s sensor soc@example.org
  ssh -N -L 9317:127.0.0.1:9317 sensor.example & kaspector top";

pub(super) const TOP_EXIT: &str = "\
Exit status:
  0  it was shown
  1  the sensor could not be asked, or standard output could not be written
  2  bad usage; no such token file
  4  with -i: an interface could not be opened, or failed for good";

pub(super) const TOP_FILES: &str = "\
Files:
  --http-token-file FILE  read once; one line, as 'watch' reads it";

pub(super) const ENVIRONMENT: &str = "\
Environment:
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE  whether there is colour on a terminal
  RUST_BACKTRACE                      1: where a defect came from, call by call";

pub(super) const EXPLAIN_EXIT: &str = "\
Exit status:
  0  it was explained
  1  an inventory could not be read, or standard output could not be written
  2  bad usage; no such inventory
  3  there is no evidence of the host, or no indicator matches
  4  an input could not be read at all";

pub(super) const EXPLAIN_FILES: &str = "\
Files:
  PATH          captures, as 'kaspector scan' reads them
  --state FILE  read, never changed; also those of earlier versions";

pub(super) const HOSTS_EXIT: &str = "\
Exit status:
  0  the inventory was read, whether a host is what was asked for or not
  1  it could not be read, or standard output could not be written
  2  bad usage; no such inventory";

pub(super) const HOSTS_FILES: &str = "\
Files:
  --state FILE  read, never changed
  --site FILE   read, never changed; see 'kaspector scan --help'
  /var/lib/kaspector/hosts.db
                the inventory of the packaged service";

pub(super) const REPORT_EXIT: &str = "\
Exit status:
  0  the report was written, whatever it says
  1  it could not be written, or it covers only a part: the scan was
     interrupted, or a defect
  2  bad usage; no such inventory; an output that is an input, or that belongs
     to another program
  4  an input could not be read at all; the others are still reported";

pub(super) const REPORT_FILES: &str = "\
Files:
  PATH          captures, as 'kaspector scan' reads them; read twice, the second
                time for the checksum of the file
  --state FILE, --compare OLD
                read, never changed; also those of earlier versions
  --output FILE replaced when it is an answer of this program, left alone else";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  kaspector report /captures -o office.html
  kaspector report --state hosts.state --compare october.state -o november.html
  kaspector report --state hosts.state --format csv | column -s, -t";

pub(super) const DIFF_EXIT: &str = "\
Exit status:
  0  the inventories were compared, whether they differ or not
  1  one could not be read, or standard output could not be written
  2  bad usage; no such inventory; NEW ends before OLD
  3  --fail-on met";

pub(super) const DIFF_FILES: &str = "\
Files:
  OLD, NEW      read, never changed; also those of earlier versions
  --output FILE replaced when it is an answer of this program, left alone else";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  kaspector hosts diff october.state november.state
  kaspector hosts diff hosts.backup hosts.state --format csv -o changes.csv
  kaspector hosts diff hosts.backup hosts.state --fail-on appeared";

pub(super) const SIGNATURES_EXIT: &str = "\
Exit status:
  0  ran
  1  standard output could not be written
  2  bad usage; signature files that are wrong";

pub(super) const COMPLETIONS_EXIT: &str = "\
Exit status:
  0  ran
  1  standard output could not be written
  2  bad usage";

pub(super) const EXPORT_EXIT: &str = "\
Exit status:
  0  written
  1  a file could not be written
  2  bad usage; signature files that are wrong; a file of another program";

pub(super) const EXPORT_FILES: &str = "\
Files:
  PATH             replaced when an export wrote it, left alone else
  PATH/SHA256SUMS  what an export wrote into a folder";

pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  kaspector export suricata -o kaspector-rules
  kaspector export zeek -o kaspector-zeek --signatures-extra ./my-signatures
  kaspector export stix -o kaspector.stix.json
  kaspector export csv --browse > kaspector.csv
  kaspector export wireshark -o ~/.local/lib/wireshark/plugins/kaspector.tsv";

pub(super) const TEST_EXIT: &str = "\
Exit status:
  0  an indicator matches
  1  standard output could not be written
  2  bad usage; signature files that are wrong
  3  no indicator matches";

pub(super) const SIGNATURES_FILES: &str = "\
Files:
  DIR/*.toml  signature files, read in the order of their names";

#[cfg(target_os = "linux")]
pub(super) const WATCH_EXIT: &str = "\
Exit status:
  0    ended by SIGTERM or Ctrl-C
  1    anything that none of the others says
  2    bad usage, or a configuration that is wrong
  4    an interface could not be read
  130  ended at once, by a second signal";

#[cfg(target_os = "linux")]
pub(super) const WATCH_FILES: &str = "\
Files:
  /etc/kaspector/kaspector.toml  configuration of the packaged service
  /var/log/kaspector/eve.json    its alerts
  /var/lib/kaspector/spool       its spool
  /var/lib/kaspector/hosts.db    its inventory of hosts
  file:PATH                      alerts are added at the end of a file that is
                                 new, empty or holds lines of EVE, ECS or OCSF,
                                 and of no other
  --site FILE                    read, never changed; again upon SIGHUP";

#[cfg(target_os = "linux")]
pub(super) const WATCH_ENVIRONMENT: &str = "\
Environment:
  NAME of token-env=NAME          secret of an HTTP output or a mail server
  NAME of url-env=NAME            its URL, where that is a secret
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                                  proxies of HTTP outputs
  SSL_CERT_FILE, SSL_CERT_DIR     authorities in place of the system's
  NOTIFY_SOCKET, WATCHDOG_USEC    set by systemd: readiness and watchdog
  JOURNAL_STREAM                  set by systemd: the log has no time of its own
  NO_COLOR                        no colour in the log
  RUST_BACKTRACE                  1: where a defect came from, call by call";

pub(super) const SCAN_EXAMPLES: &str = "\
Examples:
  kaspector scan office.pcap                        a table of hosts
  kaspector scan /captures --format json            everything below a folder
  kaspector scan /captures --format csv -o hosts.csv
  kaspector scan 'span-*.pcap.zst' --eve eve.json   alerts for an IDS pipeline
  zcat old.pcap.gz | kaspector scan -               standard input
  kaspector scan a.pcap --filter 'not port 22'      a libpcap filter
  kaspector scan a.pcap --fail-on confirmed         exit code 3 when found
  kaspector scan /captures --state hosts.state      add to an inventory
  kaspector scan /captures --evidence ./proof       keep the packets, too";

pub(super) const LOGS_FILES: &str = "\
Files:
  PATH          a name that is not UTF-8 is shown with \\xNN for such bytes and
                with \\\\ for a backslash
  --output FILE replaced when it is an answer of this program, left alone else
  --eve FILE    replaced when each of its lines is an alert of a scan, left
                alone else; never an input
  --state FILE  an SQLite database; FILE-wal and FILE-shm stand beside it while
                it is in use
  --site FILE   read, never changed; [[subnet]], [[machine]], [[resolver]],
                [[proxy]], [[nat]] and [[exception]] tables
  --map FILE    read, never changed";

pub(super) const LOGS_EXAMPLES: &str = "\
Examples:
  kaspector logs /var/log/suricata                  EVE, rotated or not
  kaspector logs /opt/zeek/logs --format json       all logs of one Zeek
  kaspector logs query.log --timezone Europe/Berlin BIND's times have no zone
  kaspector logs dnsmasq.log --timezone +02:00 --year 2026
  kaspector logs access.log --state hosts.state     add to an inventory
  kaspector logs fw.log --map my.toml               a format of one's own
  zcat eve.json.7.gz | kaspector logs -             standard input";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  kaspector explain 10.20.0.5 office.pcap
  kaspector explain 10.20.0.5 --state hosts.state
  kaspector explain 01KATPA6D2Q3V5R8N1M4X7Z9BC office.pcap    the uid of an alert
  kaspector explain s07.upd.kaspersky.com
  kaspector explain KL-UPD-0001";

pub(super) const HOSTS_EXAMPLES: &str = "\
Examples:
  kaspector hosts --state hosts.state                             all hosts
  kaspector hosts --state hosts.state --verdict confirmed --since 7d
  kaspector hosts --state hosts.state --address 10.20.0.0/16 --format csv
  kaspector hosts --state hosts.state --not-since 14d             perhaps gone
  kaspector hosts --state hosts.state --since 2026-10-01 --until 2026-10-31
  kaspector hosts --state hosts.state --format json | jq '.hosts[].address'
  kaspector hosts diff october.state november.state";

#[cfg(target_os = "linux")]
pub(super) const WATCH_EXAMPLES: &str = "\
Examples:
  kaspector watch -i eth1                            alerts on standard output
  kaspector watch -i eth1 -o file:eve.json --spool ./spool
  kaspector watch -i eth1 -i eth2 -o unix-stream:/run/eve.sock
  kaspector watch -i eth1 --filter 'not port 22' -o syslog+tcp://siem:601
  kaspector watch -i eth1 --http 127.0.0.1:9317      metrics, health and a page
  kaspector watch -c /etc/kaspector/watch.toml --check-config";

pub(super) const SIGNATURES_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures show KL-UPD-0001
  kaspector signatures check ./my-signatures
  kaspector signatures test s07.upd.kaspersky.com";

pub(super) const SHOW_EXAMPLES: &str = "Example:\n  kaspector signatures show KL-UPD-0001";

pub(super) const CHECK_EXAMPLES: &str = "Example:\n  kaspector signatures check ./my-signatures";

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  kaspector signatures list
  kaspector signatures list | grep installed
  kaspector signatures list --format csv -o indicators.csv
  kaspector signatures list --signatures-extra ./my-signatures";

pub(super) const COMPLETIONS_FILES: &str = "\
Files:
  ~/.local/share/bash-completion/completions/kaspector  where bash looks
  ~/.config/fish/completions/kaspector.fish             where fish looks
  _kaspector in a folder of $fpath                      where zsh looks";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kaspector completions bash > ~/.local/share/bash-completion/completions/kaspector
  kaspector completions zsh > ~/.zfunc/_kaspector
  kaspector completions fish > ~/.config/fish/completions/kaspector.fish";

pub(super) const TEST_EXAMPLES: &str = "\
Examples:
  kaspector signatures test s07.upd.kaspersky.com
  kaspector signatures test 77.74.181.10
  kaspector signatures test http://mirror.example/index/u1313g.xml";
