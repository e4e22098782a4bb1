/* Secrets from a person or a pipe, straight into locked memory; and yes-or-no questions. */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "base/status.h"
#include "secret/secret.h"

/* Shows text on the terminal and reads a line without echo. NOT_FOUND without a terminal. A signal
 * restores the terminal and then takes its usual course. */
MUST_CHECK status prompt_secret(const char *text, size_t cap, struct secret **ret_line,
                                struct err *e);
/* The same for what may be seen while it is typed. */
MUST_CHECK status prompt_shown(const char *text, size_t cap, struct secret **ret_line,
                               struct err *e);
/* The first line of standard input, read no further; BAD_INPUT at its end. */
MUST_CHECK status prompt_stdin_line(size_t cap, struct secret **ret_line, struct err *e);
/* All of standard input without one newline at its end. LIMIT above cap. */
MUST_CHECK status prompt_stdin_all(size_t cap, struct secret **ret_content, struct err *e);
/* Waits for Enter on the terminal. NOT_FOUND without one. */
MUST_CHECK status prompt_enter(const char *text, struct err *e);
/* true for "yes". NOT_FOUND without a terminal. */
MUST_CHECK status prompt_confirm(const char *question, bool *ret_yes, struct err *e);

#endif
