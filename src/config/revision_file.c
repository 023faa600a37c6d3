#include "revision_file.h"

#include "conf_json.h"
#include "conf_text.h"
#include "json_write.h"

#include <inttypes.h>
#include <stdlib.h>

#define DOCUMENT "  \"document\": "
#define END      "\n}\n"

/* ---- Writing ---- */

static void put_text(struct conf_buf *b, const char *key, const char *text)
{
    conf_buf_put(b, "  \"%s\": ", key);
    json_write_string(b, view_of(text));
    conf_buf_put(b, ",\n");
}

void revision_write(struct conf_buf *b, const struct revision_info *info,
                    const struct config_document *document)
{
    conf_buf_put(b, "{\n  \"revision\": %" PRIu64 ",\n  \"base\": %" PRIu64 ",\n", info->number,
                 info->base);
    conf_buf_put(b,
                 "  \"time_ms\": %" PRId64 ",\n  \"uid\": %" PRIu32 ",\n  \"pid\": %" PRId32 ",\n",
                 info->time_ms, info->uid, info->pid);
    conf_buf_put(b, "  \"hash\": \"%016" PRIx64 "\",\n  \"file_hash\": \"%016" PRIx64 "\",\n",
                 info->hash, info->file_hash);
    put_text(b, "comment", info->comment);
    put_text(b, "name", config_document_name(document));
    put_text(b, "folder", config_document_folder(document));
    conf_buf_put(b, DOCUMENT);
    conf_buf_add(b, config_document_text(document));
    conf_buf_put(b, END);
}

void revision_state_write(struct conf_buf *b, const struct revision_state *state)
{
    conf_buf_put(b,
                 "{ \"current\": %" PRIu64 ", \"back_to\": %" PRIu64 ", \"confirm_by_ms\": %" PRId64
                 " }\n",
                 state->current, state->back_to, state->confirm_by_ms);
}

/* By its first byte; 0: none begins so. */
static size_t announced_len(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc0 || first >= 0xf8)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many bytes of v are one character of UTF-8 (RFC 3629 4); 0: none. */
static size_t character_len(struct view v)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)v.p[0];
    size_t len = announced_len(first);
    unsigned code = first & (0x7fU >> len);

    if (len <= 1 || len > v.len)
        return len == 1 ? 1 : 0;
    for (size_t i = 1; i < len; i++) {
        if (utf8_begins(v.p[i]))
            return 0;
        code = code << 6 | ((unsigned char)v.p[i] & 0x3fU);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return len;
}

void revision_comment(struct view from, char dst[REVISION_COMMENT_MAX + 1])
{
    size_t n = 0;

    while (from.len > 0) {
        size_t len = character_len(from), taken = len == 0 ? 1 : len;
        unsigned char first = (unsigned char)from.p[0];
        bool control = first < 0x20 || first == 0x7f ||
                       (first == 0xc2 && len == 2 && (unsigned char)from.p[1] < 0xa0);

        if (n + taken > REVISION_COMMENT_MAX)
            break;
        if (len == 0 || control)
            dst[n++] = control ? ' ' : '?';
        else
            memcpy(dst + n, from.p, len);
        n += len == 0 || control ? 0 : len;
        from = view_from(from, taken);
    }
    dst[n] = '\0';
}

/* ---- Reading ---- */

static bool take_number(const json_t *object, const char *key, int64_t *out)
{
    const json_t *v = json_object_get(object, key);

    if (!json_is_integer(v))
        return false;
    *out = json_integer_value(v);
    return true;
}

static bool take_hash(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(object, key);
    char *end;

    if (!json_is_string(v) || json_string_length(v) != 16)
        return false;
    *out = strtoull(json_string_value(v), &end, 16);
    return *end == '\0';
}

static enum sp_err parse(struct view text, struct arena *arena, json_t **out)
{
    json_error_t e;

    switch (conf_json_parse(text, arena, out, &e)) {
    case CONF_JSON_OK: return SP_OK;
    case CONF_JSON_SYNTAX: return SP_INVALID;
    case CONF_JSON_NOMEM:
    case CONF_JSON_TOO_LARGE: break;
    }
    return SP_NOMEM;
}

static bool take_info(const json_t *json, struct revision_info *info)
{
    const json_t *comment = json_object_get(json, "comment");
    int64_t number, base, uid, pid;

    if (!take_number(json, "revision", &number) || !take_number(json, "base", &base) ||
        !take_number(json, "time_ms", &info->time_ms) || !take_number(json, "uid", &uid) ||
        !take_number(json, "pid", &pid) || !take_hash(json, "hash", &info->hash) ||
        !take_hash(json, "file_hash", &info->file_hash) || !json_is_string(comment) || number < 1 ||
        base < 0)
        return false;
    info->number = (uint64_t)number;
    info->base = (uint64_t)base;
    info->uid = (uint32_t)uid;
    info->pid = (int32_t)pid;
    revision_comment(view_of(json_string_value(comment)), info->comment);
    return true;
}

/* Where the document begins; NULL: nowhere. */
static const char *document_in(struct view text)
{
    const char *at =
        text.len == 0 ? NULL : memmem(text.p, text.len, "\n" DOCUMENT, sizeof(DOCUMENT));

    return at == NULL ? NULL : at + sizeof(DOCUMENT);
}

/* What is in front of the document, made whole, in the arena. */
static enum sp_err head_of(struct view text, struct arena *arena, json_t **out)
{
    const char *document = document_in(view_head(text, REVISION_HEAD_MAX));
    struct view head;

    if (document == NULL)
        return SP_INVALID;
    head = arena_printf(arena, VIEW_FMT "null}", (int)(document - text.p), text.p);
    return head.p == NULL ? SP_NOMEM : parse(head, arena, out);
}

enum sp_err revision_read_info(struct view text, struct revision_info *info)
{
    struct revision_info found;
    struct arena arena;
    json_t *json = NULL;
    enum sp_err err;

    arena_init(&arena);
    err = head_of(text, &arena, &json);
    if (err == SP_OK && !take_info(json, &found))
        err = SP_INVALID;
    arena_fini(&arena);
    if (err == SP_OK)
        *info = found;
    return err;
}

static struct config_document *parse_document(struct view text, const json_t *head)
{
    const char *name = json_string_value(json_object_get(head, "name"));
    const char *folder = json_string_value(json_object_get(head, "folder"));
    struct config_problems problems;
    struct config_document *d;

    if (name == NULL || folder == NULL)
        return NULL;
    config_problems_init(&problems);
    d = config_document_parse(text, name, folder, &problems);
    config_problems_fini(&problems);
    return d;
}

enum sp_err revision_read_document(struct view text, const struct revision_info *info,
                                   struct config_document **out)
{
    const char *begin = document_in(view_head(text, REVISION_HEAD_MAX));
    struct view whole =
        begin == NULL ? (struct view){NULL, 0} : view_from(text, (size_t)(begin - text.p));
    struct config_document *d = NULL;
    struct arena arena;
    json_t *head = NULL;
    enum sp_err err;

    if (whole.len < sizeof(END) || memcmp(text.p + text.len - strlen(END), END, strlen(END)) != 0)
        return SP_INVALID;
    arena_init(&arena);
    err = head_of(text, &arena, &head);
    if (err == SP_OK)
        d = parse_document(view_head(whole, whole.len - strlen(END)), head);
    arena_fini(&arena);
    if (err == SP_OK && (d == NULL || config_document_hash(d) != info->hash))
        err = SP_INVALID;
    if (err == SP_OK)
        *out = d;
    else
        config_document_unref(d);
    return err;
}

enum sp_err revision_state_read(struct view text, struct revision_state *state)
{
    int64_t current, back_to, confirm_by_ms;
    struct arena arena;
    json_t *json = NULL;
    enum sp_err err;

    arena_init(&arena);
    err = parse(text, &arena, &json);
    if (err == SP_OK &&
        (!take_number(json, "current", &current) || !take_number(json, "back_to", &back_to) ||
         !take_number(json, "confirm_by_ms", &confirm_by_ms) || current < 1 || back_to < 0))
        err = SP_INVALID;
    arena_fini(&arena);
    if (err == SP_OK) {
        *state = (struct revision_state){.current = (uint64_t)current,
                                         .back_to = (uint64_t)back_to,
                                         .confirm_by_ms = confirm_by_ms};
    }
    return err;
}
