/* How far something long is, on the terminal: a bar, the rate, and the time that is left. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *name;
    uint64_t total;
    uint64_t begun_us;
    uint64_t shown_us;
    bool silent; /* no terminal, or too little to do */
};

/* Nothing is shown of fewer than least. */
void progress_begin(struct progress *p, const char *name, uint64_t total, uint64_t least);
void progress_show(struct progress *p, uint64_t done);
/* Ends the line, if there is one. */
void progress_end(struct progress *p);

/* The line itself, without its end: "acme [####      ] 40 %, 52000/s, 3 s left". */
void progress_format(const struct progress *p, uint64_t done, uint64_t now_us,
                     char out[static 160]);

#endif
