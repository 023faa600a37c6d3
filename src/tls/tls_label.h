/* A name that outlives the store it comes from: a connection keeps it, and nothing else of its
 * bundle. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdatomic.h>

struct tls_label {
    atomic_uint refs;
    size_t len;
    char text[];
};
struct tls_label *tls_label_new(struct view text) SP_MUST_CHECK;
struct tls_label *tls_label_ref(struct tls_label *label);
void tls_label_unref(struct tls_label *label); /* NULL is accepted */
static inline struct view tls_label_view(const struct tls_label *label)
{
    return label == NULL ? (struct view){NULL, 0} : (struct view){label->text, label->len};
}
