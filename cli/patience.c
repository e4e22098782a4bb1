#include "patience.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "report.h"

#define PAUSE_MIN_US (SECOND_US / 4)

volatile sig_atomic_t patience_stop, patience_reopen;

static void on_signal(int number)
{
    if (number == SIGHUP)
        patience_reopen++;
    else
        patience_stop = 1;
}

void patience_start(const char *process)
{
    struct sigaction action = { .sa_handler = on_signal };

    log_start(process, LOG_INFO_);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void patience_pause(uint64_t us)
{
    uint64_t until = clock_monotonic_us() + us;
    const struct timespec step = { .tv_nsec = 50 * 1000 * 1000 };

    while (!patience_stop && clock_monotonic_us() < until)
        nanosleep(&step, NULL);
}

void patience_back_off(struct patience *p, uint64_t max_us)
{
    uint64_t chance = 0;

    p->pause_us = p->pause_us == 0 ? PAUSE_MIN_US : p->pause_us * 2;
    if (p->pause_us > max_us)
        p->pause_us = max_us;
    random_bytes((struct mspan){ (uint8_t *)&chance, sizeof(chance) });
    patience_pause(p->pause_us / 2 + chance % (p->pause_us / 2));
}

bool patience_vault(struct patience *p, int code)
{
    bool passes =
        code == EXIT_LOCKED || code == EXIT_UNREACHABLE || code == EXIT_BOUND || code == EXIT_OTHER;

    if (code == p->vault || patience_stop)
        return passes;
    p->vault = code;
    if (code == EXIT_DONE)
        log_info("the vault answers again");
    else if (code == EXIT_LOCKED)
        log_warn("the vault is locked or stopping: waiting");
    else if (code == EXIT_UNREACHABLE)
        log_warn("the vault cannot be reached: waiting");
    else if (passes)
        log_number(LOG_WARN_, "the vault cannot answer now: waiting", "exit", code);
    return passes;
}
