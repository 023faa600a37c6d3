/* Keys that two machines have in common: derived ones by the clock, listed ones by their file. */
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "ticket_keys_internal.h"
#include "ticket_secret.h"
#include "tls_certs.h"

#include <sallyport/base/clock.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <sys/stat.h>

#define SECRET VIEW("0123456789abcdef0123456789abcdef")
#define DAY_S  86400U
#define HOUR   ((int64_t)3600 * 1000)
#define START  (41000 * TICKET_PERIOD_MS)

static int64_t now_ms;

static int64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static int64_t fake_wall_ms(void)
{
    return now_ms;
}

static int setup(void **state)
{
    static const struct clock_source fake = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
    struct test_folder *folder = malloc(sizeof(*folder));

    assert_non_null(folder);
    folder_make(folder);
    now_ms = START;
    clock_set_for_test(&fake);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    clock_set_for_test(NULL);
    folder_remove(*state);
    free(*state);
    return 0;
}

static struct ticket_keys *derived(struct view label, uint32_t lifetime_s)
{
    struct ticket_keys *k = ticket_keys_new_derived(SECRET, label, lifetime_s);

    assert_non_null(k);
    return k;
}

static union ticket_key sealing(struct ticket_keys *k)
{
    union ticket_key key;

    assert_true(ticket_keys_seal(k, &key));
    return key;
}

/* What a machine whose clock shows `at_ms` makes of a ticket under that key. */
static enum ticket_use opened_at(struct ticket_keys *k, const union ticket_key *key, int64_t at_ms)
{
    int64_t before = now_ms;
    union ticket_key found;
    enum ticket_use use;

    now_ms = at_ms;
    use = ticket_keys_open(k, key->name, &found);
    now_ms = before;
    if (use >= TICKET_OLD)
        assert_memory_equal(found.bytes, key->bytes, TICKET_KEY_BYTES);
    return use;
}

/* ---- Derived ---- */

/* HKDF-SHA-256 as another program computes it: versions of this one in a fleet have to agree. */
static void a_derived_key_is_the_same_everywhere(void **state)
{
    static const uint8_t expected[TICKET_KEY_BYTES] = {
        0x5e, 0xac, 0xca, 0x63, 0xaa, 0x35, 0xb9, 0x21, 0xac, 0x00, 0x6f, 0x46, 0x0b, 0x26,
        0x36, 0x18, 0x85, 0x5f, 0xbb, 0x05, 0x1e, 0x0f, 0x12, 0x98, 0x4d, 0x56, 0xed, 0x2d,
        0x7e, 0x95, 0xf7, 0xd9, 0x36, 0x2d, 0x2c, 0xab, 0x72, 0x6c, 0xfb, 0xd0, 0x4c, 0xa1,
        0x9d, 0x25, 0x48, 0x8f, 0x35, 0xa5, 0xdc, 0x77, 0x08, 0xba, 0x31, 0x03, 0x3d, 0xee,
        0x93, 0x7c, 0x6b, 0x33, 0x26, 0x47, 0x32, 0x0b, 0xba, 0xf3, 0xc5, 0x6a, 0x75, 0xc6,
        0x3d, 0x69, 0xfb, 0xcd, 0xaf, 0x28, 0x53, 0xf6, 0x95, 0x28};
    struct ticket_secret secret;
    union ticket_key key;
    char bytes[32];

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    assert_true(ticket_secret_init(&secret, (struct view){bytes, sizeof(bytes)}, VIEW("443")));
    assert_true(ticket_secret_key(&secret, 41000, &key));
    assert_memory_equal(key.bytes, expected, sizeof(expected));
    ticket_secret_fini(&secret);
}

static void machines_that_never_talk_agree(void **state)
{
    struct ticket_keys *a = derived(VIEW("443"), DAY_S), *b;
    union ticket_key key;

    (void)state;
    now_ms += 3 * TICKET_PERIOD_MS + HOUR; /* b starts later, and has another ticket's life */
    b = derived(VIEW("443"), 600);
    key = sealing(a);
    assert_int_equal(opened_at(b, &key, now_ms), TICKET_CURRENT);
    key = sealing(b);
    assert_int_equal(opened_at(a, &key, now_ms), TICKET_CURRENT);
    ticket_keys_unref(a);
    ticket_keys_unref(b);
}

static void another_label_or_secret_has_other_keys(void **state)
{
    struct ticket_keys *a = derived(VIEW("443"), DAY_S), *b = derived(VIEW("8443"), DAY_S);
    struct ticket_keys *c =
        ticket_keys_new_derived(VIEW("0123456789abcdef0123456789abcdeg"), VIEW("443"), DAY_S);
    union ticket_key key = sealing(a);

    (void)state;
    assert_int_equal(opened_at(b, &key, now_ms), TICKET_UNKNOWN);
    assert_int_equal(opened_at(c, &key, now_ms), TICKET_UNKNOWN);
    ticket_keys_unref(a);
    ticket_keys_unref(b);
    ticket_keys_unref(c);
}

static void a_derived_key_seals_for_its_period_and_opens_for_its_tickets(void **state)
{
    struct ticket_keys *k = derived(VIEW("443"), DAY_S);
    union ticket_key first = sealing(k), next;

    (void)state;
    now_ms += TICKET_PERIOD_MS - 1;
    next = sealing(k);
    assert_memory_equal(next.name, first.name, TICKET_NAME_BYTES);
    now_ms += 1;
    next = sealing(k);
    assert_memory_not_equal(next.name, first.name, TICKET_NAME_BYTES);
    /* sealed in its last moment, good for a day: until then and a period longer */
    assert_int_equal(opened_at(k, &first, START + TICKET_PERIOD_MS + 24 * HOUR), TICKET_OLD);
    assert_int_equal(opened_at(k, &first, START + 5 * TICKET_PERIOD_MS), TICKET_EXPIRED);
    now_ms = START + 5 * TICKET_PERIOD_MS;
    (void)sealing(k); /* and now it is gone */
    assert_int_equal(opened_at(k, &first, now_ms), TICKET_UNKNOWN);
    ticket_keys_unref(k);
}

static void clocks_may_differ_by_a_period(void **state)
{
    struct ticket_keys *a = derived(VIEW("443"), 600), *b = derived(VIEW("443"), 600);
    union ticket_key key;

    (void)state;
    now_ms += TICKET_PERIOD_MS / 2;
    key = sealing(a);
    assert_int_equal(opened_at(b, &key, now_ms - TICKET_PERIOD_MS), TICKET_OLD);
    assert_int_equal(opened_at(b, &key, now_ms + TICKET_PERIOD_MS), TICKET_OLD);
    assert_true(opened_at(b, &key, now_ms - 2 * TICKET_PERIOD_MS) < TICKET_OLD);
    assert_int_equal(opened_at(b, &key, now_ms), TICKET_CURRENT); /* and its clock is set right */
    ticket_keys_unref(a);
    ticket_keys_unref(b);
}

static void the_longest_life_has_all_its_keys(void **state)
{
    struct ticket_keys *k = derived(VIEW("443"), 7 * DAY_S);
    union ticket_key keys[40];

    (void)state;
    for (int i = 0; i < 40; i++) {
        keys[i] = sealing(k);
        now_ms += TICKET_PERIOD_MS;
        for (int j = 0; j <= i; j++)
            if (i - j <= 14)
                assert_int_equal(opened_at(k, &keys[j], now_ms), TICKET_OLD);
    }
    assert_int_equal(opened_at(k, &keys[0], now_ms), TICKET_UNKNOWN);
    ticket_keys_unref(k);
}

/* ---- Listed ---- */

static struct ticket_key_list list_of(unsigned n)
{
    struct ticket_key_list list = {.n = n};

    for (unsigned i = 0; i < n; i++)
        memset(list.keys[i].bytes, (int)i + 1, TICKET_KEY_BYTES);
    return list;
}

static void the_first_of_a_list_seals_and_all_open(void **state)
{
    struct ticket_key_list list = list_of(TICKET_FILE_KEYS_MAX);
    struct ticket_keys *k = ticket_keys_new_listed(&list);
    union ticket_key other = {.name = {77}};

    (void)state;
    assert_int_equal(sealing(k).name[0], 1);
    now_ms += 1000 * TICKET_PERIOD_MS; /* whoever writes the file decides about time */
    assert_int_equal(sealing(k).name[0], 1);
    assert_int_equal(opened_at(k, &list.keys[0], now_ms), TICKET_CURRENT);
    for (unsigned i = 1; i < list.n; i++)
        assert_int_equal(opened_at(k, &list.keys[i], now_ms), TICKET_OLD);
    assert_int_equal(opened_at(k, &other, now_ms), TICKET_UNKNOWN);
    ticket_keys_unref(k);
}

/* ---- Files ---- */

struct told {
    char text[256];
    unsigned problems, warnings;
};

static void tell(void *arg, const struct cert_problem *p)
{
    struct told *told = arg;

    assert_true(p->text.len < sizeof(told->text));
    memcpy(told->text, p->text.p, p->text.len);
    told->text[p->text.len] = '\0';
    told->problems += !p->warning;
    told->warnings += p->warning;
}

static void write_file(struct view path, const char *bytes, size_t len, mode_t mode)
{
    FILE *f = fopen(path.p, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path.p, mode), 0);
}

static struct ticket_keys *load(struct view secret_file, struct view key_file, struct told *told)
{
    const struct tls_port_conf conf = {.ticket_secret_file = secret_file,
                                       .ticket_key_file = key_file,
                                       .ticket_label = VIEW("443"),
                                       .ticket_lifetime_s = DAY_S};

    *told = (struct told){.text = ""};
    return ticket_keys_load(&conf, VIEW("443"),
                            &(struct cert_reporter){.report = tell, .arg = told});
}

static void a_secret_file_is_taken_as_it_is(void **state)
{
    struct view path = folder_file(*state, "secret"), none = {NULL, 0};
    struct ticket_keys *direct = derived(VIEW("443"), DAY_S), *k;
    union ticket_key key = sealing(direct);
    struct told told;

    write_file(path, SECRET.p, SECRET.len, 0600);
    k = load(path, none, &told);
    assert_non_null(k);
    assert_int_equal(opened_at(k, &key, now_ms), TICKET_CURRENT);
    assert_int_equal(told.problems + told.warnings, 0);
    ticket_keys_unref(k);
    ticket_keys_unref(direct);
}

static void a_file_for_everybody_is_warned_of(void **state)
{
    struct view path = folder_file(*state, "secret"), none = {NULL, 0};
    const struct test_folder *folder = *state;
    struct told told;

    assert_int_equal(chmod(folder->path, 0755), 0);
    write_file(path, SECRET.p, SECRET.len, 0644);
    ticket_keys_unref(load(path, none, &told));
    assert_int_equal(told.problems, 0);
    assert_int_equal(told.warnings, 1);
    assert_non_null(strstr(told.text, "can be read by every user of this machine (mode 0644)"));
}

static void assert_refused(struct view secret_file, struct view key_file, const char *why)
{
    struct told told;

    assert_null(load(secret_file, key_file, &told));
    assert_int_equal(told.problems, 1);
    assert_string_equal(told.text, why);
}

static void a_file_that_is_no_good_is_refused_in_words(void **state)
{
    static char large[65537];
    struct view path = folder_file(*state, "file"), none = {NULL, 0};

    assert_refused(path, none, "cannot be opened: No such file or directory");
    assert_refused(VIEW("/"), none, "is a directory, no regular file");
    write_file(path, SECRET.p, 31, 0600);
    assert_refused(path, none, "has 31 bytes, expected a secret of at least 32");
    write_file(path, large, sizeof(large), 0600);
    assert_refused(path, none, "has 65537 bytes; at most 65536 are read");
    write_file(path, large, 81, 0600);
    assert_refused(none, path, "has 81 bytes, expected keys of 80 bytes each, or lines of base64");
    write_file(path, large, 0, 0600);
    assert_refused(none, path, "holds no key");
    write_file(path, large, 160, 0600);
    assert_refused(none, path, "key 2: has the name (first 16 bytes) of a key before");
}

static void a_load_survives_each_failed_allocation(void **state)
{
    struct view secret = folder_file(*state, "secret"), list = folder_file(*state, "list");
    struct view none = {NULL, 0};
    struct told told;
    bool failed = true;

    write_file(secret, SECRET.p, SECRET.len, 0600);
    write_file(list, (const char *)list_of(1).keys[0].bytes, TICKET_KEY_BYTES, 0600);
    ticket_keys_unref(load(secret, none, &told)); /* what OpenSSL makes only once */
    for (unsigned nth = 0; failed; nth++) {
        struct ticket_keys *k[2];

        failing_alloc_arm(nth);
        k[0] = load(secret, none, &told);
        assert_int_equal(k[0] == NULL, told.problems);
        k[1] = load(none, list, &told);
        assert_int_equal(k[1] == NULL, told.problems);
        failed = failing_alloc_hit();
        ticket_keys_unref(k[0]);
        ticket_keys_unref(k[1]);
        assert_int_equal(ERR_peek_error(), 0);
    }
    assert_int_equal(told.problems, 0);
}

/* Rotation fails for want of memory: the old key goes on sealing, and the next try succeeds. */
static void a_key_that_cannot_be_derived_is_tried_again(void **state)
{
    struct ticket_keys *k = derived(VIEW("443"), DAY_S);
    union ticket_key first = sealing(k), next;
    bool failed = true;

    (void)state;
    for (unsigned nth = 0; failed; nth++) {
        now_ms += 100 * TICKET_PERIOD_MS;
        failing_alloc_arm(nth);
        next = sealing(k);
        failed = failing_alloc_hit();
        if (failed && memcmp(next.name, first.name, TICKET_NAME_BYTES) == 0)
            next = sealing(k);
        assert_memory_not_equal(next.name, first.name, TICKET_NAME_BYTES);
        first = next;
    }
    ticket_keys_unref(k);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_derived_key_is_the_same_everywhere),
        WITH_FOLDER(machines_that_never_talk_agree),
        WITH_FOLDER(another_label_or_secret_has_other_keys),
        WITH_FOLDER(a_derived_key_seals_for_its_period_and_opens_for_its_tickets),
        WITH_FOLDER(clocks_may_differ_by_a_period),
        WITH_FOLDER(the_longest_life_has_all_its_keys),
        WITH_FOLDER(the_first_of_a_list_seals_and_all_open),
        WITH_FOLDER(a_secret_file_is_taken_as_it_is),
        WITH_FOLDER(a_file_for_everybody_is_warned_of),
        WITH_FOLDER(a_file_that_is_no_good_is_refused_in_words),
        WITH_FOLDER(a_load_survives_each_failed_allocation),
        WITH_FOLDER(a_key_that_cannot_be_derived_is_tried_again),
    };

    if (!openssl_take_allocator())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
