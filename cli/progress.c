#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR      24
#define EVERY_US (SECOND_US / 10)

void progress_begin(struct progress *p, const char *name, uint64_t total, uint64_t least)
{
    *p = (struct progress){ .name = name,
                            .total = total,
                            .begun_us = clock_monotonic_us(),
                            .silent = total < least || isatty(STDERR_FILENO) == 0 };
}

static void format_left(uint64_t seconds, char out[static 32])
{
    if (seconds < 120)
        snprintf(out, 32, "%llu s left", (unsigned long long)seconds);
    else if (seconds < 7200)
        snprintf(out, 32, "%llu min left", (unsigned long long)(seconds + 30) / 60);
    else
        snprintf(out, 32, "%llu h left", (unsigned long long)(seconds + 1800) / 3600);
}

void progress_format(const struct progress *p, uint64_t done, uint64_t now_us, char out[static 160])
{
    double passed = (double)(now_us - p->begun_us) / (double)SECOND_US;
    double rate = passed > 0 ? (double)done / passed : 0;
    double part = p->total > 0 ? (double)done / (double)p->total : 1;
    char bar[BAR + 1];
    char left[32] = "";

    memset(bar, ' ', BAR);
    bar[BAR] = '\0';
    memset(bar, '#', (size_t)(part * BAR));
    if (rate > 0)
        format_left((uint64_t)((double)(p->total - done) / rate + 0.5), left);
    snprintf(out, 160, "%.63s [%s] %d %%, %.0f/s%s%s", p->name, bar, (int)(part * 100), rate,
             left[0] != '\0' ? ", " : "", left);
}

void progress_show(struct progress *p, uint64_t done)
{
    uint64_t now = clock_monotonic_us();
    char line[160];

    if (p->silent || (p->shown_us != 0 && now - p->shown_us < EVERY_US && done < p->total))
        return;
    progress_format(p, done, now, line);
    fprintf(stderr, "\r%s\033[K", line);
    p->shown_us = now;
}

void progress_end(struct progress *p)
{
    if (!p->silent && p->shown_us != 0)
        fputc('\n', stderr);
    p->silent = true;
}
