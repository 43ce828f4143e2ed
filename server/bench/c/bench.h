/* What the load generators share: the messages of the contract, a clock, and how they end. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { END = 1, DATA = 2, FAILURE = 3, INFO = 4 };

/* NO_ROOM is the exit status when the user's RLIMIT_MSGQUEUE or the namespace's queues_max is used up. */
enum { FAILED = 1, USAGE = 2, NO_ROOM = 3 };

struct request { int32_t pid; char reply[256]; char path[4096]; };

static inline void die(const char *what)
{
    perror(what);
    _exit(FAILED);
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* A new queue that the server may write to, whatever the umask. */
static inline mqd_t make_queue(const char *name, int flags, long depth, long size)
{
    struct mq_attr attr = { .mq_maxmsg = depth, .mq_msgsize = size };
    umask(0);
    mqd_t queue = mq_open(name, flags | O_CREAT | O_EXCL, 0622, &attr);
    if (queue == -1) {
        fprintf(stderr, "mq_open %s, %ld x %ld bytes: %s\n", name, depth, size, strerror(errno));
        _exit(errno == EMFILE || errno == ENOSPC ? NO_ROOM : FAILED);
    }
    return queue;
}

static inline mqd_t open_server(const char *name)
{
    mqd_t queue = mq_open(name, O_WRONLY);
    if (queue == -1)
        die(name);
    return queue;
}

static inline struct request make_request(const char *reply, const char *path)
{
    struct request r = { .pid = getpid() };
    snprintf(r.reply, sizeof r.reply, "%s", reply);
    snprintf(r.path, sizeof r.path, "%s", path);
    return r;
}

static inline void send_request(mqd_t server, const struct request *r)
{
    if (mq_send(server, (const char *)r, offsetof(struct request, path) + strlen(r->path) + 1, 0) == -1)
        die("mq_send");
}

/* Waits for a message and returns its length. A FAILURE ends the process. */
static inline size_t receive(mqd_t reply, char *buf, size_t size, unsigned *kind)
{
    ssize_t n = mq_receive(reply, buf, size, kind);
    if (n == -1)
        die("mq_receive");
    if (*kind == FAILURE) {
        fprintf(stderr, "the server says: %.*s\n", (int)n, buf);
        _exit(FAILED);
    }
    return n;
}
