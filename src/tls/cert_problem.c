#include <sallyport/tls/cert_problem.h>

#include <string.h>

static size_t put(char *dst, size_t at, struct view text)
{
    struct view cut = view_head(text, CERT_PROBLEM_POINTER_MAX - at);

    if (cut.len > 0)
        memcpy(dst + at, cut.p, cut.len);
    return at + cut.len;
}

struct view cert_problem_pointer(const struct cert_problem *p, char dst[CERT_PROBLEM_POINTER_MAX])
{
    size_t n = put(dst, 0, p->port.len > 0 ? VIEW("/ports/") : VIEW("/bundles/"));

    return (struct view){dst, put(dst, n, p->port.len > 0 ? p->port : p->bundle)};
}

void cert_problems_init(struct cert_problems *p)
{
    *p = (struct cert_problems){0};
    arena_init(&p->arena);
}

void cert_problems_fini(struct cert_problems *p)
{
    arena_fini(&p->arena);
    cert_problems_init(p);
}

/* What it outgrows stays in the arena. */
static bool has_room(struct cert_problems *p)
{
    uint32_t cap = p->cap == 0 ? 8 : p->cap * 2;
    struct cert_problem *grown;

    if (p->n < p->cap)
        return true;
    grown = arena_alloc(&p->arena, cap * sizeof(*grown));
    if (grown == NULL)
        return false;
    if (p->n > 0)
        memcpy(grown, p->v, p->n * sizeof(*grown));
    p->v = grown;
    p->cap = cap;
    return true;
}

void cert_problems_keep(void *arg, const struct cert_problem *problem)
{
    struct cert_problems *p = arg;
    const struct cert_problem copy = {.bundle = arena_copy(&p->arena, problem->bundle),
                                      .port = arena_copy(&p->arena, problem->port),
                                      .file = arena_copy(&p->arena, problem->file),
                                      .text = arena_copy(&p->arena, problem->text),
                                      .warning = problem->warning};

    p->n_errors += !problem->warning;
    if (copy.bundle.p != NULL && copy.port.p != NULL && copy.file.p != NULL &&
        copy.text.p != NULL && has_room(p))
        p->v[p->n++] = copy;
    else
        p->nomem = true;
}

void cert_problems_tell(const struct cert_problems *p, const struct cert_reporter *reporter)
{
    for (uint32_t i = 0; i < p->n; i++)
        reporter->report(reporter->arg, &p->v[i]);
}
