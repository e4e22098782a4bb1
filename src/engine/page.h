/* A page of stored records on its way into a reply. */
#ifndef ENGINE_PAGE_H
#define ENGINE_PAGE_H

#include "internal.h"

#define PAGE_MAX 500

/* Lines of a page, as one growing text; zeroed to begin with. */
struct page {
    char *text;
    size_t length;
    size_t capacity;
    uint64_t last; /* id of the last record, if the store gave ids */
    bool no_memory;
};
size_t page_limit(const struct request *rq);
bool page_add(void *context, const struct store_record *r); /* a store_record_fn */
/* The page becomes rq's reply; an empty one may make it wait for records of log (NULL: of any). */
status page_finish(struct engine *en, struct request *rq, struct page *page, const struct id *log,
                   struct err *e);
status page_abandon(struct page *page, status st); /* gives st back */

/* search.c: the page of rq's filter */
status log_search(struct engine *en, struct request *rq, const struct id *log, struct err *e);

#endif
