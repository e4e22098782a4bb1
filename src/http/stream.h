/* A reply that does not end. */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

struct exchange;

/* The part that is being sent. */
struct stream {
    char *text;
    size_t length, at;
    bool over; /* it is the last */
};

/* Is it to be a stream? false: malformed. */
bool stream_begin(struct exchange *x);
struct MHD_Response *stream_response(struct exchange *x);

#endif
