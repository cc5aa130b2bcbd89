/* libkaspector: finds the machines that run Kaspersky software by their traffic. Packets in; alerts, hosts and counters out.
 * Made by cbindgen out of plugins/c/src; do not edit. docs/plugins.md shows how to use it, examples/scan.c a whole program.
 *
 * Pointers. What a function is given is read during the call alone. What it gives belongs to the detector, and is valid until the
 * call that its comment names, or kaspector_free. Nothing but a detector is ever freed. A pointer that is not from kaspector_new, or
 * that was freed, is undefined behaviour, as anywhere in C.
 *
 * Errors. A function returns KASPECTOR_OK or less. kaspector_message then says where, what, and what to do. NULL in the place of a
 * detector is KASPECTOR_ERROR_ARGUMENT.
 *
 * Threads. A detector may move between threads, and is used by one at a time: a second call at once is KASPECTOR_ERROR_BUSY.
 * Different detectors are independent; the library has no state of its own, starts no thread, and installs no handler.
 *
 * Defects. No exception and no panic leaves a function. After a defect the detector answers KASPECTOR_ERROR_PANICKED until it is
 * freed; one line about it goes to standard error. Where the system refuses memory, the process ends, as with most libraries.
 *
 * Growth. Later versions may add fields at the end of structs (not of kaspector_packet and kaspector_text): do not make arrays of them.
 * The detector is licensed under MIT or Apache-2.0.
 */

#ifndef KASPECTOR_H
#define KASPECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Version of the binary interface that this header describes: the number in libkaspector.so.0. It rises when a program has to be compiled
// again. What is added at the end of a struct, and new functions, do not raise it.
#define KASPECTOR_ABI_VERSION 0

// How a call ended. Below zero: an error, and kaspector_message says where, what, and what to do.
enum kaspector_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // As it should.
  KASPECTOR_OK = 0,
  // An argument cannot be what it is, for example NULL. Nothing was done.
  KASPECTOR_ERROR_ARGUMENT = -1,
  // The signature files cannot be read or are wrong.
  KASPECTOR_ERROR_SIGNATURES = -2,
  // A capture file cannot be read, or not to its end. What came before the damage was read, and its hosts and alerts are there.
  KASPECTOR_ERROR_CAPTURE = -3,
  // The call comes out of turn. Nothing was done.
  KASPECTOR_ERROR_ORDER = -4,
  // Another thread is in a call with the same detector. Nothing was done.
  KASPECTOR_ERROR_BUSY = -5,
  // A defect of the library, or no memory for the table of flows. The detector answers nothing else any more: free it.
  KASPECTOR_ERROR_PANICKED = -6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum kaspector_status kaspector_status;
#else
typedef int32_t kaspector_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the evidence of a host adds up to.
enum kaspector_verdict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The host contacted what only the software contacts.
  KASPECTOR_CONFIRMED = 1,
  // It looked a name up, or there are other explanations.
  KASPECTOR_SUSPECTED = 2,
  // Somebody visited the vendor's web pages.
  KASPECTOR_BROWSING = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum kaspector_verdict kaspector_verdict;
#else
typedef int32_t kaspector_verdict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a counter counts.
enum kaspector_counter_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Packets, bytes and flows in all.
  KASPECTOR_COUNTER_TOTAL = 1,
  // Packets that ended so. Each packet has exactly one outcome.
  KASPECTOR_COUNTER_OUTCOME = 2,
  // What was dropped at a bound of this name.
  KASPECTOR_COUNTER_DROPPED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum kaspector_counter_kind kaspector_counter_kind;
#else
typedef int32_t kaspector_counter_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A detector: opaque. Made by kaspector_new, given back by kaspector_free.
typedef struct kaspector_detector kaspector_detector;

// How a detector is to be. Fill it by kaspector_options_init, then set what is to differ.
typedef struct kaspector_options {
  // Bytes of this struct, as the program was compiled with it.
  size_t size;
  // Folder of signature files that take the place of the built-in ones; NULL: the built-in ones.
  const char *signatures;
  // Folder of signature files that are used besides; NULL: none.
  const char *extra_signatures;
  // A detector whose signatures are to be used; they are then loaded once for both. NULL: none. It may be freed before this one.
  struct kaspector_detector *share_signatures;
  // Where packets that are fed come from, as EVE lines and JSON name it; NULL: "packets".
  const char *source;
  // What tells this run from others. Identifiers of alerts follow from it, so with the same packets and the same run they are the same.
  uint8_t run[32];
  // Key of the flow hash; 0: a constant one. Live traffic wants a random one, so that nobody can aim at one bucket.
  uint64_t seed;
  // Keep no alerts, only hosts.
  bool without_alerts;
  // Whose readers the EVE lines are for: Suricata 7 or 8; 0: 7.
  uint8_t eve_version;
  // Bounds of each of the 8 lanes; 0: the default. Flows that carry payload: 131072.
  size_t flows;
  // TCP flows without payload: 16384.
  size_t half_open_flows;
  // UDP flows in no known protocol: 65536; those of the port of DNS have 8192 of their own.
  size_t datagram_flows;
  // TCP connections whose payload is read at once: 4096.
  size_t conversations;
  // QUIC connections whose hello is incomplete: 2048.
  size_t initials;
  // Bytes held back until others arrive: 8 MiB.
  size_t held_bytes;
} kaspector_options;

// One captured packet. Its bytes are read during the call alone.
typedef struct kaspector_packet {
  // When it was captured, in nanoseconds since 1970. The only clock that the detector knows.
  uint64_t ts_ns;
  // How its first header is to be read: a LINKTYPE_ number, 1 for Ethernet. What pcap_datalink gives serves as well.
  uint32_t link_type;
  // Bytes captured.
  uint32_t caplen;
  // Bytes on the wire; less than caplen counts as caplen.
  uint32_t wirelen;
  // The captured bytes; may be NULL if there are none.
  const uint8_t *data;
} kaspector_packet;

// A text in UTF-8. A zero byte follows it; one may also stand in it, since observed values come from the network.
typedef struct kaspector_text {
  // The first byte; never NULL.
  const char *data;
  // Bytes without the zero byte behind them.
  size_t len;
} kaspector_text;

// An IP address.
typedef struct kaspector_address {
  // 4 or 6.
  uint8_t version;
  // 4 or 16 bytes in network order, then zeros.
  uint8_t bytes[16];
  // The same as text.
  struct kaspector_text text;
} kaspector_address;

// A machine: its address within its tenant.
typedef struct kaspector_host_id {
  // The address.
  struct kaspector_address address;
  // Outermost VLAN tag; -1: none.
  int32_t vlan;
  // Second VLAN tag; -1: none.
  int32_t inner_vlan;
  // Identifier of the virtual network (VXLAN, GENEVE, NVGRE); -1: none.
  int32_t vni;
} kaspector_host_id;

// Evidence at the moment when it was first seen: one for each host, indicator, field and flow.
typedef struct kaspector_alert {
  // Time of the packet that showed it.
  uint64_t ts_ns;
  // Number of that packet, from 1.
  uint64_t packet;
  // The machine that it is about.
  struct kaspector_host_id host;
  // Whether that is the server of the flow.
  bool host_is_server;
  // Who opened the flow.
  struct kaspector_address client;
  // Its port.
  uint16_t client_port;
  // The other side.
  struct kaspector_address server;
  // Its port.
  uint16_t server_port;
  // IP protocol number: 6 or 17.
  uint8_t protocol;
  // Identifier of the indicator: KL-UPD-0001.
  struct kaspector_text indicator;
  // Its category: update, reputation, ...
  struct kaspector_text category;
  // What it proves: installed, ambiguous or browse.
  struct kaspector_text strength;
  // How close: contact, lookup or hint.
  struct kaspector_text seen_as;
  // How far it came: attempted, established, refused or data-exchanged.
  struct kaspector_text reached;
  // Where in the traffic: tls.sni, dns.query, ...
  struct kaspector_text field;
  // What stood there, at most 255 bytes.
  struct kaspector_text observed;
} kaspector_alert;

// A host with evidence.
typedef struct kaspector_host {
  // The machine.
  struct kaspector_host_id id;
  // Its verdict.
  kaspector_verdict verdict;
  // The same as text: confirmed, suspected or browsing.
  struct kaspector_text verdict_name;
  // How sure, in per cent.
  uint8_t confidence;
  // What it is to this traffic: endpoint, relay, server or gateway.
  struct kaspector_text role;
  // Its own link-layer address as text; empty where none is known.
  struct kaspector_text mac;
  // Time of the first evidence.
  uint64_t first_seen_ns;
  // Time of the last evidence.
  uint64_t last_seen_ns;
  // Flows with evidence.
  uint64_t flows;
  // Bytes on the wire that it sent in them.
  uint64_t bytes_sent;
  // Bytes on the wire that it received in them.
  uint64_t bytes_received;
  // Products that the evidence names. Where several fit, kaspector_host_json says which lists one is meant of.
  const struct kaspector_text *products;
  // How many.
  size_t products_count;
  // Pieces of evidence, for kaspector_evidence_at.
  size_t evidence_count;
} kaspector_host;

// All evidence of one host with the same indicator, field, value and server.
typedef struct kaspector_evidence {
  // Identifier of the indicator: KL-UPD-0001.
  struct kaspector_text indicator;
  // Its category: update, reputation, ...
  struct kaspector_text category;
  // What it proves: installed, ambiguous or browse.
  struct kaspector_text strength;
  // How close: contact, lookup or hint.
  struct kaspector_text seen_as;
  // How far it came: attempted, established, refused or data-exchanged.
  struct kaspector_text reached;
  // Where in the traffic: tls.sni, dns.query, ...
  struct kaspector_text field;
  // What stood there, at most 255 bytes.
  struct kaspector_text observed;
  // How often.
  uint64_t count;
  // Time of the first.
  uint64_t first_seen_ns;
  // Time of the last.
  uint64_t last_seen_ns;
  // The server of the flow.
  struct kaspector_address server;
  // Its port.
  uint16_t server_port;
  // Number of the first packet that showed it.
  uint64_t packet;
} kaspector_evidence;

// One counter. Outcomes and bounds that count nothing are left out.
typedef struct kaspector_counter {
  // What it counts.
  kaspector_counter_kind kind;
  // Its name, as in the JSON of a scan.
  struct kaspector_text name;
  // How many.
  uint64_t value;
} kaspector_counter;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The KASPECTOR_ABI_VERSION that the library was built with. It is the program's own if the program runs at all; programs that load the
// library by themselves compare.
uint32_t kaspector_abi_version(void);

// The version of the library: "0.1.0". Lives as long as the library.
const char *kaspector_version(void);

// Fills options with what is the default. `size` is sizeof(kaspector_options). Does nothing if `options` is NULL.
void kaspector_options_init(struct kaspector_options *options,
                            size_t size);

// Makes a detector. `options` may be NULL: the default. If it fails, the detector only tells why, by kaspector_message, and is to be freed
// all the same.
kaspector_status kaspector_new(const struct kaspector_options *options,
                               struct kaspector_detector **detector);

// Frees a detector and everything that it gave out. NULL is allowed.
void kaspector_free(struct kaspector_detector *detector);

// What the last call with this detector that failed said; empty if none did. Valid until the next call with the detector.
const char *kaspector_message(const struct kaspector_detector *detector);

// Feeds packets, in the order of time. Malformed and cut ones are no errors: kaspector_read_counters tells how many there were.
kaspector_status kaspector_feed(struct kaspector_detector *detector,
                                const struct kaspector_packet *packets,
                                size_t count);

// Ends every flow and sums up the hosts of the packets that were fed. The detector is then as new. Alerts that come of it are still to be
// taken.
kaspector_status kaspector_finish(struct kaspector_detector *detector);

// Reads a capture file to its end: pcap, pcapng and others, also packed ones. Then its hosts, alerts and counters are there, as after
// kaspector_finish; also those of the part before damage, if the status is KASPECTOR_ERROR_CAPTURE.
kaspector_status kaspector_scan(struct kaspector_detector *detector,
                                const char *path);

// Takes the alerts that were raised since they were taken last. What was taken before is forgotten. `count` may be NULL.
kaspector_status kaspector_take_alerts(struct kaspector_detector *detector,
                                       size_t *count);

// An alert of those that were taken last, from 0; NULL behind the last. Valid until alerts are taken again.
const struct kaspector_alert *kaspector_alert_at(const struct kaspector_detector *detector,
                                                 size_t index);

// The same alert as a line of Suricata's EVE JSON, without a newline. Valid until another text is asked for, or alerts are taken again.
kaspector_status kaspector_alert_eve(struct kaspector_detector *detector,
                                     size_t index,
                                     struct kaspector_text *line);

// How many hosts the input showed that ended last. `count` may be NULL.
kaspector_status kaspector_host_count(const struct kaspector_detector *detector, size_t *count);

// A host of the input that ended last, from 0: strongest verdict first, then by address. NULL behind the last. Valid until the next
// input ends.
const struct kaspector_host *kaspector_host_at(const struct kaspector_detector *detector,
                                               size_t index);

// A piece of evidence of that host, from 0, strongest first; NULL behind the last. Valid as the host is.
const struct kaspector_evidence *kaspector_evidence_at(const struct kaspector_detector *detector,
                                                       size_t host,
                                                       size_t index);

// The same host as JSON, as "kaspector scan --format json" has it. Valid until another text is asked for.
kaspector_status kaspector_host_json(struct kaspector_detector *detector,
                                     size_t index,
                                     struct kaspector_text *json);

// Reads the counters: of what was fed since the last end or, if nothing was, of the input that ended last. `count` may be NULL.
kaspector_status kaspector_read_counters(struct kaspector_detector *detector,
                                         size_t *count);

// A counter of those that were read last, from 0; NULL behind the last. Valid until counters are read again.
const struct kaspector_counter *kaspector_counter_at(const struct kaspector_detector *detector,
                                                     size_t index);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KASPECTOR_H */
