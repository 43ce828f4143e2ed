/* Wild: a daemon that stops itself. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
    if (fork() > 0)
        _exit(0);
    for (;;)
        raise(SIGSTOP);
}
