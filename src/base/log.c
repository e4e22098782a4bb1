/*
 * The log line. Each line leaves in a single write so that processes sharing standard
 * error cannot tear each other's lines, and it is built on the stack: logging takes no
 * lock and allocates nothing, so it works on the way out of a failing process.
 */
#include "base/log.h"

#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_SIZE 2048
#define TEXT_MAX  128 /* of one literal; longer ones are cut, so every line fits */

/* Set once at start, before threads; read-only after that. */
static const char *log_process = "strongroom";
static enum log_level log_least = LOG_INFO_;

void log_start(const char *process, enum log_level level)
{
    log_process = process;
    log_least = level;
}

/* Literals are ours, but a quote in one of them must not break the line's JSON. */
static void put_string(struct out *o, const char *text)
{
    out_u8(o, '"');
    for (size_t i = 0; text[i] != '\0' && i < TEXT_MAX; i++) {
        if (text[i] == '"' || text[i] == '\\')
            out_u8(o, '\\');
        if ((unsigned char)text[i] >= 0x20)
            out_u8(o, (uint8_t)text[i]);
    }
    out_u8(o, '"');
}

static void put_member(struct out *o, const char *name, const char *text)
{
    out_u8(o, ',');
    put_string(o, name);
    out_u8(o, ':');
    put_string(o, text == NULL ? "" : text);
}

static void put_number(struct out *o, const char *name, int64_t value)
{
    char digits[20]; /* as many as 2^64 has */
    size_t n = 0;
    /* Negating in unsigned arithmetic: -INT64_MIN does not exist. */
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[n++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    out_u8(o, ',');
    put_string(o, name);
    out_u8(o, ':');
    if (value < 0)
        out_u8(o, '-');
    while (n > 0)
        out_u8(o, (uint8_t)digits[--n]);
}

void log_line(enum log_level level, const char *event, const struct err *e, const char *name,
              int64_t value)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    uint8_t line[LINE_SIZE];
    char now[TIME_TEXT_LENGTH + 1];
    struct out o;

    if (level < log_least)
        return;
    time_format(clock_wall_us(), now);
    out_init(&o, line, sizeof(line));
    out_text(&o, "{\"time\":");
    put_string(&o, now);
    put_member(&o, "level", names[level]);
    put_member(&o, "process", log_process);
    put_member(&o, "event", event);
    if (e != NULL) {
        put_member(&o, "code", status_name(e->code));
        put_member(&o, "where", e->where);
        put_member(&o, "why", e->why);
        put_number(&o, "detail", e->detail);
    }
    if (name != NULL)
        put_number(&o, name, value);
    out_text(&o, "}\n");
    /* Nothing sensible can be done when the log itself fails. */
    if (!o.overflow && write(STDERR_FILENO, o.p, o.n) < 0)
        return;
}
