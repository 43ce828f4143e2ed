/* Wild: it hops from process to process, so that no PID catches it. */
#include <time.h>
#include <unistd.h>

int main(void)
{
    const struct timespec pause = {.tv_nsec = 3000000};

    if (fork() > 0)
        _exit(0);
    setsid();
    for (;;) {
        if (fork() > 0)
            _exit(0);
        nanosleep(&pause, NULL);
    }
}
