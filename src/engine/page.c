#include "page.h"

#include <stdlib.h>
#include <string.h>

size_t page_limit(const struct request *rq)
{
    return rq->limit == 0 || rq->limit > PAGE_MAX ? PAGE_MAX : (size_t)rq->limit;
}

bool page_add(void *context, const struct store_record *r)
{
    struct page *page = context;

    if (page->length + r->line.n + 1 > page->capacity) {
        size_t capacity = (page->capacity + r->line.n + 1) * 2;
        char *wider = realloc(page->text, capacity); /* public */

        if (wider == NULL) {
            page->no_memory = true;
            return false;
        }
        page->text = wider;
        page->capacity = capacity;
    }
    memcpy(page->text + page->length, r->line.p, r->line.n);
    page->length += r->line.n;
    page->text[page->length++] = '\n';
    page->last = r->id;
    return true;
}

status page_abandon(struct page *page, status st)
{
    free(page->text);
    page->text = NULL;
    return st;
}

status page_finish(struct engine *en, struct request *rq, struct page *page, const struct id *log,
                   struct err *e)
{
    if (page->length == 0 && !page->no_memory) {
        if (waiting_begin(en, rq, log))
            return OK;
        page->text = calloc(1, 1);
    }
    if (page->no_memory || page->text == NULL)
        return page_abandon(page, fail(e, NO_MEMORY, "no memory for the records", 0));
    rq->lines = page->text;
    rq->lines_length = page->length;
    return OK;
}
