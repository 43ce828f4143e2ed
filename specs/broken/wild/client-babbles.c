/* Wild: the client sends garbage for ever, and so do its children, which keep stdout open. */
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    static char garbage[4356];
    const char *name = NULL;
    mqd_t queue;

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--queue") == 0)
            name = argv[i + 1];
    if (name == NULL)
        return 2;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
            signal(SIGINT, SIG_IGN);
            break;
        }
    queue = mq_open(name, O_WRONLY);
    memset(garbage, '/', sizeof garbage);
    for (;;)
        if (queue == (mqd_t)-1 || mq_send(queue, garbage, sizeof garbage, 31) == -1)
            pause();
}
