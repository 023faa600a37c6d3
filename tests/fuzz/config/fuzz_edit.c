/* Whatever the change: the document stays as it was, and what comes out is JSON that reads back as
 * itself. The input is a document, a pointer and a value, each ended by a NUL; its first byte says
 * which change it is. */
#include <sallyport/config/document.h>

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view take(struct view *rest)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->p, '\0', rest->len);
    struct view head = view_head(*rest, end == NULL ? rest->len : (size_t)(end - rest->p));

    *rest = view_from(*rest, head.len + 1);
    return head;
}

static struct config_document *parse(struct view text)
{
    struct config_problems problems;
    struct config_document *d;

    config_problems_init(&problems);
    d = config_document_parse(text, "fuzz.json", "/", &problems);
    SP_ASSERT((d == NULL) == (problems.n_errors > 0));
    config_problems_fini(&problems);
    return d;
}

static void check_result(const struct config_document *d)
{
    struct config_document *again = parse(config_document_text(d));

    if (again == NULL)
        return; /* a number or a string by itself */
    SP_ASSERT(config_document_hash(again) == config_document_hash(d));
    config_document_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view rest = view_from((struct view){(const char *)data, size}, 1);
    struct view text = take(&rest), pointer = take(&rest), value = take(&rest);
    struct config_edit_problem problem;
    struct config_document *d = size == 0 ? NULL : parse(text), *e;

    if (d == NULL)
        return 0;
    uint64_t hash = config_document_hash(d);
    e = config_document_edit(d, (enum config_edit)(data[0] % 4), pointer, value, &problem);
    SP_ASSERT((e == NULL) == (problem.status != CONFIG_EDIT_OK));
    SP_ASSERT(e != NULL || problem.text[0] != '\0');
    SP_ASSERT(config_document_hash(d) == hash);
    check_result(d);
    if (e != NULL)
        check_result(e);
    config_document_unref(e);
    config_document_unref(d);
    return 0;
}
