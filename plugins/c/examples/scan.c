/* Finds the machines that run Kaspersky software in captures that libpcap reads: scan FILE...
 * cc scan.c $(pkg-config --cflags --libs kaspector libpcap) -o scan */
#define _DEFAULT_SOURCE /* for the types of pcap.h */
#include <inttypes.h>
#include <kaspector.h>
#include <pcap/pcap.h>
#include <stdio.h>

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "scan: %s: %s\n", path, what);
    return 1;
}

static int scan(kaspector_detector *detector, const char *path)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *capture = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
    if (capture == NULL)
        return fail(path, error);
    uint32_t link_type = (uint32_t)pcap_datalink(capture);
    struct pcap_pkthdr *header;
    const u_char *bytes;
    int read;
    /* libpcap gives one packet at a time; where packets lie in a ring, feed up to some hundred at once. */
    while ((read = pcap_next_ex(capture, &header, &bytes)) == 1) {
        kaspector_packet packet = {
            .ts_ns = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec,
            .link_type = link_type,
            .caplen = header->caplen,
            .wirelen = header->len,
            .data = bytes,
        };
        if (kaspector_feed(detector, &packet, 1) != KASPECTOR_OK)
            break;
    }
    if (read == PCAP_ERROR)
        fail(path, pcap_geterr(capture));
    pcap_close(capture);
    if (kaspector_finish(detector) != KASPECTOR_OK)
        return fail(path, kaspector_message(detector));

    const kaspector_host *host;
    for (size_t at = 0; (host = kaspector_host_at(detector, at)) != NULL; at++) {
        printf("%s: %s %s %u%% %s\n", path, host->id.address.text.data, host->verdict_name.data, host->confidence, host->role.data);
        const kaspector_evidence *evidence = kaspector_evidence_at(detector, at, 0);
        printf("  %s %s %s, packet %" PRIu64 "\n", evidence->indicator.data, evidence->field.data, evidence->observed.data, evidence->packet);
    }
    return read == PCAP_ERROR;
}

int main(int argc, char **argv)
{
    int failed = argc < 2 ? fail("no capture", "give the names of some") : 0;
    kaspector_detector *detector;
    if (kaspector_new(NULL, &detector) != KASPECTOR_OK)
        failed = fail("libkaspector", kaspector_message(detector));
    for (int at = 1; at < argc && !failed; at++)
        failed = scan(detector, argv[at]);
    kaspector_free(detector);
    return failed;
}
