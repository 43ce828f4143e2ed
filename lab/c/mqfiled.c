/*
 * mqfiled: a file server that runs as a System V daemon, takes requests over a
 * POSIX message queue and answers them in threads.
 */
#include "daemonize.h"
#include "log.h"
#include "pidfile.h"
#include "protocol.h"
#include "requests.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2
//lab:begin
#define CHECK_MS 1000 /* how often the request queue is checked */
//lab:end

struct options {
    const char *root, *queue, *pidfile, *user, *log;
    double stall;
};

/* ---- the command line ---- */

static _Noreturn void usage(FILE *to, int status)
{
    fprintf(to, "usage: mqfiled [--root DIR] [--queue /NAME] [--pidfile FILE] "
                "[--user NAME] [--log FILE] [--stall SECONDS]\n");
    if (fflush(to) == EOF && status == EXIT_SUCCESS)
        status = EXIT_FAILURE;
    exit(status);
}

/* The daemon works in "/", but paths start where they were typed. */
static const char *absolute(const char *path)
{
    char *directory, *result;

    if (path == NULL || *path == '/' || *path == '\0')
        return path;
    directory = getcwd(NULL, 0);
    if (directory == NULL || asprintf(&result, "%s/%s", directory, path) == -1)
        fail("current directory: %m");
    free(directory);
    return result;
}

static const char *default_pidfile(void)
{
    const char *directory = getenv("XDG_RUNTIME_DIR");
    char *path;
    int length;

    if (geteuid() == 0)
        return "/run/mqfiled.pid";
    if (directory != NULL && *directory != '\0')
        length = asprintf(&path, "%s/mqfiled.pid", directory);
    else
        length = asprintf(&path, "/tmp/mqfiled-%d.pid", (int)geteuid());
    if (length == -1)
        fail("%m");
    return path;
}

static double parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds > 0 && seconds <= 1e6)) {
        fprintf(stderr, "mqfiled: --stall %s: not a number of seconds\n", text);
        usage(stderr, EXIT_USAGE);
    }
    return seconds;
}

static struct options parse_options(int argc, char *argv[])
{
    static const struct option flags[] = {
        {"root", required_argument, NULL, 'r'},
        {"queue", required_argument, NULL, 'q'},
        {"pidfile", required_argument, NULL, 'p'},
        {"user", required_argument, NULL, 'u'},
        {"log", required_argument, NULL, 'l'},
        {"stall", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct options options = {
        .root = ".", .queue = DEFAULT_QUEUE, .stall = 60};
    int flag;

    argv[0] = "mqfiled"; /* getopt_long(3) begins its messages with it */
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        switch (flag) {
        case 'r': options.root = optarg; break;
        case 'q': options.queue = optarg; break;
        case 'p': options.pidfile = optarg; break;
        case 'u': options.user = optarg; break;
        case 'l': options.log = optarg; break;
        case 's': options.stall = parse_seconds(optarg); break;
        case 'h': usage(stdout, EXIT_SUCCESS);
        default: usage(stderr, EXIT_USAGE);
        }
    }
    if (optind < argc)
        usage(stderr, EXIT_USAGE);
    options.root = absolute(options.root);
    options.log = absolute(options.log);
    options.pidfile =
        absolute(options.pidfile ? options.pidfile : default_pidfile());
    return options;
}

/* ---- signals ---- */

//lab:begin
/*
 * A handler may do little (signal-safety(7)): it notes the signal and wakes
 * the main thread through a pipe.  It may run in a thread of glibc's, too.
 */
static int wake_out, wake_in;
static atomic_bool asked_to_stop, asked_to_reopen;

static void on_signal(int signo)
{
    int saved = errno;

    if (signo == SIGHUP)
        atomic_store(&asked_to_reopen, true);
    else
        atomic_store(&asked_to_stop, true);
    (void)!write(wake_in, "", 1); /* full: it will wake up anyway */
    errno = saved;
}
//lab:end

static void handle_signals(void)
{
    //lab:begin sighup sigterm
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
        fail("pipe: %m");
    wake_out = ends[0];
    wake_in = ends[1];
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* A pipe without a reader makes write(2) fail instead of ending us. */
    sigaction(SIGPIPE, &ignore, NULL);
    //lab:end
}

//lab:begin
static void wait_for_signal(void)
{
    struct pollfd wake = {.fd = wake_out, .events = POLLIN};
    char bytes[64];

    if (poll(&wake, 1, CHECK_MS) == 0)
        check_requests();
    while (read(wake_out, bytes, sizeof bytes) > 0)
        ;
}
//lab:end

/* ---- the daemon ---- */

/* The daemon's account: the starter's, unless that is root. */
static void find_account(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *account;

    *uid = geteuid();
    *gid = getegid();
    if (name == NULL && *uid != 0)
        return;
    if (name == NULL)
        name = "nobody";
    errno = 0;
    account = getpwnam(name);
    if (account == NULL && errno != 0)
        fail("user %s: %m", name);
    if (account == NULL)
        fail("user %s: no such user", name);
    if (*uid == 0) {
        *uid = account->pw_uid;
        *gid = account->pw_gid;
    }
}

static void undo_start(void)
{
    abandon_request_queue();
    abandon_pid_file();
}

/*
 * The rest of step 7.  What needs root comes before the privileges are
 * dropped.  After that come the root, which the account must be able to enter,
 * and the request queue, which the account must be able to remove.
 */
static void start(const struct options *options)
{
    uid_t uid;
    gid_t gid;

    on_failure(undo_start);
    handle_signals();
    connect_stdio();
    reset_umask();
    change_directory();
    find_account(options->user, &uid, &gid);
    set_stall(options->stall);
    log_open(options->log, uid, gid);
    write_pid_file(options->pidfile);
    if (geteuid() == 0)
        drop_privileges(uid, gid);
    open_root(options->root);
    open_request_queue(options->queue);
    register_notification();
    notify_original(READY);
    on_failure(NULL);
}

static void run(const struct options *options)
{
    char root[1024], queue[1024];

    log_line("serving \"%s\" on \"%s\"",
             log_quote(root, sizeof root, options->root),
             log_quote(queue, sizeof queue, options->queue));
    serve_backlog();
    //lab:begin sighup sigterm: wait
    //lab:instead for (;;)
    //lab:instead     pause();
    while (!atomic_load(&asked_to_stop)) {
        wait_for_signal();
        if (atomic_exchange(&asked_to_reopen, false))
            log_reopen();
    }
    log_line("stopping");
    stop_requests();
    remove_pid_file();
    log_line("stopped");
    //lab:end
}

/* ---- the original process ---- */

/* Step 8.  What a daemon without privileges, or a dead one, could not remove
 * is removed here. */
static int report_outcome(const struct options *options)
{
    struct outcome outcome = await_daemon();

    if (outcome.ready)
        return EXIT_SUCCESS;
    if (outcome.made_queue)
        discard_request_queue(options->queue);
    if (outcome.made_pid_file)
        discard_pid_file(options->pidfile, outcome.daemon);
    fprintf(stderr, "mqfiled: %s\n", outcome.reason);
    return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    struct options options = parse_options(argc, argv);

    open_missing_stdio();
    close_descriptors();
    reset_dispositions();
    reset_mask();
    clean_environment();
    if (!double_fork())
        return report_outcome(&options);
    start(&options);
    run(&options);
    return EXIT_SUCCESS;
}
