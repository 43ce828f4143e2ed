/* Changes its environment in a child that does not exec, says its PID, and waits until standard input ends.
   With an argument it removes every variable instead. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t child = fork();
	if (child == -1)
		return 1;
	if (child > 0) {
		waitpid(child, NULL, 0);
		return 0;
	}
#ifdef USE_ENVIRON /* by name, which makes the linker copy it into the executable */
	if (environ == NULL)
		return 1;
#endif
	if (argc > 1) {
		clearenv();
	} else {
		unsetenv("DROPPED");
		setenv("ADDED", "yes", 1);
	}
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
