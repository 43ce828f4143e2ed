/* What only a C program can show: the C library's own part of message queues, and fork(2).
 * usage: glibc WHAT /QUEUE
 * Exit status 0 if it is as the specs say; else the line that found otherwise is on stderr.
 */
#define _GNU_SOURCE /* pthread_getattr_np(3) */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(condition) must((condition) != 0, #condition, __LINE__)

static void must(int holds, const char *condition, int line)
{
	if (!holds) {
		fprintf(stderr, "glibc.c:%d: not so: %s (errno: %s)\n", line, condition, strerror(errno));
		_exit(1);
	}
}

static const char *name;

static mqd_t new_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 16 };
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	MUST(q != (mqd_t)-1);
	MUST(mq_unlink(name) == 0);
	return q;
}

static void name_without_a_slash(void)
{
	errno = 0;
	MUST(mq_open("name", O_RDWR | O_CREAT, 0600, NULL) == (mqd_t)-1 && errno == EINVAL);
	errno = 0;
	MUST(mq_open("", O_RDWR | O_CREAT, 0600, NULL) == (mqd_t)-1 && errno == EINVAL);
}

static void close_of_a_pipe(void)
{
	int fds[2];
	MUST(pipe(fds) == 0);
	MUST(mq_close(fds[0]) == 0);
	MUST(fcntl(fds[0], F_GETFD) == -1 && errno == EBADF);
}

static int registered_pid(mqd_t q)
{
	char line[128] = "";
	int pid = -1;
	MUST(pread(q, line, sizeof line - 1, 0) > 0);
	MUST(sscanf(line, "QSIZE:%*d NOTIFY:%*d SIGNO:%*d NOTIFY_PID:%d", &pid) == 1);
	return pid;
}

static void fork_after_notify(void)
{
	mqd_t q = new_queue();
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	int status;
	MUST(mq_notify(q, &none) == 0);
	pid_t child = fork();
	if (child == 0) {
		MUST(mq_notify(q, NULL) == 0);
		MUST(mq_notify(q, &none) == -1 && errno == EBUSY);
		MUST(mq_close(q) == 0);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child && status == 0);
	MUST(registered_pid(q) == getpid());
}

static void register_function(mqd_t q, void (*function)(union sigval), pthread_attr_t *attributes)
{
	struct sigevent thread = {
		.sigev_notify = SIGEV_THREAD, .sigev_notify_function = function, .sigev_notify_attributes = attributes,
	};
	MUST(mq_notify(q, &thread) == 0);
}

static sem_t called, go_on;

static void post(union sigval value)
{
	(void)value;
	sem_post(&called);
}

static void wait_for_call(void)
{
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 60;
	MUST(sem_timedwait(&called, &deadline) == 0);
}

static void attributes_destroyed(void)
{
	mqd_t q = new_queue();
	pthread_attr_t attributes;
	MUST(pthread_attr_init(&attributes) == 0);
	register_function(q, post, &attributes);
	MUST(pthread_attr_destroy(&attributes) == 0);
	memset(&attributes, 0xff, sizeof attributes);
	MUST(mq_send(q, "x", 1, 0) == 0);
	wait_for_call();
}

/* Callbacks by process, in memory that both share. */
static struct { volatile int parent, child; } *calls;
static pid_t parent;

static void count(union sigval value)
{
	(void)value;
	__sync_fetch_and_add(getpid() == parent ? &calls->parent : &calls->child, 1);
}

/* A registration and a message for it. Returns when a callback has run, wherever. */
static void one_round(mqd_t q)
{
	char buf[16];
	int before = calls->parent + calls->child;
	register_function(q, count, NULL);
	MUST(mq_send(q, "x", 1, 0) == 0);
	MUST(mq_receive(q, buf, sizeof buf, NULL) == 1);
	while (calls->parent + calls->child == before)
		usleep(50);
}

static void child_shares_socket(void)
{
	mqd_t q = new_queue();
	int status;
	calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(calls != MAP_FAILED);
	parent = getpid();
	one_round(q); /* makes the library's socket and thread */
	calls->parent = 0;
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		for (int i = 0; i < 2000 && calls->parent == 0; i++)
			one_round(q);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child && status == 0);
	MUST(calls->parent > 0); /* of registrations that only the child has made */
}

/* Registers a function, and has a message call it. */
static void call_by_message(mqd_t q, void (*function)(union sigval))
{
	register_function(q, function, NULL);
	MUST(mq_send(q, "x", 1, 0) == 0);
}

static void see_mask(union sigval value)
{
	sigset_t mask;
	(void)value;
	MUST(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
	for (int sig = 1; sig < 32; sig++)
		MUST(sigismember(&mask, sig) == 0);
	sem_post(&called);
}

static void mask_of_the_function(void)
{
	sigset_t all;
	MUST(sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	call_by_message(new_queue(), see_mask);
	wait_for_call();
}

static int ready[2]; /* a pipe */

static void say_ready_and_stay(union sigval value)
{
	(void)value;
	MUST(write(ready[1], "r", 1) == 1);
	for (;;)
		pause();
}

/* Has SIGTERM blocked in every thread that it has made itself, and waits for no signal yet. */
static void sigterm_meets_the_function(void)
{
	sigset_t term;
	char byte;
	int status;
	MUST(pipe(ready) == 0);
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		MUST(sigemptyset(&term) == 0 && sigaddset(&term, SIGTERM) == 0);
		MUST(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
		call_by_message(new_queue(), say_ready_and_stay);
		for (;;)
			pause();
	}
	MUST(read(ready[0], &byte, 1) == 1);
	MUST(kill(child, SIGTERM) == 0);
	MUST(waitpid(child, &status, 0) == child);
	MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void no_room_for_a_thread(void)
{
	mqd_t q = new_queue();
	pthread_attr_t huge; /* more than there are addresses: pthread_create(3) fails, as it does under RLIMIT_NPROC */
	char buf[16];
	MUST(pthread_attr_init(&huge) == 0 && pthread_attr_setstacksize(&huge, (size_t)1 << (8 * sizeof(size_t) - 2)) == 0);
	register_function(q, post, &huge);
	MUST(mq_send(q, "x", 1, 0) == 0);
	MUST(registered_pid(q) == 0); /* used up */
	MUST(mq_receive(q, buf, sizeof buf, NULL) == 1); /* it lay there */

	/* The library's thread has notifications one after the other: it has done with the first when it comes to this. */
	call_by_message(q, post);
	wait_for_call();
	MUST(sem_trywait(&called) == -1 && errno == EAGAIN);
}

static void stay(union sigval value)
{
	(void)value;
	sem_post(&called);
	while (sem_wait(&go_on) == -1)
		;
}

static void see_thread(union sigval value)
{
	pthread_attr_t mine, usual;
	size_t size, usual_size;
	int state;
	(void)value;
	MUST(pthread_getattr_np(pthread_self(), &mine) == 0 && pthread_getattr_default_np(&usual) == 0);
	MUST(pthread_attr_getdetachstate(&mine, &state) == 0 && state == PTHREAD_CREATE_DETACHED);
	MUST(pthread_attr_getstacksize(&mine, &size) == 0 && pthread_attr_getstacksize(&usual, &usual_size) == 0);
	MUST(size == usual_size);
	sem_post(&called);
}

static void slow_function(void)
{
	call_by_message(new_queue(), stay);
	wait_for_call();
	call_by_message(new_queue(), see_thread);
	wait_for_call();
	sem_post(&go_on);
}

int main(int argc, char **argv)
{
	static const struct { const char *what; void (*show)(void); } all[] = {
		{ "name without a slash", name_without_a_slash },
		{ "mq_close of a pipe", close_of_a_pipe },
		{ "fork after mq_notify", fork_after_notify },
		{ "attributes destroyed after mq_notify", attributes_destroyed },
		{ "child shares the socket of SIGEV_THREAD", child_shares_socket },
		{ "signal mask of a SIGEV_THREAD function", mask_of_the_function },
		{ "SIGTERM meets a SIGEV_THREAD function", sigterm_meets_the_function },
		{ "no room for a thread", no_room_for_a_thread },
		{ "slow SIGEV_THREAD function", slow_function },
	};
	MUST(argc == 3 && sem_init(&called, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
	name = argv[2];
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (strcmp(all[i].what, argv[1]) == 0) {
			all[i].show();
			return 0;
		}
	MUST(!"a known argument");
}
