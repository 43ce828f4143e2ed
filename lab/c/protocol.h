//lab:give

/*
 * What a client and the server say to each other.
 *
 * A request goes to the server's queue.  The responses go to a queue that the
 * client made; they are bare bodies, and the priority of a message is its
 * type, as mtype is in System V.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEFAULT_QUEUE "/mqfiled"
#define QUEUE_MODE 0622 /* the owner receives, everybody sends */
#define REPLY_MIN 256   /* the smallest message size of a reply queue */

struct request {
    int32_t pid;     /* the client's: the server notices its death */
    char reply[256]; /* the client's queue, "/NAME" and a NUL */
    char path[4096]; /* sent only up to and including its NUL */
};

#define REQUEST_HEAD offsetof(struct request, path)
static_assert(sizeof(struct request) == 4356, "the layout has no padding");

/*
 * Higher priorities are received first.  END is the lowest, so that it cannot
 * overtake the data; FAILURE is above DATA, so that it arrives at once.
 */
enum response {
    END = 1,     /* no body */
    DATA = 2,    /* the next bytes of the file */
    FAILURE = 3, /* the reason, as text without a NUL */
    INFO = 4,    /* the size of the file, a uint64_t */
};

/* A slash and a file name without one: mq_overview(7). */
static inline bool is_queue_name(const char *name)
{
    const char *rest = name + 1;

    return name[0] == '/' && rest[0] != '\0' && strchr(rest, '/') == NULL &&
           strcmp(rest, ".") != 0 && strcmp(rest, "..") != 0 &&
           strlen(rest) <= NAME_MAX;
}

#endif
