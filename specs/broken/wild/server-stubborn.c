/* Wild: a daemon that ignores every signal it can, keeps the working directory busy and serves nobody. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    for (int signo = 1; signo < 65; signo++)
        signal(signo, SIG_IGN);
    for (;;)
        pause();
}
