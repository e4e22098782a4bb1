/* Lines at the end of a file that a collector reads. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli.h"
#include "stream.h"

static int open_settings(struct cli *c, struct sink *s)
{
    (void)c;
    s->fd = -1;
    if (s->target[0] != '/')
        return report(EXIT_USAGE, "--to file:// takes an absolute path: file:///var/log/...");
    return EXIT_DONE;
}

static void close_file(struct sink *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* A line that was cut off when somebody died comes again whole: what is there of it goes. */
static status mend(int fd, struct err *e)
{
    off_t size = lseek(fd, 0, SEEK_END);
    off_t at = size;
    char byte = '\0';

    while (at > 0 && size - at < LIMIT_RECORD) {
        if (pread(fd, &byte, 1, at - 1) != 1)
            return fail(e, IO, "cannot read the end of the file", errno);
        if (byte == '\n')
            break;
        at--;
    }
    if (at == size || ((at == 0 || byte == '\n') && ftruncate(fd, at) == 0))
        return OK;
    /* Of a file that may only grow, or of somebody else, the rest stays, as a line of its own. */
    return write(fd, "\n", 1) == 1 ? OK : fail(e, IO, "cannot mend the end of the file", errno);
}

static status open_file(struct sink *s, struct err *e)
{
    struct stat about;
    status st;

    if (s->fd >= 0 && s->reopened == *s->reopen)
        return OK;
    s->reopened = *s->reopen;
    close_file(s);
    s->fd = open(s->target, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (s->fd < 0)
        return fail(e, IO, "cannot open the file", errno);
    if (fstat(s->fd, &about) != 0 || !S_ISREG(about.st_mode))
        st = fail(e, IO, "what is there is not a file", 0);
    else
        st = mend(s->fd, e);
    if (st != OK)
        close_file(s);
    return st;
}

static status send_lines(struct sink *s, struct span lines, struct err *e)
{
    status st = open_file(s, e);

    while (st == OK && lines.n > 0) {
        ssize_t n = write(s->fd, lines.p, lines.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = fail(e, IO, "cannot write to the file", errno);
        else
            lines = span_of(lines.p + n, lines.n - (size_t)n);
    }
    return st;
}

static status confirm(struct sink *s, struct err *e)
{
    return fsync(s->fd) == 0 ? OK : fail(e, IO, "cannot sync the file", errno);
}

const struct sink_kind sink_file = { .scheme = "file://",
                                     .page = 500,
                                     .each_page = true,
                                     .open = open_settings,
                                     .send = send_lines,
                                     .confirm = confirm,
                                     .close = close_file };
