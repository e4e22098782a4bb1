/* Built as if it were part of crypto, which may not see the store: this must not compile. */
#include "store/store.h"

int forbidden_include(void);
int forbidden_include(void)
{
    return 0;
}
