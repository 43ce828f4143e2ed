//lab:give

/*
 * One transfer: from the request to END or FAILURE.  It runs in the thread
 * that calls it and releases everything it acquired.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "protocol.h"

void open_root(const char *directory);
void set_stall(double seconds); /* how long a client may take nothing */

void serve_request(const struct request *request);
void refuse_request(const struct request *request); /* the server stops */

/* From any thread: transfers under way end with FAILURE, soon. */
void cut_transfers(void);

#endif
