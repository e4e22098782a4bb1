/* Single measurements. None changes anything. */
#ifndef SANDBOX_MEASURE_H
#define SANDBOX_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_TEXT 4096

/* What /proc/self/status says, NUL-terminated. A field that is missing reads as UINT64_MAX. */
bool measure_status(int fd, char text[MEASURE_TEXT]);
uint64_t measure_field(const char *text, const char *name, int base);

bool measure_dumpable(void);
bool measure_core_limit_zero(void);
bool measure_lock_limit(size_t bytes); /* the limit allows for as much */
bool measure_no_swap(void);
bool measure_freed_memory_is_overwritten(void);
bool measure_root_opens(void); /* the root directory can be opened for reading */
bool measure_core_pattern_is_file(void);
bool measure_nobody_attaches(void);

/* What the kernel offers. */
bool measure_landlock_there(void);
bool measure_seccomp_there(void);
bool measure_memfd_secret_there(void);

#endif
