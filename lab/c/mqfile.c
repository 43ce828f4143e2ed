/* mqfile: asks mqfiled for a file. */
#include "output.h"
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <mqueue.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_FAILED = 1, /* the server said so, or receiving failed */
    EXIT_USAGE = 2,
    EXIT_NO_SERVER = 3,
};

#define PATIENCE 10   /* seconds without anything from the server */
//lab:begin
#define QUEUE_WAIT 50 /* tries for a reply queue, 0.1 s apart */

static const char *volatile reply_name; /* NULL when there is none to remove */
//lab:end

/* ---- endings ---- */

//lab:begin cleanup exit
/*
 * Leftovers are removed by atexit(3), or by the handler of the signal that
 * ends us.  signal-safety(7) lists unlink(2) and not mq_unlink(3), but on
 * Linux both are bare system calls, so a handler may make them.
 */
static void remove_leftovers(void)
{
    if (reply_name != NULL)
        mq_unlink(reply_name);
    output_abandon();
}

static void on_signal(int signo)
{
    remove_leftovers();
    _exit(128 + signo); /* as a shell reports it: 130 SIGINT, 143 SIGTERM */
}

/*
 * Every signal that would end us (signal(7)), real-time ones too.  What the
 * starter ignores, such as SIGHUP under nohup(1), stays ignored, except SIGINT
 * and SIGTERM.
 */
static void handle_signals(void)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
                                 SIGCONT, SIGCHLD, SIGURG,  SIGWINCH};
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigset_t ending;

    sigfillset(&action.sa_mask);
    sigfillset(&ending); /* except the two that glibc keeps for itself */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        sigdelset(&ending, others[i]);
    for (int signo = 1; signo <= SIGRTMAX; signo++) {
        if (!sigismember(&ending, signo))
            continue;
        sigaction(signo, NULL, &old);
        if (old.sa_handler != SIG_IGN || signo == SIGINT || signo == SIGTERM)
            sigaction(signo, &action, NULL);
    }
    sigprocmask(SIG_UNBLOCK, &ending, NULL);
    atexit(remove_leftovers);
}
//lab:end

static _Noreturn void die(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void die(int status, const char *format, ...)
{
    char reason[8193]; /* a FAILURE may fill a message, and has no NUL */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    fprintf(stderr, "mqfile: %s\n", reason);
    exit(status);
}

static _Noreturn void usage(FILE *to, int status)
{
    fprintf(to, "usage: mqfile [--queue /NAME] [-o FILE] PATH\n");
    if (fflush(to) == EOF && status == EXIT_SUCCESS)
        status = EXIT_FAILED;
    exit(status);
}

//lab:begin exit cleanup
/* ---- the queues ---- */

/* mq_timedsend(3) and mq_timedreceive(3) take an absolute time. */
static struct timespec deadline(void)
{
    struct timespec date;

    clock_gettime(CLOCK_REALTIME, &date);
    date.tv_sec += PATIENCE;
    return date;
}

static mqd_t open_server(const char *name)
{
    mqd_t server = mq_open(name, O_WRONLY);

    if (server == (mqd_t)-1 && errno == ENOENT)
        die(EXIT_NO_SERVER, "no server at %s", name);
    if (server == (mqd_t)-1)
        die(EXIT_NO_SERVER, "queue %s: %m", name);
    return server;
}

/*
 * The deepest queue available: a deep one is several times as fast.  EINVAL:
 * the system allows less (mq_overview(7), msg_max and msgsize_max).  EMFILE:
 * this user's queues use up RLIMIT_MSGQUEUE.
 */
static mqd_t try_shapes(void)
{
    static const struct mq_attr shapes[] = {
        {.mq_maxmsg = 10, .mq_msgsize = 8192},
        {.mq_maxmsg = 10, .mq_msgsize = 4096},
        {.mq_maxmsg = 4, .mq_msgsize = 8192},
        {.mq_maxmsg = 2, .mq_msgsize = 8192},
        {.mq_maxmsg = 2, .mq_msgsize = 4096},
        {.mq_maxmsg = 1, .mq_msgsize = 4096},
        {.mq_maxmsg = 1, .mq_msgsize = 1024},
        {.mq_maxmsg = 1, .mq_msgsize = REPLY_MIN},
    };
    mqd_t made = (mqd_t)-1;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct mq_attr shape = shapes[i];

        made = mq_open(reply_name, O_RDONLY | O_CREAT | O_EXCL, QUEUE_MODE,
                       &shape);
        if (made != (mqd_t)-1 || (errno != EINVAL && errno != EMFILE))
            break;
    }
    return made;
}

/* Nobody can guess the name and write to the queue.  Other clients may use up
 * RLIMIT_MSGQUEUE or queues_max: wait until they end. */
static mqd_t make_reply_queue(void)
{
    static char name[64];
    const struct timespec pause = {.tv_nsec = 100000000};
    uint64_t random[2];
    mqd_t reply;

    if (getrandom(random, sizeof random, 0) != sizeof random)
        die(EXIT_FAILED, "getrandom: %m");
    snprintf(name, sizeof name, "/mqfile-%d-%016" PRIx64 "%016" PRIx64,
             (int)getpid(), random[0], random[1]);
    reply_name = name; /* known before it exists: a signal may come */
    reply = try_shapes();
    for (int i = 0; reply == (mqd_t)-1 &&
                    (errno == EMFILE || errno == ENOSPC) && i < QUEUE_WAIT;
         i++) {
        nanosleep(&pause, NULL);
        reply = try_shapes();
    }
    if (reply == (mqd_t)-1 && errno == EMFILE)
        die(EXIT_FAILED, "reply queue: too many queues (RLIMIT_MSGQUEUE) "
                         "or files");
    if (reply == (mqd_t)-1)
        die(EXIT_FAILED, "reply queue: %m");
    if (fchmod(reply, QUEUE_MODE) == -1) /* whatever the umask */
        die(EXIT_FAILED, "reply queue: %m");
    return reply;
}

static void send_request(mqd_t server, const char *path)
{
    struct request request = {.pid = getpid()};
    struct timespec until = deadline();
    int result;

    strcpy(request.reply, reply_name);
    strcpy(request.path, path); /* main checked its length */
    do
        result = mq_timedsend(server, (const char *)&request,
                              REQUEST_HEAD + strlen(path) + 1, 0, &until);
    while (result == -1 && errno == EINTR);
    if (result == -1 && errno == ETIMEDOUT)
        die(EXIT_NO_SERVER, "the server accepts no requests");
    if (result == -1)
        die(EXIT_NO_SERVER, "request: %m");
}
//lab:end

//lab:begin output exit
/* ---- the responses ---- */

struct reception {
    mqd_t reply;
    char *message; /* the queue's message size plus one byte */
    size_t capacity;
    bool begun;    /* INFO has come */
    uint64_t size; /* as INFO gave it */
    uint64_t bytes, messages;
};

static size_t receive_message(const struct reception *in, unsigned *type)
{
    struct timespec until = deadline();
    ssize_t length;

    do
        length = mq_timedreceive(in->reply, in->message, in->capacity, type,
                                 &until);
    while (length == -1 && errno == EINTR);
    if (length == -1 && errno == ETIMEDOUT)
        die(EXIT_NO_SERVER, "nothing from the server for %d s", PATIENCE);
    if (length == -1)
        die(EXIT_FAILED, "receive: %m");
    return length;
}

/* The server has the queue open: no other process needs its name. */
static void forget_name(void)
{
    if (reply_name != NULL)
        mq_unlink(reply_name);
    reply_name = NULL;
}

/* Nothing that moves a terminal's cursor, as U+0080 to U+009F may, too. */
static _Noreturn void take_failure(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = text[i], before = i > 0 ? text[i - 1] : 0;

        if (c < ' ' || c == 0x7f)
            text[i] = '?';
        else if (before == 0xc2 && c < 0xa0)
            text[i - 1] = text[i] = '?';
    }
    text[length] = '\0';
    die(EXIT_FAILED, "%s", text);
}

static void take_info(struct reception *in, size_t length)
{
    if (in->begun || length != sizeof in->size)
        die(EXIT_FAILED, "the server broke the protocol: INFO");
    memcpy(&in->size, in->message, sizeof in->size);
    in->begun = true;
}

static void take_data(struct reception *in, size_t length)
{
    if (!in->begun || length == 0)
        die(EXIT_FAILED, "the server broke the protocol: DATA");
    if (length > in->size - in->bytes)
        die(EXIT_FAILED, "more than the %" PRIu64 " bytes announced", in->size);
    if (!output_write(in->message, length))
        die(EXIT_FAILED, "output: %m");
    in->bytes += length;
    in->messages++;
}

static void take_end(const struct reception *in, size_t length)
{
    if (!in->begun || length != 0)
        die(EXIT_FAILED, "the server broke the protocol: END");
    if (in->bytes != in->size)
        die(EXIT_FAILED, "%" PRIu64 " bytes instead of %" PRIu64, in->bytes,
            in->size);
    if (!output_finish())
        die(EXIT_FAILED, "output: %m");
    fprintf(stderr, "Received %" PRIu64 " bytes (%" PRIu64 " messages)\n",
            in->bytes, in->messages);
}

static void receive_file(mqd_t reply)
{
    struct reception in = {.reply = reply};
    struct mq_attr shape;
    unsigned type;

    if (mq_getattr(reply, &shape) == -1)
        die(EXIT_FAILED, "reply queue: %m");
    in.capacity = shape.mq_msgsize;
    in.message = malloc(in.capacity + 1);
    if (in.message == NULL)
        die(EXIT_FAILED, "%m");
    do {
        size_t length = receive_message(&in, &type);

        forget_name();
        switch (type) {
        case INFO: take_info(&in, length); break;
        case FAILURE: take_failure(in.message, length);
        case DATA: take_data(&in, length); break;
        case END: take_end(&in, length); break;
        default: die(EXIT_FAILED, "the server broke the protocol: %u", type);
        }
    } while (type != END);
    free(in.message);
}

static void fetch(const char *queue, const char *path, const char *file)
{
    mqd_t server = open_server(queue), reply;

    if (!output_open(file))
        die(EXIT_FAILED, "%s: %m", file);
    reply = make_reply_queue();
    send_request(server, path);
    mq_close(server);
    receive_file(reply);
    mq_close(reply);
}
//lab:end

/* ---- the command line ---- */

int main(int argc, char *argv[])
{
    static const struct option flags[] = {
        {"queue", required_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *queue = DEFAULT_QUEUE, *file = NULL;
    int flag;

    argv[0] = "mqfile"; /* getopt_long(3) begins its messages with it */
    while ((flag = getopt_long(argc, argv, "o:", flags, NULL)) != -1) {
        switch (flag) {
        case 'q': queue = optarg; break;
        case 'o': file = optarg; break;
        case 'h': usage(stdout, EXIT_SUCCESS);
        default: usage(stderr, EXIT_USAGE);
        }
    }
    if (optind != argc - 1)
        usage(stderr, EXIT_USAGE);
    if (!is_queue_name(queue))
        die(EXIT_USAGE, "queue %s: a name is one slash and what follows it",
            queue);
    if (strlen(argv[optind]) >= sizeof(((struct request *)0)->path))
        die(EXIT_USAGE, "the path is too long");

    //lab:begin output exit cleanup: send-request
    //lab:instead (void)file;
    //lab:instead die(EXIT_FAILED, "no request is sent to %s yet", queue);
    handle_signals();
    fetch(queue, argv[optind], file);
    return EXIT_SUCCESS;
    //lab:end
}
