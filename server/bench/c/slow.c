/*
 * slow QUEUE PREFIX PATH CLIENTS DEPTH SIZE
 *
 * Requests PATH over CLIENTS reply queues at once and takes one message of each every PAUSE. Prints "slow" when all
 * transfers have begun. At the end of its standard input it takes the rest at full speed, and prints the bytes received.
 */
#include "bench.h"

#include <poll.h>

enum { PAUSE = 20 /* milliseconds */ };

struct transfer { mqd_t reply; int ended; char name[256]; };

static uint64_t bytes;

static void take(struct transfer *t, char *buf, size_t size)
{
    unsigned kind;
    size_t n = receive(t->reply, buf, size, &kind);
    if (kind == DATA)
        bytes += n;
    t->ended = kind == END;
}

/* Takes one message of each transfer that goes on, and returns how many did. */
static long take_round(struct transfer *transfers, long clients, char *buf, size_t size)
{
    long going = 0;
    for (struct transfer *t = transfers; t < transfers + clients; t++)
        if (!t->ended) {
            take(t, buf, size);
            going++;
        }
    return going;
}

static int input_ended(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&in, 1, PAUSE) != 0;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: slow QUEUE PREFIX PATH CLIENTS DEPTH SIZE\n");
        return USAGE;
    }
    long clients = atol(argv[4]), size = atol(argv[6]);
    struct transfer *transfers = calloc(clients, sizeof *transfers);
    char *buf = malloc(size);
    mqd_t server = open_server(argv[1]);
    for (long i = 0; i < clients; i++) {
        snprintf(transfers[i].name, sizeof transfers[i].name, "%s%ld", argv[2], i);
        transfers[i].reply = make_queue(transfers[i].name, O_RDONLY, atol(argv[5]), size);
        struct request r = make_request(transfers[i].name, argv[3]);
        send_request(server, &r);
    }
    take_round(transfers, clients, buf, size); /* INFO */
    for (long i = 0; i < clients; i++)
        mq_unlink(transfers[i].name);
    printf("slow\n");
    fflush(stdout);
    while (!input_ended())
        take_round(transfers, clients, buf, size);
    while (take_round(transfers, clients, buf, size) > 0)
        ;
    printf("%llu\n", (unsigned long long)bytes);
    return 0;
}
