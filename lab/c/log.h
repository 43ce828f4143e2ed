//lab:give

/*
 * The daemon's log: a file, or syslog(3) when something listens there.  Any
 * thread may write a line.
 */
#ifndef LOG_H
#define LOG_H

#include <sys/types.h>

/* path NULL: syslog.  A new file is given to the account, which can then
 * reopen it without privileges. */
void log_open(const char *path, uid_t uid, gid_t gid);
void log_reopen(void); /* after log rotation has renamed the file */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes text from a request printable, so that no client can forge a line. */
const char *log_quote(char *to, size_t size, const char *text);

#endif
