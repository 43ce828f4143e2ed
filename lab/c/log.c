#include "log.h"

#include "daemonize.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *log_path;
static uid_t log_uid; /* the account */
static gid_t log_gid;
static int log_fd = -1; /* without a path a socket, for syslog */

/*
 * Returns NULL, or why not.  Through a link of either kind somebody could make
 * root write to any file, so only a file of ours with this one name is
 * accepted.  A FIFO does not block (open(2)).
 */
static const char *open_log_file(int *fd)
{
    const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                      O_CLOEXEC;
    struct stat status;

    *fd = open(log_path, flags | O_CREAT | O_EXCL, 0640);
    if (*fd != -1 && fchown(*fd, log_uid, log_gid) == -1)
        return strerror(errno);
    if (*fd == -1 && errno == EEXIST) {
        *fd = open(log_path, flags);
        if (*fd == -1 && errno == ENOENT) /* renamed in between */
            return open_log_file(fd);
    }
    if (*fd == -1 && errno == ELOOP)
        return "is a symbolic link";
    if (*fd == -1 || fstat(*fd, &status) == -1)
        return strerror(errno);
    if (S_ISREG(status.st_mode) && status.st_nlink > 1)
        return "has other names (hard links)";
    if (S_ISREG(status.st_mode) && status.st_uid != geteuid() &&
        status.st_uid != log_uid)
        return "belongs to another account";
    return NULL;
}

void log_open(const char *path, uid_t uid, gid_t gid)
{
    const char *why;

    if (path == NULL) {
        log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return;
    }
    log_path = path;
    log_uid = uid;
    log_gid = gid;
    why = open_log_file(&log_fd);
    if (why != NULL)
        fail("log %s: %s", path, why);
}

/*
 * dup3(2) puts the new file in the place of the old one in a single step: a
 * thread that is writing needs no lock.  Without a new file the old one is
 * better than none.
 */
void log_reopen(void)
{
    //lab:begin sighup
    const char *why;
    int fd;

    if (log_path == NULL)
        return;
    why = open_log_file(&fd);
    if (why == NULL)
        dup3(fd, log_fd, O_CLOEXEC);
    if (fd != -1)
        close(fd);
    if (why == NULL)
        log_line("log reopened");
    else
        log_line("log %s: %s; keeping the old one", log_path, why);
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

/*
 * By hand: syslog(3) blocks, holding a lock, while the log daemon does not
 * read, so the threads would pile up and SIGTERM would end nothing.  The
 * socket is not connected, so it finds a restarted log daemon.
 */
static void send_line(const char *line)
{
    const struct sockaddr_un address = {AF_UNIX, "/dev/log"};
    char text[2048];
    int length = snprintf(text, sizeof text, "<%d>mqfiled[%d]: %s",
                          LOG_DAEMON | LOG_INFO, (int)getpid(), line);

    (void)!sendto(log_fd, text, length, MSG_DONTWAIT,
                  (const struct sockaddr *)&address, sizeof address);
}

void log_line(const char *format, ...)
{
    char line[1900];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (log_path != NULL)
        write_line(line);
    else
        send_line(line);
}

const char *log_quote(char *to, size_t size, const char *text)
{
    char *end = to;

    for (; *text != '\0' && (size_t)(end - to) + 8 < size; text++) {
        unsigned char c = *text;

        if (!isprint(c) || c == '\\' || c == '"')
            end += sprintf(end, "\\x%02x", c);
        else
            *end++ = c;
    }
    strcpy(end, *text == '\0' ? "" : "...");
    return to;
}
