/*
 * Must:
 *  1. What is typed goes from read(2) into a struct secret: no stdio, no line editor, no copy.
 *  2. The terminal has its echo back before anything else happens, a signal included.
 */
#include "prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
#define CAUGHT_COUNT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t signal_seen;

static void note_signal(int number)
{
    signal_seen = number;
}

/* One line without its end into to, which needs one byte more than it may hold. EINTR ends it. */
static status read_line(int fd, struct mspan to, size_t *ret_n, struct err *e)
{
    size_t n = 0;

    for (;;) {
        if (n == to.n)
            return fail(e, LIMIT, "what was entered is too long", 0);
        ssize_t got = read(fd, to.p + n, 1);

        if (got < 0)
            return fail(e, IO, "cannot read what is typed", errno);
        if (got == 0 && n == 0)
            return fail(e, BAD_INPUT, "nothing was entered", 0);
        if (got == 0 || to.p[n] == '\n')
            break;
        n++;
    }
    if (n > 0 && to.p[n - 1] == '\r')
        n--;
    *ret_n = n;
    return OK;
}

static void show(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        return; /* a terminal that cannot be written to will not be read from either */
}

/* Asks and reads with echo off: the question comes second, or a fast answer would be seen.
 * *ret_signal: what interrupted it, or 0. */
static status read_hidden(int fd, const char *text, struct mspan to, size_t *ret_n, int *ret_signal,
                          struct err *e)
{
    struct termios before;
    struct termios quiet;
    struct sigaction old[CAUGHT_COUNT];
    struct sigaction action = { .sa_handler = note_signal };

    if (tcgetattr(fd, &before) != 0)
        return fail(e, IO, "the terminal does not answer", errno);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    quiet.c_lflag |= ICANON;
    signal_seen = 0;
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        sigaction(caught[i], &action, &old[i]);
    status st = OK;

    if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
        st = fail(e, IO, "the terminal does not hide what is typed", errno);
    if (st == OK) {
        show(fd, text);
        st = read_line(fd, to, ret_n, e);
    }
    (void)tcsetattr(fd, TCSAFLUSH, &before);
    show(fd, "\n");
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        sigaction(caught[i], &old[i], NULL);
    *ret_signal = (int)signal_seen;
    return st;
}

static status finish(struct secret **line, size_t n, struct secret **ret_line, struct err *e)
{
    status st = secret_trim(*line, n, e);

    if (st != OK)
        return st;
    *ret_line = *line;
    *line = NULL;
    return OK;
}

status prompt_secret(const char *text, size_t cap, struct secret **ret_line, struct err *e)
{
    AUTO(secret) *line = NULL;
    size_t n = 0;
    int number = 0;
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, NOT_FOUND, "there is no terminal to ask on", 0);
    status st = secret_new(cap + 1, &line, e);

    while (st == OK) {
        struct err problem = { 0 };

        st = read_hidden(fd, text, secret_fill(line), &n, &number, &problem);
        if (number == 0) {
            if (st != OK)
                st = err_note(e, st, problem.where, problem.why, problem.detail);
            break;
        }
        /* Usually the end of the program; after a stop (Ctrl-Z) it asks again. */
        raise(number);
        if (number != SIGTSTP) {
            st = fail(e, DENIED, "cancelled", 0);
            break;
        }
        st = OK;
    }
    close(fd);
    return st == OK ? finish(&line, n, ret_line, e) : st;
}

status prompt_shown(const char *text, size_t cap, struct secret **ret_line, struct err *e)
{
    AUTO(secret) *line = NULL;
    size_t n = 0;
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, NOT_FOUND, "there is no terminal to ask on", 0);
    status st = secret_new(cap + 1, &line, e);

    if (st == OK) {
        show(fd, text);
        st = read_line(fd, secret_fill(line), &n, e);
    }
    close(fd);
    return st == OK ? finish(&line, n, ret_line, e) : st;
}

status prompt_stdin_line(size_t cap, struct secret **ret_line, struct err *e)
{
    AUTO(secret) *line = NULL;
    size_t n = 0;
    status st = secret_new(cap + 1, &line, e);

    if (st == OK)
        st = read_line(STDIN_FILENO, secret_fill(line), &n, e);
    return st == OK ? finish(&line, n, ret_line, e) : st;
}

status prompt_stdin_all(size_t cap, struct secret **ret_content, struct err *e)
{
    AUTO(secret) *content = NULL;
    size_t n = 0;
    /* Room for the newline, and for one byte that shows there is too much. */
    status st = secret_new(cap + 3, &content, e);

    if (st != OK)
        return st;
    struct mspan to = secret_fill(content);

    for (;;) {
        ssize_t got = n < to.n ? read(STDIN_FILENO, to.p + n, to.n - n) : 0;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(e, IO, "cannot read standard input", errno);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n > 0 && to.p[n - 1] == '\n')
        n--;
    if (n > 0 && to.p[n - 1] == '\r')
        n--;
    if (n == 0)
        return fail(e, BAD_INPUT, "standard input is empty", 0);
    if (n > cap)
        return fail(e, LIMIT, "standard input holds too much", 0);
    return finish(&content, n, ret_content, e);
}

status prompt_confirm(const char *question, bool *ret_yes, struct err *e)
{
    uint8_t answer[16];
    size_t n = 0;
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, NOT_FOUND, "there is no terminal to ask on", 0);
    show(fd, question);
    show(fd, " Type yes to go on: ");
    status st = read_line(fd, (struct mspan){ .p = answer, .n = sizeof(answer) }, &n, NULL);

    close(fd);
    *ret_yes = st == OK && span_same(span_of(answer, n), span_text("yes"));
    return OK;
}

status prompt_enter(const char *text, struct err *e)
{
    uint8_t answer[64];
    size_t n = 0;
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, NOT_FOUND, "there is no terminal to ask on", 0);
    show(fd, text);
    show(fd, " Then press Enter: ");
    status st = read_line(fd, (struct mspan){ .p = answer, .n = sizeof(answer) }, &n, NULL);

    close(fd);
    return st == OK || st == LIMIT ? OK : fail(e, DENIED, "cancelled", 0);
}
