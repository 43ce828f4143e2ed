/*
 * The request queue: how a message in it becomes a thread that serves it.
 */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <sys/types.h>

void open_request_queue(const char *name);
void register_notification(void);
void serve_backlog(void);  /* what was in the queue before the registration */
//lab:begin
void check_requests(void); /* now and then: no request may be left behind */
//lab:end
void stop_requests(void);  /* ends within 6 seconds, and so do transfers */
void abandon_request_queue(void); /* when the start failed */

/* In the original process: what a daemon that died could not remove. */
void discard_request_queue(const char *name);

#endif
