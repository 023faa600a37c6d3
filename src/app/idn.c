#include "idn.h"

#include <idn2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool idn_is_international(struct view name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] >= 0x80)
            return true;
    return false;
}

bool idn_to_ascii(struct view name, char *dst, size_t cap, const char **why)
{
    uint8_t *ascii = NULL;
    char *text = strndup(name.p, name.len); /* cut at a NUL, which no name has */
    int rc = text == NULL ? IDN2_MALLOC
                          : idn2_lookup_u8((const uint8_t *)text, &ascii,
                                           IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    bool fits = rc == IDN2_OK && (size_t)snprintf(dst, cap, "%s", (const char *)ascii) < cap;

    *why = rc == IDN2_OK ? "it is too long" : idn2_strerror(rc);
    idn2_free(ascii);
    free(text);
    return fits;
}
