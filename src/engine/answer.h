/* How answers leave the engine's thread. */
#ifndef ENGINE_ANSWER_H
#define ENGINE_ANSWER_H

#include <stdbool.h>

struct engine;
struct request;

/* Of a batch's answers whoever sends them is told once. */
struct answers {
    void (*told)(void *context); /* under the engine's lock; NULL: nobody is */
    void *context;
    bool untold; /* the engine thread's: something was answered since */
};

/* Counts rq and calls its done, which may free it. */
void engine_answer(struct engine *en, struct request *rq);
/* After the last of several. */
void engine_answered(struct engine *en);

#endif
