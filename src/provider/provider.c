/* Providers by name. Codes are bound into sealed keys and never reused. */
#include "provider/provider.h"

#include <string.h>

static const char *const providers[] = {
    [1] = "generic",      [2] = "openai",  [3] = "anthropic", [4] = "google", [5] = "azure-openai",
    [6] = "aws-bedrock",  [7] = "mistral", [8] = "cohere",    [9] = "groq",   [10] = "openrouter",
    [11] = "huggingface", [12] = "xai",    [13] = "deepseek",
};

#define PROVIDER_COUNT (sizeof providers / sizeof providers[0])

uint16_t provider_parse(const char *name)
{
    for (uint16_t i = 1; i < PROVIDER_COUNT; i++) {
        if (strcmp(providers[i], name) == 0)
            return i;
    }
    return 0;
}

const char *provider_name(uint16_t code)
{
    return code > 0 && code < PROVIDER_COUNT ? providers[code] : "unknown";
}
