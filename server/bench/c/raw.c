/*
 * raw QUEUE PIDFILE THREADS
 *
 * What no server can beat: loops of mq_receive and mq_send and nothing else. Each thread takes a request, whose path is
 * a number, and sends INFO, so many bytes of DATA from memory, and END. No file is opened, and a reply queue only once.
 * Like a daemon it returns when it is ready, and leaves a process whose PID is in PIDFILE. SIGTERM ends it.
 */
#include "bench.h"

#include <pthread.h>
#include <signal.h>

enum { CLIENTS = 256 };

static mqd_t requests;

/* Reply queues that a thread has open, by the PID of the client. */
struct client { int32_t pid; mqd_t queue; long size; };

static struct client *find(struct client *known, const struct request *r)
{
    struct client *c = known;
    while (c->pid != 0 && c->pid != r->pid)
        c++;
    if (c == known + CLIENTS) {
        fprintf(stderr, "raw: more than %d clients\n", CLIENTS);
        _exit(FAILED);
    }
    if (c->pid == 0) {
        struct mq_attr attr;
        c->pid = r->pid;
        c->queue = mq_open(r->reply, O_WRONLY);
        if (c->queue == -1 || mq_getattr(c->queue, &attr) == -1)
            die(r->reply);
        c->size = attr.mq_msgsize;
    }
    return c;
}

static void answer(const struct client *c, const char *data, uint64_t size)
{
    int failed = mq_send(c->queue, (const char *)&size, sizeof size, INFO);
    for (uint64_t n; size > 0 && !failed; size -= n) {
        n = size < (uint64_t)c->size ? size : (uint64_t)c->size;
        failed = mq_send(c->queue, data, n, DATA);
    }
    if (failed || mq_send(c->queue, "", 0, END) == -1)
        die("mq_send");
}

static void *serve(void *unused)
{
    struct client *known = calloc(CLIENTS + 1, sizeof *known);
    char *data = malloc(1 << 20);
    struct request r;
    memset(data, 'x', 1 << 20);
    while (mq_receive(requests, (char *)&r, sizeof r, NULL) > 0)
        answer(find(known, &r), data, strtoull(r.path, NULL, 10));
    die("mq_receive");
    return unused;
}

static void serve_in_threads(long threads)
{
    pthread_t thread;
    for (long i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
            die("pthread_create");
    serve(NULL);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: raw QUEUE PIDFILE THREADS\n");
        return USAGE;
    }
    requests = make_queue(argv[1], O_RDONLY, 10, sizeof(struct request));
    FILE *pidfile = fopen(argv[2], "w");
    if (pidfile == NULL)
        die(argv[2]);
    pid_t pid = fork();
    if (pid == -1)
        die("fork");
    if (pid == 0) {
        /* Nobody is to wait for the end of these. */
        freopen("/dev/null", "w", stdout);
        freopen("/dev/null", "w", stderr);
        setsid();
        serve_in_threads(atol(argv[3]));
    }
    fprintf(pidfile, "%d\n", pid);
    return fclose(pidfile) == 0 ? 0 : FAILED;
}
