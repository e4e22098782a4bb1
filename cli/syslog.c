/* RFC 5424 messages: the header, one element of structured data, and the record's line as it is. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "stream.h"

#define FACILITY 13 /* log audit */
#define TEXT_MAX 128

size_t syslog_escape(struct span value, char *out, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < value.n; i++) {
        char c = (char)value.p[i];
        bool escaped = c == '"' || c == '\\' || c == ']';

        if (n + escaped + 1 > cap)
            break;
        if (escaped)
            out[n++] = '\\';
        out[n++] = c;
    }
    return n;
}

/* Printable ASCII without spaces, as the fields of the header must be; "-" for anything else. */
static const char *header_field(const char *text, size_t max)
{
    size_t n = text == NULL ? 0 : strlen(text);

    if (n == 0 || n > max)
        return "-";
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 33 || text[i] > 126)
            return "-";
    }
    return text;
}

static const char *text_of(const json_t *record, const char *name)
{
    return json_string_value(json_object_get(record, name));
}

static unsigned severity(const char *outcome)
{
    if (outcome == NULL || strcmp(outcome, "ok") == 0)
        return 6; /* informational */
    return strcmp(outcome, "denied") == 0 ? 4 : 3;
}

static void add_param(char *out, size_t *n, const char *name, const char *value)
{
    if (value == NULL || strlen(value) > TEXT_MAX)
        return;
    *n += (size_t)snprintf(out + *n, SYSLOG_HEAD_MAX - *n, " %s=\"", name);
    *n += syslog_escape(span_text(value), out + *n, 2 * TEXT_MAX);
    out[(*n)++] = '"';
}

/*
 * The message identifier is the type. Whatever cannot be read from the line is left out here, and
 * still in the line. The enterprise number is the one that is set aside for documentation: what the
 * element is called matters to nobody but the receiver's configuration.
 */
size_t syslog_head(struct span line, const char *host, char out[static SYSLOG_HEAD_MAX])
{
    AUTO(json_t) *record = json_loadb((const char *)line.p, line.n, 0, NULL);
    const char *outcome = text_of(record, "outcome");
    const char *type = text_of(record, "type");
    char seq[24] = "";
    size_t n;

    if (json_is_integer(json_object_get(record, "seq")))
        snprintf(seq, sizeof(seq), "%lld",
                 (long long)json_integer_value(json_object_get(record, "seq")));
    n = (size_t)snprintf(out, SYSLOG_HEAD_MAX, "<%u>1 %s %s strongroom - %s [strongroom@32473",
                         FACILITY * 8 + severity(outcome),
                         header_field(text_of(record, "time"), 32), header_field(host, 255),
                         header_field(type, 32));
    add_param(out, &n, "log", text_of(record, "log"));
    add_param(out, &n, "seq", seq[0] != '\0' ? seq : NULL);
    add_param(out, &n, "type", type);
    add_param(out, &n, "outcome", outcome);
    out[n++] = ']';
    out[n++] = ' ';
    return n;
}
