//lab:give

/*
 * The steps of a System V daemon, in the lab's order and under its numbers.
 * All of them are for a process without threads.
 */
#ifndef DAEMONIZE_H
#define DAEMONIZE_H

#include <stdbool.h>
#include <sys/types.h>

void open_missing_stdio(void);  /* before 1: 0, 1 and 2 exist from here on */
void close_descriptors(void);   /* 1 */
void reset_dispositions(void);  /* 2 */
void reset_mask(void);          /* 3 */
void clean_environment(void);   /* 4 */
bool double_fork(void);         /* 5 and 6: true in the daemon, false in the
                                   original process */
void connect_stdio(void);       /* 7 */
void reset_umask(void);         /* 7 */
void change_directory(void);    /* 7 */
                                /* 7: the PID file is in pidfile.h */
void drop_privileges(uid_t uid, gid_t gid); /* 7 */

/* What the daemon tells the original process over the pipe between them. */
enum news { MADE_PID_FILE, MADE_QUEUE, READY, FAILED };

void notify_original(enum news news); /* 7 */

/* What the original process knows at the end. */
struct outcome {
    bool ready;
    bool made_pid_file, made_queue; /* by a daemon that is not ready */
    pid_t daemon;                   /* 0 when it never said anything */
    char reason[1024];
};

struct outcome await_daemon(void); /* 8 */

/*
 * Fails a start: undoes it by the function given to on_failure, prints
 * "mqfiled: ..." for the user and exits with 1.  In the daemon it has the
 * original process print that.  %m in the format is the text of errno
 * (printf(3)).
 */
_Noreturn void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void on_failure(void (*undo)(void));

#endif
