#include "tls_label.h"

#include <stdlib.h>
#include <string.h>

struct tls_label *tls_label_new(struct view text)
{
    struct tls_label *label = malloc(sizeof(*label) + text.len);

    if (label == NULL)
        return NULL;
    atomic_init(&label->refs, 1);
    label->len = text.len;
    if (text.len > 0)
        memcpy(label->text, text.p, text.len);
    return label;
}

struct tls_label *tls_label_ref(struct tls_label *label)
{
    atomic_fetch_add_explicit(&label->refs, 1, memory_order_relaxed);
    return label;
}

void tls_label_unref(struct tls_label *label)
{
    if (label != NULL && atomic_fetch_sub_explicit(&label->refs, 1, memory_order_acq_rel) == 1)
        free(label);
}
