/* Prints all that the library says of each capture that it is given: hosts and alerts as JSON lines, then counters. */
#include <inttypes.h>
#include <kaspector.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(kaspector_detector *detector, kaspector_status status)
{
    if (status != KASPECTOR_OK) {
        fprintf(stderr, "everything: %d: %s\n", (int)status, kaspector_message(detector));
        exit(1);
    }
}

static void print(kaspector_detector *detector, const char *path)
{
    size_t hosts, alerts, counters;
    kaspector_text text;
    kaspector_status status = kaspector_scan(detector, path);
    if (status == KASPECTOR_ERROR_CAPTURE)
        printf("damaged %s\n", kaspector_message(detector));
    else
        must(detector, status);
    must(detector, kaspector_host_count(detector, &hosts));
    for (size_t at = 0; at < hosts; at++) {
        const kaspector_host *host = kaspector_host_at(detector, at);
        must(detector, kaspector_host_json(detector, at, &text));
        if (strlen(text.data) != text.len || kaspector_evidence_at(detector, at, host->evidence_count - 1) == NULL ||
            kaspector_evidence_at(detector, at, host->evidence_count) != NULL)
            exit(2);
        printf("host %s\n", text.data);
    }
    must(detector, kaspector_take_alerts(detector, &alerts));
    for (size_t at = 0; at < alerts; at++) {
        const kaspector_alert *alert = kaspector_alert_at(detector, at);
        must(detector, kaspector_alert_eve(detector, at, &text));
        printf("alert %s %s %" PRIu64 " %s\n", alert->host.address.text.data, alert->indicator.data, alert->packet, text.data);
    }
    must(detector, kaspector_read_counters(detector, &counters));
    for (size_t at = 0; at < counters; at++) {
        const kaspector_counter *counter = kaspector_counter_at(detector, at);
        printf("counter %d %s %" PRIu64 "\n", (int)counter->kind, counter->name.data, counter->value);
    }
    if (kaspector_host_at(detector, hosts) || kaspector_alert_at(detector, alerts) || kaspector_counter_at(detector, counters))
        exit(3);
}

int main(int argc, char **argv)
{
    kaspector_detector *detector;
    kaspector_options options;
    kaspector_options_init(&options, sizeof options);
    options.eve_version = 8;
    must(NULL, kaspector_abi_version() == KASPECTOR_ABI_VERSION ? KASPECTOR_OK : KASPECTOR_ERROR_ORDER);
    must(NULL, kaspector_new(&options, &detector));
    for (int at = 1; at < argc; at++) {
        printf("capture %s\n", argv[at]);
        print(detector, argv[at]);
    }
    kaspector_free(detector);
    return 0;
}
