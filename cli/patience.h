/* For commands that run until they are told to stop: signals, pauses, and a vault that is away for
 * a while, which is logged once. */
#ifndef CLI_PATIENCE_H
#define CLI_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

extern volatile sig_atomic_t patience_stop;   /* SIGTERM or SIGINT came */
extern volatile sig_atomic_t patience_reopen; /* counts SIGHUPs */
/* Takes the signals from now on, and starts the log of this process. */
void patience_start(const char *process);

/* In steps, so that a signal is noticed. */
void patience_pause(uint64_t us);

struct patience {
    uint64_t pause_us; /* of a failure that goes on; 0: there is none */
    int vault;         /* exit code of the vault's last answer */
};
/* Twice as long as before, with some chance in it: those that failed together do not come back
 * together. */
void patience_back_off(struct patience *p, uint64_t max_us);
/* Whether the vault's answer, as an exit code, is one that time may change. */
bool patience_vault(struct patience *p, int code);

#endif
