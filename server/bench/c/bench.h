/* Shared by the load generator and the raw limit: the contract's messages, and exit statuses. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { END = 1, DATA = 2, FAILURE = 3, INFO = 4 };

/* NO_ROOM is the exit status when the user's RLIMIT_MSGQUEUE or the namespace's queues_max is used up. */
enum { FAILED = 1, NO_ROOM = 3 };

struct request { int32_t pid; char reply[256]; char path[4096]; };

static inline void die(const char *what)
{
    perror(what);
    _exit(FAILED);
}

/* Makes a queue to receive from, writable for the server whatever the umask. */
static inline mqd_t make_queue(const char *name, long depth, long size)
{
    struct mq_attr attr = { .mq_maxmsg = depth, .mq_msgsize = size };
    umask(0);
    mqd_t queue = mq_open(name, O_RDONLY | O_CREAT | O_EXCL, 0622, &attr);
    if (queue == -1) {
        fprintf(stderr, "mq_open %s, %ld x %ld bytes: %s\n", name, depth, size, strerror(errno));
        _exit(errno == EMFILE || errno == ENOSPC ? NO_ROOM : FAILED);
    }
    return queue;
}
