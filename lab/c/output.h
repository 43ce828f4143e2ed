//lab:give

/* Where the client puts the file: standard output, or a file that appears
 * whole or not at all. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* All return false with errno set when they fail. */
bool output_open(const char *path); /* NULL: standard output */
bool output_write(const char *bytes, size_t length);
bool output_finish(void);

/* Removes an unfinished file.  Safe in a signal handler. */
void output_abandon(void);

#endif
