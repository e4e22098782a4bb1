/* Help and completion, written from the command table so that they cannot say anything else. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli.h"

/* Of everything (noun NULL) or of one noun. EXIT_USAGE if there is no such noun. */
int help_print(const struct command *commands, size_t count, const char *noun);
void help_print_completion(const struct command *commands, size_t count);
bool help_knows(const struct command *commands, size_t count, const char *noun);
/* How many arguments a command takes at most, and at least. */
size_t help_arguments(const struct command *command, size_t *ret_least);

#endif
