#include "daemonize.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

//lab:begin
/* One report.  A write(2) of up to PIPE_BUF bytes is atomic. */
struct report {
    enum news news;
    pid_t daemon;
    char reason[1024];
};

_Static_assert(sizeof(struct report) <= PIPE_BUF, "reports are atomic");

static int report_in = -1;  /* read by the original process */
static int report_out = -1; /* written by the daemon until it is ready */
static pid_t middle;        /* the process between the two forks */
//lab:end
static void (*undo_start)(void);

void on_failure(void (*undo)(void))
{
    undo_start = undo;
}

//lab:begin
static bool send_report(enum news news, const char *reason)
{
    struct report report = {.news = news, .daemon = getpid()};
    size_t length = strlen(reason), most = sizeof report.reason - 1;

    /* If a long name makes it too long, the end says why. */
    strcpy(report.reason, length > most ? reason + length - most : reason);
    return write(report_out, &report, sizeof report) == sizeof report;
}
//lab:end

void fail(const char *format, ...)
{
    char reason[8192];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    for (char *c = reason; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?'; /* one line, whatever names are in it */

    //lab:begin failure
    if (report_out != -1) {
        /* Undo first, then report: by then everything is gone. */
        if (undo_start != NULL)
            undo_start();
        send_report(FAILED, reason);
        _exit(EXIT_FAILURE);
    }
    //lab:end
    fprintf(stderr, "mqfiled: %s\n", reason);
    exit(EXIT_FAILURE);
}

/*
 * A starter may have closed 0, 1 or 2.  The next descriptor made would take
 * that number, and connect_stdio would then close it.
 */
void open_missing_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd == -1)
        fail("/dev/null: %m");
    close(fd);
}

/*
 * Step 1.  /proc/self/fd would list them; close_range(2) needs no list, so it
 * misses none, whatever its number.
 */
void close_descriptors(void)
{
    //lab:begin fds
    if (close_range(STDERR_FILENO + 1, ~0U, 0) == -1)
        fail("close_range: %m");
    //lab:end
}

/*
 * Step 2.  A handler ends with an exec, but an ignored signal stays ignored
 * (execve(2)).  By system call, because sigaction(3) refuses the two signals
 * that glibc keeps for itself, 32 and 33, and a starter may have ignored
 * these too.  The kernel's structure is all zeros for SIG_DFL.
 */
void reset_dispositions(void)
{
    //lab:begin signals
    static const long action[8];

    for (int signo = 1; signo < _NSIG; signo++) {
        if (signo == SIGKILL || signo == SIGSTOP)
            continue;
        if (syscall(SYS_rt_sigaction, signo, action, NULL, _NSIG / 8) == -1)
            fail("signal %d: %m", signo);
    }
    //lab:end
}

/* Step 3. */
void reset_mask(void)
{
    //lab:begin sigmask
    sigset_t none;

    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) == -1)
        fail("sigprocmask: %m");
    //lab:end
}

//lab:begin
static bool is_kept(const char *variable)
{
    static const char *const names[] = {"PATH",    "HOME",  "USER",
                                        "LOGNAME", "SHELL", "LANG",
                                        "TZ",      NULL};
    size_t length = strcspn(variable, "=");

    if (variable[length] != '=')
        return false;
    if (strncmp(variable, "LC_", 3) == 0)
        return true;
    for (int i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) == length &&
            strncmp(variable, names[i], length) == 0)
            return true;
    return false;
}
//lab:end

/*
 * Step 4.  Without an exec the kernel keeps showing the starter's block in
 * /proc/PID/environ (proc(5)), so removed variables are also blanked.
 */
void clean_environment(void)
{
    //lab:begin env
    char **kept = environ;

    if (environ == NULL)
        return;
    for (char **variable = environ; *variable != NULL; variable++) {
        if (is_kept(*variable))
            *kept++ = *variable;
        else
            memset(*variable, 0, strlen(*variable));
    }
    *kept = NULL;
    //lab:end
}

/*
 * Steps 5 and 6.  The child leads a new session, without the terminal of the
 * old one.  The grandchild does not lead it, so that no terminal it opens can
 * become its controlling one, and is adopted when the child ends.
 */
bool double_fork(void)
{
    //lab:begin session orphan
    //lab:instead pid_t child = fork();
    //lab:instead
    //lab:instead if (child == -1)
    //lab:instead     fail("fork: %m");
    //lab:instead if (child == 0)
    //lab:instead     setsid(); /* SIGHUP would end it when the original goes */
    //lab:instead return child == 0;
    int ends[2];
    pid_t grandchild;

    if (getpid() == 1)
        fail("PID 1 cannot start a daemon: when it exits, the kernel kills "
             "its whole PID namespace");
    if (pipe2(ends, O_CLOEXEC) == -1)
        fail("pipe: %m");
    middle = fork();
    if (middle == -1)
        fail("fork: %m");
    if (middle > 0) {
        close(ends[1]);
        report_in = ends[0];
        return false;
    }

    close(ends[0]);
    report_out = ends[1];
    if (setsid() == -1)
        fail("setsid: %m");
    grandchild = fork();
    if (grandchild == -1)
        fail("fork: %m");
    if (grandchild > 0)
        _exit(EXIT_SUCCESS);
    return true;
    //lab:end
}

/* Step 7: standard input, output and error. */
void connect_stdio(void)
{
    //lab:begin stdio
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null == -1)
        fail("/dev/null: %m");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (dup2(null, fd) == -1)
            fail("dup2: %m");
    close(null);
    //lab:end
}

/* Step 7: modes given to open(2) and the like are used as they are. */
void reset_umask(void)
{
    //lab:begin umask
    umask(0);
    //lab:end
}

/* Step 7: the file system where the command was typed can be unmounted. */
void change_directory(void)
{
    //lab:begin cwd
    if (chdir("/") == -1)
        fail("/: %m");
    //lab:end
}

//lab:begin
/*
 * setresuid(2) clears root's capabilities only if no securebit says otherwise,
 * and a starter may have set those bits (capabilities(7)).  There is no glibc
 * function for capset(2).
 */
static void clear_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capset, &header, none) == -1)
        fail("capset: %m");
}
//lab:end

/*
 * Step 7: giving up privileges.  Groups first, while it is still allowed; all
 * three IDs, since a saved one could restore the others.  No later exec of a
 * set-user-ID program raises them either (no_new_privs, prctl(2)).
 */
void drop_privileges(uid_t uid, gid_t gid)
{
    //lab:begin privileges
    //lab:instead (void)uid;
    //lab:instead (void)gid;
    if (setgroups(0, NULL) == -1)
        fail("setgroups: %m");
    if (setresgid(gid, gid, gid) == -1)
        fail("setresgid %d: %m", (int)gid);
    if (setresuid(uid, uid, uid) == -1)
        fail("setresuid %d: %m", (int)uid);
    clear_capabilities();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        fail("no_new_privs: %m");
    if (uid != 0 && setresuid(-1, 0, -1) == 0)
        fail("privileges can be regained");
    //lab:end
}

/*
 * Step 7: telling the original process.  If it is gone, killed while it
 * waited, nobody wants the daemon any more.
 */
void notify_original(enum news news)
{
    //lab:begin ready: tell
    //lab:instead (void)news;
    if (!send_report(news, ""))
        fail("the original process is gone");
    if (news == READY) {
        close(report_out);
        report_out = -1;
    }
    //lab:end
}

//lab:begin
static bool read_report(struct report *report)
{
    ssize_t length;

    do
        length = read(report_in, report, sizeof *report);
    while (length == -1 && errno == EINTR);
    return length == sizeof *report;
}

/*
 * End of file on the pipe comes a moment before the process is gone, with its
 * locks.  A pidfd becomes readable when it is (pidfd_open(2)); if there is no
 * such process any more, there is nothing to wait for.
 */
static void wait_until_gone(pid_t pid)
{
    struct pollfd gone = {.events = POLLIN};

    gone.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (gone.fd == -1)
        return;
    poll(&gone, 1, 1000);
    close(gone.fd);
}
//lab:end

/*
 * Step 8.  The child is waited for first: from then on the daemon is an
 * orphan.  No news at all is bad news: the daemon died without a word.
 */
struct outcome await_daemon(void)
{
    //lab:begin ready failure: await
    //lab:instead /* A first guess: after 200 ms the daemon is running. */
    //lab:instead usleep(200 * 1000);
    //lab:instead return (struct outcome){.ready = true};
    struct outcome outcome = {.reason = "the daemon died before it was ready"};
    struct report report;

    while (waitpid(middle, NULL, 0) == -1 && errno == EINTR)
        ;
    while (read_report(&report)) {
        outcome.daemon = report.daemon;
        if (report.news == READY)
            outcome.ready = true;
        else if (report.news == MADE_PID_FILE)
            outcome.made_pid_file = true;
        else if (report.news == MADE_QUEUE)
            outcome.made_queue = true;
        else
            memcpy(outcome.reason, report.reason, sizeof outcome.reason);
    }
    if (!outcome.ready && outcome.daemon != 0)
        wait_until_gone(outcome.daemon);
    return outcome;
    //lab:end
}
