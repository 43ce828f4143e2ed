/*
 * raw QUEUE PIDFILE THREADS
 *
 * The limit for any server: loops of mq_receive and mq_send and nothing else. Each thread receives a request, whose
 * path is a number, and sends INFO, that many bytes of DATA from memory, and END. No file is opened, and each reply
 * queue only once.
 * Like a daemon it returns when it is ready, and leaves a process whose PID is in PIDFILE. SIGTERM ends it.
 */
#include "bench.h"

#include <pthread.h>

enum { CLIENTS = 256 };

static mqd_t requests;

/* A thread's open reply queues, by client PID. */
struct client { int32_t pid; mqd_t queue; long size; };

static struct client *find(struct client *known, const struct request *r)
{
    struct client *c = known;
    while (c->pid != 0 && c->pid != r->pid)
        if (++c == known + CLIENTS)
            die("too many clients");
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
    struct client *known = calloc(CLIENTS, sizeof *known);
    char *data = malloc(1 << 20);
    struct request r;
    memset(data, 'x', 1 << 20);
    while (mq_receive(requests, (char *)&r, sizeof r, NULL) > 0)
        answer(find(known, &r), data, strtoull(r.path, NULL, 10));
    die("mq_receive");
    return unused;
}

int main(int argc, char **argv)
{
    requests = make_queue(argv[1], 10, sizeof(struct request));
    FILE *pidfile = fopen(argv[2], "w");
    pid_t pid = pidfile ? fork() : -1;
    if (pid == -1)
        die(argv[2]);
    if (pid == 0) {
        /* Nobody may wait for EOF on these. */
        freopen("/dev/null", "w", stdout);
        freopen("/dev/null", "w", stderr);
        setsid();
        pthread_t thread;
        for (long i = 1; i < atol(argv[3]); i++)
            if (pthread_create(&thread, NULL, serve, NULL) != 0)
                die("pthread_create");
        serve(NULL);
    }
    fprintf(pidfile, "%d\n", pid);
    return fclose(pidfile) == 0 ? 0 : FAILED;
}
