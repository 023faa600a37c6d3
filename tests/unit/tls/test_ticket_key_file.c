#include "ticket_key_file.h"
#include "unit_test.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>

struct text {
    char bytes[8192];
    size_t len;
};

static struct ticket_key_list list;
static char why[TICKET_WHY_MAX];

static bool parse(const void *bytes, size_t len)
{
    return ticket_key_file_parse((struct view){bytes, len}, &list, why);
}

static void put(struct text *t, const char *s)
{
    size_t len = strlen(s);

    memcpy(t->bytes + t->len, s, len);
    t->len += len;
}

/* A key all of whose bytes are `fill`, which no text has. */
static void put_key(struct text *t, int fill, const char *end)
{
    unsigned char key[TICKET_KEY_BYTES], line[128];

    memset(key, fill, sizeof(key));
    assert_int_equal(EVP_EncodeBlock(line, key, sizeof(key)), 108);
    put(t, (const char *)line);
    put(t, end);
}

static void assert_keys(const char *fills)
{
    assert_int_equal(list.n, strlen(fills));
    for (unsigned i = 0; i < list.n; i++)
        for (unsigned j = 0; j < TICKET_KEY_BYTES; j++)
            assert_int_equal(list.keys[i].bytes[j], (unsigned char)fills[i]);
}

static void binary_keys_follow_each_other(void **state)
{
    unsigned char keys[160];

    (void)state;
    memset(keys, 1, 80);
    memset(keys + 80, 2, 80);
    assert_true(parse(keys, 80));
    assert_keys("\1");
    assert_true(parse(keys, 160));
    assert_keys("\1\2");
    assert_false(parse(keys, 159));
    assert_string_equal(why, "has 159 bytes, expected keys of 80 bytes each, or lines of base64");
}

/* The order of the parts is a promise to whoever writes the file. */
static void a_key_is_name_then_hmac_then_aes(void **state)
{
    unsigned char key[80];

    (void)state;
    memset(key, 1, 16);
    memset(key + 16, 2, 32);
    memset(key + 48, 3, 32);
    assert_true(parse(key, sizeof(key)));
    assert_int_equal(list.keys[0].name[15], 1);
    assert_int_equal(list.keys[0].mac[0], 2);
    assert_int_equal(list.keys[0].mac[31], 2);
    assert_int_equal(list.keys[0].aes[0], 3);
}

static void text_has_a_key_a_line(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    put(&t, "# written by the fleet\n\n  ");
    put_key(&t, 7, "  \r\n");
    put(&t, "\t\n");
    put_key(&t, 200, "\n");
    put_key(&t, 9, ""); /* no newline at the end */
    assert_true(parse(t.bytes, t.len));
    assert_keys("\7\310\11");
}

/* 80 lines are a multiple of 80 bytes. */
static void text_is_never_taken_for_binary(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    for (int i = 0; i < 20; i++)
        put_key(&t, i, "\n");
    put(&t, "# ");
    while (t.len % TICKET_KEY_BYTES != 0)
        put(&t, "-");
    assert_true(parse(t.bytes, t.len));
    assert_int_equal(list.n, 20);
}

static void assert_bad_line(const char *first, const char *line)
{
    struct text t = {.len = 0};

    put(&t, first);
    put_key(&t, 1, "\n");
    put(&t, line);
    assert_false(parse(t.bytes, t.len));
}

static void a_line_that_is_no_key_is_refused_with_its_number(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    assert_bad_line("\n", "AAAA\n");
    assert_string_equal(why, "line 3: expected 80 bytes in base64 (108 characters)");
    put_key(&t, 1, "");
    t.bytes[5] = '*';
    assert_false(parse(t.bytes, t.len));
    t.bytes[5] = '='; /* padding in the middle */
    assert_false(parse(t.bytes, t.len));
    t.bytes[5] = ' ';
    assert_false(parse(t.bytes, t.len));
    t.bytes[5] = 'A';
    t.bytes[107] = 'A'; /* 81 bytes */
    assert_false(parse(t.bytes, t.len));
    t.bytes[107] = t.bytes[106] = '='; /* 79 */
    assert_false(parse(t.bytes, t.len));
}

static void one_name_is_one_key(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    put_key(&t, 1, "\n");
    put_key(&t, 2, "\n");
    put_key(&t, 1, "\n");
    assert_false(parse(t.bytes, t.len));
    assert_string_equal(why, "line 3: has the name (first 16 bytes) of a key before");
}

static void there_is_at_least_one_key_and_not_too_many(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    assert_false(parse("", 0));
    assert_string_equal(why, "holds no key");
    assert_false(parse("# none\n", 7));
    for (unsigned i = 0; i < TICKET_FILE_KEYS_MAX; i++)
        put_key(&t, (int)i, "\n");
    assert_true(parse(t.bytes, t.len));
    put_key(&t, 99, "\n");
    assert_false(parse(t.bytes, t.len));
    assert_string_equal(why, "has more than 32 keys");
}

/* A file cut short, as a copy that was interrupted leaves it, never gives half a key. */
static void every_cut_gives_whole_keys_or_none(void **state)
{
    struct text t = {.len = 0};

    (void)state;
    put_key(&t, 1, "\n");
    put_key(&t, 2, "\n");
    for (size_t len = 0; len < t.len; len++) {
        bool whole = len == 108 || len == 109 || len == 217;

        assert_int_equal(parse(t.bytes, len), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_keys_follow_each_other),
        cmocka_unit_test(a_key_is_name_then_hmac_then_aes),
        cmocka_unit_test(text_has_a_key_a_line),
        cmocka_unit_test(text_is_never_taken_for_binary),
        cmocka_unit_test(a_line_that_is_no_key_is_refused_with_its_number),
        cmocka_unit_test(one_name_is_one_key),
        cmocka_unit_test(there_is_at_least_one_key_and_not_too_many),
        cmocka_unit_test(every_cut_gives_whole_keys_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
