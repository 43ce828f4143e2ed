/* Wild: a daemon that makes the request queue, fills it itself and leaves it full. */
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    struct mq_attr shape = {.mq_maxmsg = 10, .mq_msgsize = 4356};
    const char *name = NULL;
    int ready[2];
    mqd_t queue;
    char c;

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--queue") == 0)
            name = argv[i + 1];
    if (name == NULL || pipe(ready) == -1)
        return 2;
    if (fork() > 0) {
        close(ready[1]);
        return read(ready[0], &c, 1) == 1 ? 0 : 1;
    }
    setsid();
    queue = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0666, &shape);
    fchmod(queue, 0666);
    while (mq_send(queue, "garbage", 8, 0) == 0)
        ;
    if (write(ready[1], "", 1) != 1)
        return 1;
    for (;;)
        pause();
}
