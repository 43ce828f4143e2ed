#include "log.h"

#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *log_path;
static int log_fd = -1;
static bool to_syslog;

/* syslog(3) does not say whether anybody listens: ask the socket. */
static bool syslog_answers(void)
{
    const struct sockaddr_un address = {AF_UNIX, "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool answers;

    if (fd == -1)
        return false;
    answers = connect(fd, (const struct sockaddr *)&address,
                      sizeof address) == 0 ||
              errno == EPROTOTYPE; /* it listens on a stream */
    close(fd);
    return answers;
}

/* Opens without ever blocking on a FIFO; *made says whether it is new. */
static int open_log_file(bool *made)
{
    const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(log_path, flags | O_CREAT | O_EXCL, 0640);

    *made = fd != -1;
    if (fd == -1 && errno == EEXIST)
        fd = open(log_path, flags);
    return fd;
}

void log_open(const char *path, uid_t uid, gid_t gid)
{
    bool made;

    if (path == NULL) {
        to_syslog = syslog_answers();
        if (to_syslog)
            openlog("mqfiled", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        return;
    }
    log_path = path;
    log_fd = open_log_file(&made);
    if (log_fd == -1 || (made && fchown(log_fd, uid, gid) == -1))
        fail("log %s: %m", path);
}

/*
 * dup3(2) puts the new file in the place of the old one in a single step: a
 * thread that is writing needs no lock.  Without a new file the old one is
 * better than none.
 */
void log_reopen(void)
{
    //lab:begin sighup
    bool made;
    int fd;

    if (log_path == NULL) {
        to_syslog = syslog_answers();
        return;
    }
    fd = open_log_file(&made);
    if (fd == -1) {
        log_line("log %s: %s; keeping the old one", log_path, strerror(errno));
        return;
    }
    dup3(fd, log_fd, O_CLOEXEC);
    close(fd);
    log_line("log reopened");
    //lab:end
}

static void write_line(const char *line)
{
    char text[2048], date[32];
    time_t now = time(NULL);
    struct tm utc;
    int length;

    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    length = snprintf(text, sizeof text, "%s mqfiled[%d]: %s\n", date,
                      (int)getpid(), line);
    /* One write(2) with O_APPEND: the lines of two threads do not mix. */
    (void)!write(log_fd, text, length);
}

void log_line(const char *format, ...)
{
    char line[1900];
    va_list arguments;

    if (log_fd == -1 && !to_syslog)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (log_fd != -1)
        write_line(line);
    else
        syslog(LOG_INFO, "%s", line);
}

const char *log_quote(char *to, size_t size, const char *text)
{
    char *end = to;

    for (; *text != '\0' && (size_t)(end - to) + 8 < size; text++) {
        unsigned char c = *text;

        if (c < ' ' || c == 0x7f || c == '\\' || c == '"')
            end += sprintf(end, "\\x%02x", c);
        else
            *end++ = c;
    }
    strcpy(end, *text == '\0' ? "" : "...");
    return to;
}
