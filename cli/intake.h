/*
 * A provider's credential on its way in: from standard input, or field by field from a terminal,
 * into locked memory; and what people should know before it is stored. Never from the command line
 * or the environment.
 */
#ifndef CLI_INTAKE_H
#define CLI_INTAKE_H

#include "provider/provider.h"
#include "secret/secret.h"

struct cli;

/* A whole credential of p: a bare value, or one line of JSON. With --force what is incomplete or
 * looks like something else is said and taken all the same. */
int intake_read(const struct cli *c, const struct provider *p, uint8_t scope,
                struct secret **ret_value);

#endif
