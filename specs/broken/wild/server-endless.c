/* Wild: a daemon that answers every request with garbage of every type, without end. */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char garbage[65536];

/* Each request gets one of: only DATA; empty DATA; any types; invalid types. */
static void *answer(void *request)
{
    static unsigned requests;
    unsigned mode = requests++ % 4, seed = mode;
    mqd_t reply = mq_open((char *)request + 4, O_WRONLY);
    struct mq_attr shape;

    if (reply == (mqd_t)-1 || mq_getattr(reply, &shape) == -1)
        return NULL;
    for (;;) {
        unsigned type = mode < 2 ? 2 : mode == 2 ? rand_r(&seed) % 4 + 2 : 7;
        size_t length = mode == 1 ? 0 : rand_r(&seed) % shape.mq_msgsize;

        if (type == 3)
            type = 4;
        mq_send(reply, garbage, length, type);
    }
}

static void serve(const char *name, int ready)
{
    struct mq_attr shape = {.mq_maxmsg = 10, .mq_msgsize = 4356};
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0666, &shape);

    fchmod(queue, 0666);
    if (write(ready, "", 1) != 1)
        return;
    for (;;) {
        char *request = calloc(1, 4357);
        pthread_t thread;

        if (mq_receive(queue, request, 4356, NULL) > 260)
            pthread_create(&thread, NULL, answer, request);
    }
}

int main(int argc, char *argv[])
{
    const char *name = NULL;
    int ready[2];
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
    serve(name, ready[1]);
}
