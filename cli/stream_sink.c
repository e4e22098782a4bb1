/* What the sinks share. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "secret/wiping.h"
#include "stream.h"

status sink_put(struct sink *s, struct span bytes, struct err *e)
{
    if (bytes.n > s->capacity - s->used) {
        size_t capacity = (s->used + bytes.n) * 2;
        char *wider = realloc(s->buffer, capacity); /* public */

        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for a page of records", 0);
        s->buffer = wider;
        s->capacity = capacity;
    }
    memcpy(s->buffer + s->used, bytes.p, bytes.n);
    s->used += bytes.n;
    return OK;
}

bool take_line(struct span *lines, struct span *ret_line)
{
    const uint8_t *end = lines->n == 0 ? NULL : memchr(lines->p, '\n', lines->n);

    if (end == NULL)
        return false;
    *ret_line = span_of(lines->p, (size_t)(end - lines->p));
    *lines = span_of(end + 1, lines->n - ret_line->n - 1);
    return true;
}

status sink_tls(const struct sink *s, void *curl, struct err *e)
{
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);

    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    if (rc == CURLE_OK && s->ca != NULL) /* that one, and not the system's beside it */
        rc = curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca);
    if (rc == CURLE_OK && s->ca != NULL)
        rc = curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    if (rc == CURLE_OK && s->certificate != NULL)
        rc = curl_easy_setopt(curl, CURLOPT_SSLCERT, s->certificate);
    if (rc == CURLE_OK && s->certificate != NULL)
        rc = curl_easy_setopt(curl, CURLOPT_SSLKEY, s->certificate);
    return rc == CURLE_OK ? OK : fail(e, IO, "libcurl refuses the TLS settings", (int64_t)rc);
}
