#include "transfer.h"

#include "clock.h"
#include "daemonize.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

//lab:begin
#define READ_SIZE 65536   /* bytes read from a file at a time, about */
#define LAST_WORD_MS 250  /* how long a cut client may take to make room */
#define RETRY_MS 20       /* between two tries to open a file */

struct transfer {
    const struct request *request;
    mqd_t reply;
    size_t piece; /* the message size of the reply queue */
    int client;   /* a pidfd, -1 when not watched */
    int stop;     /* becomes readable when transfers are cut */
    int file;
    int64_t patience; /* ms without any room in the reply queue */
    uint64_t size;
};

static int root_fd = -1;
static int stop_fd = -1;
static atomic_bool cut;
static int64_t stall_ms;

/* The reasons that are not errors of a system call. */
static const char client_gone[] = "the client is gone";
static const char client_stalled[] = "the client takes nothing";
static const char server_stops[] = "the server is stopping";
//lab:end

//lab:begin errors confine
/*
 * Opens what the path leads to below the root.  The kernel does the
 * confinement in a single step (openat2(2)): checking the name first and then
 * opening it would leave time to slip in a symbolic link.
 */
static int open_below_root(const char *path, uint64_t flags)
{
    const struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    path += strspn(path, "/");
    return (int)syscall(SYS_openat2, root_fd, *path ? path : ".", &how,
                        sizeof how);
}
//lab:end

void open_root(const char *directory)
{
    //lab:begin failure
    //lab:instead (void)directory;
    int self;

    root_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd == -1)
        fail("root %s: %m", directory);
    /* The account may have no way in, and a seccomp filter may refuse
     * openat2(2), as that of systemd's RestrictSUIDSGID= does. */
    self = open_below_root(".", O_PATH);
    if (self == -1)
        fail("root %s: openat2: %m", directory);
    close(self);
    stop_fd = eventfd(0, EFD_CLOEXEC);
    if (stop_fd == -1)
        fail("eventfd: %m");
    //lab:end
}

void set_stall(double seconds)
{
    //lab:begin stuck
    //lab:instead (void)seconds;
    stall_ms = (int64_t)(seconds * 1000);
    //lab:end
}

void cut_transfers(void)
{
    //lab:begin sigterm
    atomic_store(&cut, true);
    eventfd_write(stop_fd, 1); /* never read: it stays readable for all */
    //lab:end
}

//lab:begin stuck
/*
 * Waits until the full reply queue has room: a queue is a descriptor on Linux
 * (mq_overview(7)), so poll(2) can watch it together with the client's life
 * and the end of the server.  Returns NULL, or why not.
 */
static const char *wait_for_room(const struct transfer *t, int64_t give_up)
{
    struct pollfd events[] = {
        {.fd = t->client, .events = POLLIN},
        {.fd = t->stop, .events = POLLIN},
        {.fd = t->reply, .events = POLLOUT},
    };
    int64_t left = give_up - monotonic_ms();
    int ready = poll(events, 3, left > 0 ? (int)left : 0);

    if (ready == -1)
        return errno == EINTR ? NULL : strerror(errno);
    if (events[0].revents != 0)
        return client_gone;
    if (events[1].revents != 0)
        return server_stops;
    return ready == 0 ? client_stalled : NULL;
}

/* Returns NULL, or why the message could not be sent. */
static const char *send_message(const struct transfer *t, enum response type,
                                const void *body, size_t length)
{
    const char *why = NULL;
    int64_t give_up = -1;

    while (why == NULL && mq_send(t->reply, body, length, type) == -1) {
        if (errno != EAGAIN)
            return strerror(errno);
        if (give_up == -1)
            give_up = monotonic_ms() + t->patience;
        why = wait_for_room(t, give_up);
    }
    return why;
}
//lab:end

//lab:begin errors confine
/*
 * Opens a regular file.  EAGAIN: somebody holds a lease on it and has some
 * time to release it (fcntl(2), F_SETLEASE), or a rename made ".." uncertain
 * (openat2(2)).  Both pass.
 */
static const char *open_regular(struct transfer *t, uint64_t flags)
{
    struct pollfd ends[] = {
        {.fd = t->client, .events = POLLIN},
        {.fd = t->stop, .events = POLLIN},
    };
    int64_t give_up = monotonic_ms() + t->patience;
    struct stat status;

    do
        t->file = open_below_root(t->request->path, flags);
    while (t->file == -1 && errno == EAGAIN && monotonic_ms() < give_up &&
           poll(ends, 2, RETRY_MS) == 0);
    if (t->file == -1)
        return errno == EXDEV ? "outside the directory served"
                              : strerror(errno);
    if (fstat(t->file, &status) == -1)
        return strerror(errno);
    if (S_ISDIR(status.st_mode))
        return strerror(EISDIR);
    if (!S_ISREG(status.st_mode))
        return "not a regular file";
    t->size = status.st_size;
    return NULL;
}

/*
 * Looks first (O_PATH): opening a FIFO, even for an instant, would wake its
 * writer and then break its pipe.  A FIFO put there in between does not block
 * the thread (O_NONBLOCK).
 */
static const char *open_file(struct transfer *t)
{
    const char *why;
    char byte;

    if (*t->request->path == '\0')
        return "the path is empty";
    why = open_regular(t, O_PATH);
    if (why != NULL)
        return why;
    close(t->file);
    why = open_regular(t, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    /* Files in /proc claim to be empty and are not (proc(5)). */
    if (why == NULL && t->size == 0 && pread(t->file, &byte, 1, 0) != 0)
        why = "its file system does not report its size";
    return why;
}
//lab:end

//lab:begin transfer
/* Fills the buffer.  Returns NULL, or why it could not. */
static const char *read_whole(int file, char *buffer, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = read(file, buffer + done, length - done);

        if (n == 0)
            return "the file shrank while it was being sent";
        if (n == -1 && errno != EINTR)
            return strerror(errno);
        if (n > 0)
            done += n;
    }
    return NULL;
}

static const char *send_pieces(const struct transfer *t, const char *bytes,
                               size_t length)
{
    const char *why = NULL;

    while (why == NULL && length > 0) {
        size_t piece = length < t->piece ? length : t->piece;

        if (atomic_load_explicit(&cut, memory_order_relaxed))
            return server_stops;
        why = send_message(t, DATA, bytes, piece);
        bytes += piece;
        length -= piece;
    }
    return why;
}

/* Exactly the bytes that INFO promised, whatever the file grows to. */
static const char *send_file(const struct transfer *t)
{
    size_t pieces = READ_SIZE / t->piece > 0 ? READ_SIZE / t->piece : 1;
    size_t capacity = pieces * t->piece;
    const char *why = NULL;
    char *buffer;

    if (capacity > t->size)
        capacity = t->size > 0 ? t->size : 1;
    buffer = malloc(capacity);
    if (buffer == NULL)
        return strerror(errno);
    for (uint64_t left = t->size; why == NULL && left > 0;) {
        size_t length = left < capacity ? left : capacity;

        why = read_whole(t->file, buffer, length);
        if (why == NULL)
            why = send_pieces(t, buffer, length);
        left -= length;
    }
    free(buffer);
    return why;
}
//lab:end

//lab:begin protocol
static const char *transfer(struct transfer *t)
{
    const char *why = open_file(t);

    if (why == NULL)
        why = send_message(t, INFO, &t->size, sizeof t->size);
    if (why == NULL)
        why = send_file(t);
    if (why == NULL)
        why = send_message(t, END, "", 0);
    return why;
}
//lab:end

//lab:begin errors
/*
 * A client that was given up gets no more time: it is told if there is room.
 * One whose transfer is cut gets last_word ms, since its queue may be full.
 */
static void send_failure(struct transfer *t, const char *reason,
                         int64_t last_word)
{
    size_t length = strlen(reason);

    if (reason == client_gone)
        return;
    if (reason == client_stalled)
        t->patience = 0;
    if (reason == server_stops) {
        t->patience = last_word;
        t->stop = -1;
    }
    send_message(t, FAILURE, reason, length < t->piece ? length : t->piece);
}
//lab:end

//lab:begin malformed
/*
 * Opens the client's queue and starts to watch the client.  A client could
 * name a queue that this account can write to and it cannot, so others must be
 * allowed to write to it.
 */
static const char *open_reply(struct transfer *t)
{
    struct mq_attr attributes;
    struct stat status;

    t->reply = mq_open(t->request->reply, O_WRONLY | O_NONBLOCK);
    if (t->reply == (mqd_t)-1)
        return strerror(errno);
    if (mq_getattr(t->reply, &attributes) == -1 ||
        fstat(t->reply, &status) == -1)
        return strerror(errno);
    if ((status.st_mode & S_IWOTH) == 0)
        return "others may not send to it";
    if (attributes.mq_msgsize < REPLY_MIN)
        return "its messages are too small";
    t->piece = attributes.mq_msgsize;
    /* No such process here: not watched, only the patience counts. */
    t->client = (int)syscall(SYS_pidfd_open, t->request->pid, 0);
    return NULL;
}
//lab:end

//lab:begin leaks
static void close_transfer(const struct transfer *t)
{
    if (t->file != -1)
        close(t->file);
    if (t->client != -1)
        close(t->client);
    if (t->reply != (mqd_t)-1)
        mq_close(t->reply);
}
//lab:end

//lab:begin
static void log_answer(const struct transfer *t, const char *dropped,
                       const char *reason)
{
    const struct request *request = t->request;
    char text[1024];

    log_quote(text, sizeof text, dropped ? request->reply : request->path);
    if (dropped != NULL)
        log_line("client %" PRId32 ": dropped: reply queue \"%s\": %s",
                 request->pid, text, dropped);
    else if (reason != NULL)
        log_line("client %" PRId32 ": \"%s\": failed: %s", request->pid, text,
                 reason);
    else
        log_line("client %" PRId32 ": \"%s\": sent %" PRIu64 " bytes",
                 request->pid, text, t->size);
}

static void answer(const struct request *request, bool refused)
{
    struct transfer t = {.request = request,
                         .reply = (mqd_t)-1,
                         .client = -1,
                         .stop = stop_fd,
                         .file = -1,
                         .patience = stall_ms};
    const char *dropped = open_reply(&t);
    const char *reason = NULL;

    if (dropped == NULL)
        reason = refused ? server_stops : transfer(&t);
    if (reason != NULL)
        send_failure(&t, reason, refused ? 0 : LAST_WORD_MS);
    close_transfer(&t);
    log_answer(&t, dropped, reason);
}
//lab:end

void serve_request(const struct request *request)
{
    //lab:begin protocol
    //lab:instead (void)request;
    answer(request, false);
    //lab:end
}

void refuse_request(const struct request *request)
{
    //lab:begin sigterm
    //lab:instead (void)request;
    answer(request, true);
    //lab:end
}
