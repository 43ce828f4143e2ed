/*
 * start PROGRAM ARGUMENTS...
 *
 * Executes a program, waits for it, and prints how many seconds that took. Ends as the program did.
 */
#include "bench.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    pid_t pid;
    int status;
    if (argc < 2) {
        fprintf(stderr, "usage: start PROGRAM ARGUMENTS...\n");
        return USAGE;
    }
    double begin = now();
    errno = posix_spawn(&pid, argv[1], NULL, NULL, argv + 1, environ);
    if (errno != 0)
        die(argv[1]);
    if (waitpid(pid, &status, 0) == -1)
        die("waitpid");
    printf("%.6f\n", now() - begin);
    return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}
