/*
 * load QUEUE PREFIX PATH CLIENTS REQUESTS DEPTH SIZE
 *
 * Makes CLIENTS processes that each fetch PATH REQUESTS times, one after the other, over a reply queue of DEPTH messages
 * of SIZE bytes, named PREFIX and a number. Prints the wall time of the whole load in seconds, the requests made, the
 * bytes received, and the median and 99th percentile of the time of a request in microseconds.
 *
 * It is killed rather than interrupted, so whoever starts it unlinks the names.
 */
#include "bench.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

struct shared {
    uint64_t bytes;
    float latency[]; /* of every request, microseconds */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t fetch(mqd_t server, mqd_t reply, const struct request *r, char *buf, size_t size)
{
    uint64_t bytes = 0;
    unsigned kind;
    if (mq_send(server, (const char *)r, offsetof(struct request, path) + strlen(r->path) + 1, 0) == -1)
        die("mq_send");
    do {
        ssize_t n = mq_receive(reply, buf, size, &kind);
        if (n == -1)
            die("mq_receive");
        if (kind == FAILURE) {
            fprintf(stderr, "the server says: %.*s\n", (int)n, buf);
            _exit(FAILED);
        }
        if (kind == DATA)
            bytes += n;
    } while (kind != END);
    return bytes;
}

static void client(char **argv, long number, float *latency, uint64_t *bytes)
{
    long requests = atol(argv[5]), size = atol(argv[7]);
    uint64_t sum = 0;
    char *buf = malloc(size);
    struct request r = { .pid = getpid() };
    snprintf(r.reply, sizeof r.reply, "%s%ld", argv[2], number);
    snprintf(r.path, sizeof r.path, "%s", argv[3]);
    mqd_t reply = make_queue(r.reply, atol(argv[6]), size), server = mq_open(argv[1], O_WRONLY);
    if (server == -1)
        die(argv[1]);
    for (long i = 0; i < requests; i++) {
        double begin = now();
        sum += fetch(server, reply, &r, buf, size);
        latency[i] = (now() - begin) * 1e6;
    }
    mq_unlink(r.reply);
    __atomic_add_fetch(bytes, sum, __ATOMIC_RELAXED);
    _exit(0);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long clients = atol(argv[4]), requests = atol(argv[5]), all = clients * requests;
    struct shared *s = mmap(NULL, sizeof *s + all * sizeof(float), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        die("mmap");
    double begin = now();
    for (long i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid == -1)
            die("fork");
        if (pid == 0) {
            /* If one fails the parent exits and takes the others along: nobody waits for ever. */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            client(argv, i, s->latency + i * requests, &s->bytes);
        }
    }
    for (int status; wait(&status) > 0;)
        if (status != 0)
            return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
    double took = now() - begin;
    qsort(s->latency, all, sizeof(float), ascending);
    printf("%.6f %ld %llu %.1f %.1f\n", took, all, (unsigned long long)s->bytes, s->latency[all / 2],
           s->latency[all * 99 / 100]);
    return 0;
}
