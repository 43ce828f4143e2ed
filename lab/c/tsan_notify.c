/*
 * mq_notify for the ThreadSanitizer build only.  The sanitizer knows a thread
 * by the pthread_create that it intercepts; glibc starts the threads of
 * SIGEV_THREAD by an internal call, and the sanitizer crashes in them.  This
 * does what glibc does, with a pthread_create that can be seen: the kernel
 * sends back the cookie of the registration over a netlink socket, with the
 * last of its 32 bytes set to 1 for a message, 2 for a removal.
 */
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct notice {
    void (*function)(union sigval);
    union sigval value;
};

union cookie {
    struct notice notice;
    char bytes[32];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int notices = -1;

/* With a stack size, for the sanitizer's pthread_create fails without one once
 * pthread_setattr_default_np(3) was called. */
static void start(void *(*function)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, function, argument) != 0)
        abort();
    pthread_attr_destroy(&attributes);
}

static void *notify(void *argument)
{
    struct notice notice = *(struct notice *)argument;
    sigset_t none;

    free(argument);
    sigemptyset(&none); /* as in glibc */
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    notice.function(notice.value);
    return NULL;
}

static void *listen_for_notices(void *unused)
{
    union cookie cookie;

    while (recv(notices, &cookie, sizeof cookie, 0) == sizeof cookie) {
        struct notice *copy;

        if (cookie.bytes[31] != 1)
            continue;
        copy = malloc(sizeof *copy);
        *copy = cookie.notice;
        start(notify, copy);
    }
    return unused;
}

static void start_listening(void)
{
    sigset_t all, old;

    notices = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    start(listen_for_notices, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int mq_notify(mqd_t queue, const struct sigevent *event)
{
    union cookie cookie = {.bytes = {0}};
    struct sigevent kernel_event;

    if (event == NULL || event->sigev_notify != SIGEV_THREAD)
        return (int)syscall(SYS_mq_notify, queue, event);
    pthread_once(&once, start_listening);
    cookie.notice.function = event->sigev_notify_function;
    cookie.notice.value = event->sigev_value;
    memset(&kernel_event, 0, sizeof kernel_event);
    kernel_event.sigev_notify = SIGEV_THREAD;
    kernel_event.sigev_signo = notices;
    kernel_event.sigev_value.sival_ptr = &cookie;
    return (int)syscall(SYS_mq_notify, queue, &kernel_event);
}
