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
    bool no_memory;
};
size_t page_limit(const struct request *rq);
bool page_add(void *context, const struct store_record *r); /* a store_record_fn */
/* The page becomes rq's reply. */
status page_finish(struct request *rq, struct page *page, struct err *e);
status page_abandon(struct page *page, status st); /* gives st back */

/* search.c: the page of rq's filter */
status log_search(struct engine *en, struct request *rq, const struct id *log, struct err *e);

#endif
