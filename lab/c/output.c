#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

//lab:begin
static int fd = STDOUT_FILENO;
static int directory = AT_FDCWD; /* that of the target, whatever its name */
static char *target;             /* what the temporary file becomes */
static char *volatile temporary; /* its name; NULL when there is none */
//lab:end

//lab:begin
static bool open_directory(void)
{
    char *name = strrchr(target, '/'), first;

    if (name == NULL)
        return true;
    first = *++name;
    *name = '\0';
    directory = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *name = first;
    target = name;
    return directory != -1;
}

/*
 * A temporary file in the directory of the target: rename(2) works only within
 * a file system.  An existing target keeps its mode, which is never wider in
 * between, but not the set-user-ID bit, since the owner may differ.
 */
static bool open_temporary(const struct stat *present)
{
    static char name[32];
    uint64_t random;

    if (!open_directory() ||
        getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(name, sizeof name, ".mqfile-%016" PRIx64, random);
    temporary = name; /* known before it exists: see output_abandon */
    fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                present ? 0600 : 0666);
    return fd != -1 &&
           (present == NULL || fchmod(fd, present->st_mode & 0777) == 0);
}
//lab:end

/* Only a regular file is replaced.  A device or a FIFO is written to. */
bool output_open(const char *path)
{
    //lab:begin output
    //lab:instead (void)path;
    //lab:instead return true;
    struct stat status, found;

    if (path == NULL)
        return true;
    if (stat(path, &status) == -1) {
        target = strdup(path);
        return errno == ENOENT && target != NULL && open_temporary(NULL);
    }
    if (!S_ISREG(status.st_mode)) {
        fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
        return fd != -1;
    }
    target = realpath(path, NULL); /* what a symbolic link leads to */
    if (target == NULL || lstat(target, &found) == -1)
        return false;
    if (found.st_dev != status.st_dev || found.st_ino != status.st_ino) {
        errno = EAGAIN; /* somebody changed the link meanwhile */
        return false;
    }
    return access(target, W_OK) == 0 && open_temporary(&status);
    //lab:end
}

bool output_write(const char *bytes, size_t length)
{
    //lab:begin output
    //lab:instead (void)bytes;
    //lab:instead (void)length;
    //lab:instead return true;
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n == -1 && errno == EAGAIN) { /* the starter set O_NONBLOCK */
            struct pollfd room = {.fd = fd, .events = POLLOUT};

            poll(&room, 1, -1);
        } else if (n == -1 && errno != EINTR) {
            return false;
        } else if (n > 0) {
            bytes += n;
            length -= n;
        }
    }
    return true;
    //lab:end
}

/* Some file systems report only at close(2) that there was no space.  With
 * fsync(2) the file is whole or absent even after a power cut. */
bool output_finish(void)
{
    //lab:begin output
    //lab:instead return true;
    if (temporary != NULL && fsync(fd) == -1)
        return false;
    if (close(fd) == -1)
        return false;
    if (temporary != NULL &&
        renameat(directory, temporary, directory, target) == -1)
        return false;
    temporary = NULL;
    return true;
    //lab:end
}

void output_abandon(void)
{
    //lab:begin cleanup
    if (temporary != NULL)
        unlinkat(directory, temporary, 0);
    //lab:end
}
