/*
 * The program's own log: one JSON object a line on standard error, for journald. Only
 * process edges log; libraries return a struct err. Values are integers, identifiers or
 * literals: there is no way to log free text that came from outside.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"
#include "base/status.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* process: literal such as "keeper". Lines below level are dropped. */
void log_start(const char *process, enum log_level level);

/* event must be a literal. */
#define log_info(event) log_line(LOG_INFO_, "" event "", NULL, NULL, 0)
#define log_warn(event) log_line(LOG_WARN_, "" event "", NULL, NULL, 0)
#define log_number(level, event, name, value) \
    log_line((level), "" event "", NULL, "" name "", (int64_t)(value))
/* Logs code, function, literal reason and detail of e. */
#define log_err(level, event, e) log_line((level), "" event "", (e), NULL, 0)

void log_line(enum log_level level, const char *event, const struct err *e, const char *name,
              int64_t value);

#endif
