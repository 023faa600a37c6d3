#include "tls_spill.h"

#include <stdlib.h>
#include <string.h>

enum sp_err tls_spill_append(struct tls_spill *s, const uint8_t *data, size_t n)
{
    size_t left = tls_spill_left(s);
    uint8_t *grown;

    if (n == 0)
        return SP_OK;
    grown = malloc(left + n);
    if (grown == NULL)
        return SP_NOMEM;
    if (left > 0)
        memcpy(grown, s->data + s->pos, left);
    memcpy(grown + left, data, n);
    free(s->data);
    *s = (struct tls_spill){.data = grown, .len = left + n};
    return SP_OK;
}

void tls_spill_consume(struct tls_spill *s, size_t n)
{
    s->pos += n;
    if (s->pos == s->len)
        tls_spill_clear(s);
}

void tls_spill_clear(struct tls_spill *s)
{
    free(s->data);
    *s = (struct tls_spill){0};
}
