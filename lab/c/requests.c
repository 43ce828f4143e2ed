#include "requests.h"

#include "clock.h"
#include "daemonize.h"
#include "log.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

//lab:begin
#define QUEUE_DEPTH 10         /* messages, where the system allows it */
#define STACK_SIZE (256 << 10) /* of a thread: no large buffer is on it */
#define MAX_TRANSFERS 256      /* at once; other requests wait in the queue */
#define DESCRIPTORS_EACH 3     /* of a transfer: reply queue, file, pidfd */
#define GRACE_MS 5000          /* at the end, for transfers to finish */
#define CUT_MS 500             /* then, for those that are cut */

/* A request on its way from the queue to its thread. */
struct job {
    ssize_t length;
    struct request request; /* the last field: a queue may hold longer ones */
};

static const char *queue_name;
static mqd_t queue = (mqd_t)-1;
static size_t message_size; /* of the queue */
static bool made_queue;
static pthread_attr_t thread_attributes; /* detached, with a small stack */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done; /* running became 0 */
/* All under the lock: */
static unsigned running; /* transfers, and threads about to start one */
static unsigned limit;
static bool left_lying; /* somebody found no place and left the queue as is */
static bool stopping;
//lab:end

/* ---- the queue ---- */

//lab:begin
/* As deep as limits allow (EINVAL: msg_max; EMFILE: RLIMIT_MSGQUEUE). */
static mqd_t make_queue(const char *name)
{
    struct mq_attr shape = {.mq_maxmsg = QUEUE_DEPTH,
                            .mq_msgsize = sizeof(struct request)};
    const int flags = O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL;
    mqd_t made;

    do
        made = mq_open(name, flags, QUEUE_MODE, &shape);
    while (made == (mqd_t)-1 && (errno == EINVAL || errno == EMFILE) &&
           --shape.mq_maxmsg > 0);
    return made;
}

/* A queue that a server of this account left is taken over, with what is in
 * it.  Another account's could be read or removed by its owner. */
static void check_queue(const char *name)
{
    struct mq_attr shape;
    struct stat status;

    if (fstat(queue, &status) == -1 || mq_getattr(queue, &shape) == -1)
        fail("queue %s: %m", name);
    if (status.st_uid != geteuid())
        fail("queue %s: belongs to UID %d", name, (int)status.st_uid);
    if (shape.mq_msgsize < (long)sizeof(struct request))
        fail("queue %s: exists already, with messages of %ld bytes", name,
             shape.mq_msgsize);
    message_size = shape.mq_msgsize;
}

/* Makes the stack size the default, for the threads that glibc starts for
 * notifications: see arm. */
static void prepare_threads(void)
{
    pthread_condattr_t clock;
    struct rlimit files;

    pthread_attr_init(&thread_attributes);
    pthread_attr_setstacksize(&thread_attributes, STACK_SIZE);
    pthread_setattr_default_np(&thread_attributes);
    pthread_attr_setdetachstate(&thread_attributes, PTHREAD_CREATE_DETACHED);
    mallopt(M_ARENA_MAX, 2); /* threads come and go: share their memory */
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&all_done, &clock);

    limit = MAX_TRANSFERS;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        rlim_t fit = files.rlim_cur / DESCRIPTORS_EACH;

        /* The daemon's own take the room of about four transfers. */
        if (fit < 5)
            fail("RLIMIT_NOFILE allows too few files for a transfer");
        if (fit < limit + 4)
            limit = fit - 4;
    }
}
//lab:end

void open_request_queue(const char *name)
{
    //lab:begin ready backlog failure: make-queue
    //lab:instead (void)name;
    if (!is_queue_name(name))
        fail("queue %s: a name is one slash and what follows it", name);
    queue_name = name;
    while (queue == (mqd_t)-1) {
        queue = make_queue(name);
        made_queue = queue != (mqd_t)-1;
        if (!made_queue && errno == EEXIST) {
            queue = mq_open(name, O_RDONLY | O_NONBLOCK);
            if (queue == (mqd_t)-1 && errno == ENOENT)
                continue; /* removed in between */
        }
        if (queue == (mqd_t)-1 && errno == EACCES)
            fail("queue %s: belongs to another account (%m)", name);
        if (queue == (mqd_t)-1 && errno == EMFILE)
            fail("queue %s: too many queues (RLIMIT_MSGQUEUE) or files", name);
        if (queue == (mqd_t)-1)
            fail("queue %s: %m", name);
    }
    if (made_queue)
        notify_original(MADE_QUEUE);
    check_queue(name);
    if (fchmod(queue, QUEUE_MODE) == -1)
        fail("queue %s: %m", name);
    prepare_threads();
    //lab:end
}

//lab:begin
/* Whether the name still leads to the queue that is open. */
static bool is_named(void)
{
    mqd_t again = mq_open(queue_name, O_RDONLY);
    struct stat opened, named;
    bool same;

    if (again == (mqd_t)-1)
        return false;
    same = fstat(queue, &opened) == 0 && fstat(again, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
    mq_close(again); /* which also ends the registration: mq_notify(3) */
    return same;
}
//lab:end

void abandon_request_queue(void)
{
    //lab:begin failure: undo
    if (made_queue && is_named())
        mq_unlink(queue_name);
    //lab:end
}

/* A registration, which mqueuefs shows, means that another server has taken
 * the queue over.  The PID of one in another PID namespace reads 0. */
void discard_request_queue(const char *name)
{
    //lab:begin failure: discard
    //lab:instead (void)name;
    char line[128] = "";
    mqd_t left = mq_open(name, O_RDONLY | O_NONBLOCK);

    if (left == (mqd_t)-1)
        return;
    if (read(left, line, sizeof line - 1) > 0 && strstr(line, "NOTIFY:0 ") &&
        strstr(line, "NOTIFY_PID:0 "))
        mq_unlink(name);
    mq_close(left);
    //lab:end
}

//lab:begin
/* ---- places for transfers ---- */

static bool take_place(void)
{
    bool taken;

    pthread_mutex_lock(&lock);
    taken = running < limit && !stopping;
    if (taken)
        running++;
    else
        left_lying = true;
    pthread_mutex_unlock(&lock);
    return taken;
}

/* Returns true when the caller must check the queue again, because a thread
 * that found no place relies on it. */
static bool give_place(void)
{
    bool again;

    pthread_mutex_lock(&lock);
    again = left_lying && !stopping;
    left_lying = false;
    if (--running == 0)
        pthread_cond_signal(&all_done);
    pthread_mutex_unlock(&lock);
    return again;
}
//lab:end

/* ---- from message to thread ---- */

//lab:begin malformed
/* Returns NULL, or what is wrong with it.  Nothing in it can be trusted. */
static const char *check_job(const struct job *job)
{
    const struct request *request = &job->request;
    size_t length = job->length;

    if (length <= REQUEST_HEAD)
        return "too short";
    if (length > sizeof *request)
        return "too long";
    if (memchr(request->reply, '\0', sizeof request->reply) == NULL)
        return "the reply queue's name is not terminated";
    if (!is_queue_name(request->reply))
        return "the reply queue's name is not valid";
    if (strcmp(request->reply, queue_name) == 0)
        return "the reply queue is the request queue";
    length -= REQUEST_HEAD;
    if (strnlen(request->path, length) != length - 1)
        return "the path does not end where the message does";
    return NULL;
}
//lab:end

//lab:begin threads concurrent: receive
/* The next request of the queue.  NULL when there is none, with errno. */
static struct job *receive_job(void)
{
    struct job *job = malloc(offsetof(struct job, request) + message_size);

    if (job == NULL)
        return NULL;
    job->length = mq_receive(queue, (char *)&job->request, message_size, NULL);
    if (job->length != -1)
        return job;
    free(job);
    return NULL;
}

/*
 * The next request, together with a place for its transfer.  NULL when the
 * queue is empty, or when there is no place: then the requests stay in the
 * queue, clients wait when it is full, and the thread that gives a place back
 * continues.  No notification comes for messages that were left there.
 */
static struct job *next_job(void)
{
    while (take_place()) {
        struct job *job = receive_job();

        if (job != NULL)
            return job;
        if (errno != EAGAIN)
            log_line("request queue: %s", strerror(errno));
        if (!give_place())
            break;
    }
    return NULL;
}

static void run_job(struct job *job)
{
    const char *wrong = check_job(job);

    if (wrong == NULL)
        serve_request(&job->request);
    else
        log_line("request of %zd bytes dropped: %s", job->length, wrong);
    free(job);
    give_place(); /* every caller checks the queue again */
}

static void *serve_in_thread(void *job);

static bool start_thread(struct job *job)
{
    pthread_t thread;

    return pthread_create(&thread, &thread_attributes, serve_in_thread, job) ==
           0;
}

/*
 * Drains the queue: a thread for each request, except the last, which this
 * thread serves.  When none can be started, this one serves the requests in
 * turn.  Afterwards it looks again: serving one more is cheaper than a new
 * thread.
 */
static void serve_queue(void)
{
    struct job *mine, *next;

    while ((mine = next_job()) != NULL) {
        while ((next = next_job()) != NULL) {
            if (!start_thread(mine))
                run_job(mine);
            mine = next;
        }
        run_job(mine);
    }
}

static void *serve_in_thread(void *job)
{
    run_job(job);
    serve_queue();
    return NULL;
}

/* Signals are for the main thread.  It blocks none itself, not even while it
 * starts a thread, so the first thread of a chain must block them. */
static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void *serve_backlog_in_thread(void *unused)
{
    block_signals();
    serve_queue();
    return unused;
}
//lab:end

void serve_backlog(void)
{
    //lab:begin backlog
    pthread_t thread;

    /* On failure the next check_requests tries again. */
    pthread_create(&thread, &thread_attributes, serve_backlog_in_thread, NULL);
    //lab:end
}

/* ---- notification ---- */

//lab:begin rearm
static void on_request(union sigval unused);

/*
 * Returns 0 or an errno.  No sigev_notify_attributes: glibc makes a copy of
 * them for each registration, and frees it only when the registration is
 * removed, not when a message uses it up (seen with 2.36).
 */
static int arm(void)
{
    const struct sigevent event = {
        .sigev_notify = SIGEV_THREAD,
        .sigev_notify_function = on_request,
    };

    return mq_notify(queue, &event) == -1 ? errno : 0;
}

/*
 * Runs in a thread that glibc started.  One message uses up a registration,
 * and only one that arrives in an empty queue.  So register again first and
 * drain the queue after that: the other way round, a request in between would
 * find no registration, and the next ones no empty queue.
 */
static void on_request(union sigval unused)
{
    int error = arm();

    (void)unused;
    if (error != 0 && error != EBUSY)
        log_line("mq_notify: %s", strerror(error));
    block_signals();
    serve_queue();
}
//lab:end

void register_notification(void)
{
    //lab:begin notify
    int error = arm();

    if (error == EBUSY) {
        made_queue = false; /* whoever has it uses the queue */
        fail("queue %s: another server is using it", queue_name);
    }
    if (error != 0)
        fail("queue %s: mq_notify: %s", queue_name, strerror(error));
    //lab:end
}

//lab:begin
/*
 * A notification can get lost in two ways that this program cannot prevent.
 * glibc drops it when it cannot start the thread.  And anybody may write to
 * the queue, so a stranger may register in the instant in which nobody is
 * registered.  Registering again fails with EBUSY when all is well.
 */
void check_requests(void)
{
    struct mq_attr state;

    arm();
    if (mq_getattr(queue, &state) == 0 && state.mq_curmsgs > 0)
        serve_backlog();
}
//lab:end

/* ---- the end ---- */

//lab:begin
/* Refuses the requests left in the queue, so that their clients do not wait in
 * vain.  Not for ever: somebody may send faster than this refuses. */
static void refuse_requests(void)
{
    for (int i = 0; i < MAX_TRANSFERS; i++) {
        struct job *job = receive_job();

        if (job == NULL)
            break;
        if (check_job(job) == NULL)
            refuse_request(&job->request);
        free(job);
    }
}

static void wait_for_transfers(int64_t ms)
{
    int64_t end = monotonic_ms() + ms;
    const struct timespec deadline = {.tv_sec = end / 1000,
                                      .tv_nsec = end % 1000 * 1000000};

    pthread_mutex_lock(&lock);
    while (running > 0 &&
           pthread_cond_timedwait(&all_done, &lock, &deadline) == 0)
        ;
    pthread_mutex_unlock(&lock);
}
//lab:end

/*
 * Unlinking comes first: from then on nobody finds the server.  Whoever has
 * the queue open already can still send, so refuse once more at the end.
 */
void stop_requests(void)
{
    //lab:begin sigterm
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_mutex_unlock(&lock);
    if (is_named())
        mq_unlink(queue_name);
    refuse_requests();
    wait_for_transfers(GRACE_MS);
    cut_transfers();
    wait_for_transfers(CUT_MS);
    refuse_requests();
    //lab:end
}
