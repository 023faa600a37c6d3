#include "ticket_key_file.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>

/* 80 bytes are 26 whole groups of three, and two more: one "=" at the end. */
#define BASE64_CHARS ((size_t)(TICKET_KEY_BYTES + 2) / 3 * 4)
#define BLANKS       " \t\r\n"

static bool is_text(struct view bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.p[i];

        if ((c < ' ' || c > '~') && memchr(BLANKS, c, sizeof(BLANKS) - 1) == NULL)
            return false;
    }
    return true;
}

static bool is_known(const struct ticket_key_list *list, const uint8_t *name)
{
    for (unsigned i = 0; i < list->n; i++)
        if (memcmp(list->keys[i].name, name, TICKET_NAME_BYTES) == 0)
            return true;
    return false;
}

/* `at` counts keys or lines, whichever `unit` says, for the message. */
static bool add(struct ticket_key_list *list, const uint8_t *bytes, const char *unit, size_t at,
                char *why)
{
    union ticket_key *key = &list->keys[list->n];

    if (list->n == TICKET_FILE_KEYS_MAX) {
        (void)snprintf(why, TICKET_WHY_MAX, "has more than %u keys", TICKET_FILE_KEYS_MAX);
        return false;
    }
    if (is_known(list, bytes)) {
        (void)snprintf(why, TICKET_WHY_MAX, "%s %zu: has the name (first %u bytes) of a key before",
                       unit, at, TICKET_NAME_BYTES);
        return false;
    }
    memcpy(key->bytes, bytes, TICKET_KEY_BYTES);
    key->stamp = 0;
    list->n++;
    return true;
}

static bool parse_binary(struct view bytes, struct ticket_key_list *list, char *why)
{
    if (bytes.len % TICKET_KEY_BYTES != 0) {
        (void)snprintf(why, TICKET_WHY_MAX,
                       "has %zu bytes, expected keys of %u bytes each, or lines of base64",
                       bytes.len, TICKET_KEY_BYTES);
        return false;
    }
    for (size_t at = 0; at < bytes.len; at += TICKET_KEY_BYTES)
        if (!add(list, (const uint8_t *)bytes.p + at, "key", at / TICKET_KEY_BYTES + 1, why))
            return false;
    return true;
}

static struct view trim(struct view v)
{
    while (v.len > 0 && memchr(BLANKS, v.p[0], sizeof(BLANKS) - 1) != NULL)
        v = view_from(v, 1);
    while (v.len > 0 && memchr(BLANKS, v.p[v.len - 1], sizeof(BLANKS) - 1) != NULL)
        v.len--;
    return v;
}

/* EVP_DecodeBlock(3) takes "=" for zero bits wherever it stands, so that is looked at first. */
static bool decode(struct view line, uint8_t *out)
{
    return line.len == BASE64_CHARS && line.p[line.len - 1] == '=' &&
           memchr(line.p, '=', line.len) == line.p + line.len - 1 &&
           memchr(line.p, '-', line.len) == NULL &&
           EVP_DecodeBlock(out, (const unsigned char *)line.p, (int)line.len) ==
               (int)TICKET_KEY_BYTES + 1;
}

static bool add_line(struct ticket_key_list *list, struct view line, size_t number, char *why)
{
    uint8_t key[TICKET_KEY_BYTES + 1];
    bool ok = decode(line, key);

    if (!ok) {
        (void)snprintf(why, TICKET_WHY_MAX,
                       "line %zu: expected %u bytes in base64 (%zu characters)", number,
                       TICKET_KEY_BYTES, BASE64_CHARS);
    }
    ok = ok && add(list, key, "line", number, why);
    OPENSSL_cleanse(key, sizeof(key));
    return ok;
}

static bool parse_text(struct view bytes, struct ticket_key_list *list, char *why)
{
    for (size_t number = 1; bytes.len > 0; number++) {
        const char *end = memchr(bytes.p, '\n', bytes.len);
        size_t len = end == NULL ? bytes.len : (size_t)(end - bytes.p) + 1;
        struct view line = trim(view_head(bytes, len));

        if (line.len > 0 && line.p[0] != '#' && !add_line(list, line, number, why))
            return false;
        bytes = view_from(bytes, len);
    }
    return true;
}

bool ticket_key_file_parse(struct view bytes, struct ticket_key_list *list,
                           char why[TICKET_WHY_MAX])
{
    bool ok;

    list->n = 0;
    ok = is_text(bytes) ? parse_text(bytes, list, why) : parse_binary(bytes, list, why);
    if (ok && list->n == 0) {
        (void)snprintf(why, TICKET_WHY_MAX, "holds no key");
        return false;
    }
    return ok;
}
