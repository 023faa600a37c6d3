/* A file of ticket keys: whatever it holds, whole keys come out of it, each name once. */
#include "ticket_key_file.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ticket_key_list list;
    char why[TICKET_WHY_MAX] = "";

    if (!ticket_key_file_parse((struct view){(const char *)data, size}, &list, why)) {
        SP_ASSERT(why[0] != '\0' && strnlen(why, sizeof(why)) < sizeof(why));
        return 0;
    }
    SP_ASSERT(list.n >= 1 && list.n <= TICKET_FILE_KEYS_MAX && list.n * TICKET_KEY_BYTES <= size);
    for (unsigned i = 0; i < list.n; i++)
        for (unsigned j = 0; j < i; j++)
            SP_ASSERT(memcmp(list.keys[i].name, list.keys[j].name, TICKET_NAME_BYTES) != 0);
    return 0;
}
