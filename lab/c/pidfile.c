#include "pidfile.h"

#include "clock.h"
#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

//lab:begin
#define NAME_WAIT_MS 1000 /* how long a winner may take to write its PID */

static const char *pid_path;
static int pid_fd = -1; /* open, and so locked, as long as the daemon lives */
static bool made;       /* by this start */
//lab:end

//lab:begin
/*
 * A symbolic link is not followed: through one, a daemon started by root could
 * be made to overwrite any file.  A FIFO does not block (open(2)).  Returns -1
 * with errno.
 */
static int open_pid_file(const char *path)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    return open(path, flags | O_CREAT, 0644);
}

/* The PID in the file's first line, 0 if there is none. */
static pid_t read_pid(int fd)
{
    char text[32] = "", *end;
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    long pid;

    if (length <= 0 || (size_t)length == sizeof text - 1)
        return 0; /* a longer file holds something else, too */
    pid = strtol(text, &end, 10);
    return pid > 0 && (*end == '\n' || *end == '\0') ? (pid_t)pid : 0;
}

static bool is_empty(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_size == 0;
}

/* Whether the path still leads to the open file: it may have been removed. */
static bool is_at(int fd, const char *path)
{
    struct stat opened, named;

    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static void check_pid_file(int fd, const char *path)
{
    struct stat status;

    if (fstat(fd, &status) == -1)
        fail("PID file %s: %m", path);
    if (!S_ISREG(status.st_mode))
        fail("PID file %s: not a regular file", path);
    if (status.st_nlink > 1)
        fail("PID file %s: has other names (hard links)", path);
    if (status.st_uid != geteuid())
        fail("PID file %s: belongs to UID %d", path, (int)status.st_uid);
}

/*
 * The holder of the lock may not have written its PID yet; the one in the file
 * is then nobody's or that of a process long gone.
 */
static void name_the_running(int fd, const char *path, int64_t since)
{
    pid_t pid = read_pid(fd);

    if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
        fail("already running, PID %d (PID file %s)", (int)pid, path);
    if (monotonic_ms() - since > NAME_WAIT_MS)
        fail("PID file %s: locked by another process", path);
}

/*
 * Opens and locks.  Between the two the former owner may remove the file, and
 * the lock would then be on a file without a name: so look again, and open the
 * new one.
 */
static int lock_pid_file(const char *path)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const int64_t since = monotonic_ms();

    for (;;) {
        int fd = open_pid_file(path);

        if (fd == -1 && errno == ELOOP)
            fail("PID file %s: is a symbolic link", path);
        if (fd == -1)
            fail("PID file %s: %m", path);
        check_pid_file(fd, path);
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            if (is_at(fd, path))
                return fd;
        } else if (errno == EWOULDBLOCK) {
            name_the_running(fd, path, since);
            nanosleep(&pause, NULL);
        } else {
            int error = errno;

            if (is_empty(fd)) /* made by us: no lock, no rival */
                unlink(path);
            fail("PID file %s: flock: %s", path, strerror(error));
        }
        close(fd);
    }
}
//lab:end

/*
 * The lock is taken by the daemon itself, not by the original process: it
 * belongs to the open file, and the PID written there is the daemon's.  A file
 * that is empty once locked is new, or was left for reuse.
 */
void write_pid_file(const char *path)
{
    //lab:begin pidfile instance
    //lab:instead (void)path;
    char text[32];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int fd = lock_pid_file(path);

    made = is_empty(fd);
    if (!made && read_pid(fd) == 0)
        fail("PID file %s: holds something other than a PID", path);
    pid_fd = fd;
    pid_path = path;
    if (made)
        notify_original(MADE_PID_FILE);
    if (fchmod(pid_fd, 0644) == -1 ||
        pwrite(pid_fd, text, length, 0) != length ||
        ftruncate(pid_fd, length) == -1)
        fail("PID file %s: %m", path);
    //lab:end
}

/*
 * Removed under the lock, so that nobody can have locked it in between.  An
 * account that may not remove it empties it.
 */
void remove_pid_file(void)
{
    //lab:begin sigterm
    if (pid_fd == -1)
        return;
    if (!is_at(pid_fd, pid_path) || unlink(pid_path) == -1)
        (void)!ftruncate(pid_fd, 0);
    //lab:end
}

void abandon_pid_file(void)
{
    //lab:begin failure: undo
    if (made)
        remove_pid_file();
    else if (pid_fd != -1)
        (void)!ftruncate(pid_fd, 0);
    //lab:end
}

void discard_pid_file(const char *path, pid_t daemon)
{
    //lab:begin failure: discard
    //lab:instead (void)path;
    //lab:instead (void)daemon;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_at(fd, path)) {
        pid_t pid = read_pid(fd);

        if (pid == 0 || pid == daemon)
            unlink(path);
    }
    close(fd);
    //lab:end
}
