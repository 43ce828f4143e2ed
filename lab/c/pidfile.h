//lab:give

/*
 * The PID file: it says which process is the daemon, and its lock allows only
 * one.  The lock, not the file, shows that a daemon is running: a file that a
 * killed one left behind stops nobody.
 */
#ifndef PIDFILE_H
#define PIDFILE_H

#include <sys/types.h>

void write_pid_file(const char *path); /* step 7; in the daemon itself */
void remove_pid_file(void);            /* at its end */
void abandon_pid_file(void);           /* when its start failed */

/* In the original process: what a daemon that failed could not remove. */
void discard_pid_file(const char *path, pid_t daemon);

#endif
