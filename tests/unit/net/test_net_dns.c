/* The resolver in a thread's own loop, against a name server inside this test. */
#include "dns_server.h"
#include "failing_alloc.h"
#include "net_dns_internal.h"
#include "net_fixture.h"

#include <stdlib.h>

static const struct dns_zone_row zone[] = {
    {.name = "both.test", .a = {"192.0.2.1", "192.0.2.2"}, .aaaa = {"2001:db8::1"}},
    {.name = "v4.test", .a = {"192.0.2.4"}},
    {.name = "v6.test", .aaaa = {"2001:db8::6"}},
    {.name = "empty.test"},
    {.name = "broken.test", .rcode = DNS_SERVFAIL},
    {.name = "silent.test", .silent = true},
    {.name = "long.test", .a = {"192.0.2.7"}, .truncated = true},
    {.name = "noisy.test", .a = {"192.0.2.8"}, .garbage = true},
};

/* One that asks, and notes what it is told. */
struct asker {
    struct continuation super;
    struct net_dns_query *query;
    int n_told;
    enum sp_err err;
    char text[96];
    struct endpoint endpoints[8];
    int n_endpoints;
    void (*act)(struct asker *a);
};

static struct net_fixture f;
static struct dns_server server;

static int told(struct continuation *c, int event, void *data)
{
    struct asker *a = container_of(c, struct asker, super);
    const struct net_dns_result *r = data;

    assert_int_equal(event, DNS_EVENT_DONE);
    a->query = NULL;
    a->n_told++;
    a->err = r->err;
    (void)snprintf(a->text, sizeof(a->text), "%s", r->text == NULL ? "" : r->text);
    a->n_endpoints = r->n_endpoints;
    for (int i = 0; i < r->n_endpoints && i < 8; i++)
        a->endpoints[i] = r->endpoints[i];
    if (a->act != NULL)
        a->act(a);
    return EVENT_DONE;
}

static void ask(struct asker *a, const char *host)
{
    int before = a->n_told;

    continuation_init(&a->super, "asker", told);
    a->query = net_dns_resolve(f.core, view_of(host), 8443, &a->super);
    assert_non_null(a->query);
    assert_int_equal(a->n_told, before); /* never inside the call */
}

static void wait_for(struct asker *a)
{
    int before = a->n_told;

    NET_FIXTURE_UNTIL(&f, (dns_serve(&server), a->n_told > before));
    assert_int_equal(a->n_told, before + 1);
}

static int setup(void **state)
{
    (void)state;
    net_fixture_open(&f, NULL);
    dns_server_open(&server, zone, SP_COUNT_OF(zone));
    assert_int_equal(net_dns_set_servers(f.core, server.address), SP_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dns_server_close(&server);
    net_fixture_close(&f);
    return 0;
}

/* Is the address among those that were told? */
static bool has(const struct asker *a, const char *address)
{
    char text[ENDPOINT_TEXT_MAX];

    for (int i = 0; i < a->n_endpoints; i++)
        if (strcmp(endpoint_format(&a->endpoints[i], text, sizeof(text)), address) == 0)
            return true;
    return false;
}

/* ---- What needs no server ---- */

static void an_address_is_its_own_answer(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "192.0.2.9");
    wait_for(&a);
    assert_int_equal(a.err, SP_OK);
    assert_int_equal(a.n_endpoints, 1);
    assert_true(has(&a, "192.0.2.9:8443"));
    ask(&a, "2001:db8::9");
    wait_for(&a);
    assert_int_equal(a.n_endpoints, 1);
    assert_true(has(&a, "[2001:db8::9]:8443"));
    assert_int_equal(server.n_questions, 0);
}

static void localhost_is_this_host(void **state)
{
    static const char *const names[] = {"localhost", "LocalHost.", "db.localhost"};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(names); i++) {
        struct asker a = {0};

        ask(&a, names[i]);
        wait_for(&a);
        assert_int_equal(a.err, SP_OK);
        assert_int_equal(a.n_endpoints, 2);
        assert_true(has(&a, "127.0.0.1:8443"));
        assert_true(has(&a, "[::1]:8443"));
    }
    assert_int_equal(server.n_questions, 0);
}

static void what_is_no_name_is_not_asked(void **state)
{
    static char long_name[300];
    struct asker a = {0};

    (void)state;
    memset(long_name, 'a', sizeof(long_name) - 1);
    ask(&a, long_name);
    wait_for(&a);
    assert_int_equal(a.err, SP_DNS);
    ask(&a, "");
    wait_for(&a);
    assert_int_equal(a.err, SP_DNS);
    a.query = net_dns_resolve(f.core, VIEW("v4.test\0.evil.test"), 1, &a.super);
    wait_for(&a);
    assert_int_equal(a.err, SP_DNS);
    assert_int_equal(server.n_questions, 0);
}

/* A name of /etc/hosts that is not localhost; false: there is none. */
static bool name_of_hosts_file(char *name, size_t cap)
{
    FILE *file = fopen("/etc/hosts", "re");
    char line[256], address[64], first[128];
    bool found = false;

    while (!found && file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (line[0] == '#' || sscanf(line, "%63s %127s", address, first) != 2)
            continue;
        found = strcmp(address, "127.0.0.1") == 0 && strncmp(first, "localhost", 9) != 0;
        if (found)
            (void)snprintf(name, cap, "%s", first);
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static void a_name_of_the_hosts_file_is_told_from_the_loop(void **state)
{
    struct asker a = {0};
    char name[128];

    (void)state;
    if (!name_of_hosts_file(name, sizeof(name)))
        skip();
    ask(&a, name);
    wait_for(&a);
    assert_int_equal(a.err, SP_OK);
    assert_true(has(&a, "127.0.0.1:8443"));
    assert_int_equal(server.n_questions, 0);
}

/* ---- Answers ---- */

static void both_families_are_asked_and_told(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "both.test");
    wait_for(&a);
    assert_int_equal(a.err, SP_OK);
    assert_int_equal(a.n_endpoints, 3);
    assert_true(has(&a, "192.0.2.1:8443"));
    assert_true(has(&a, "192.0.2.2:8443"));
    assert_true(has(&a, "[2001:db8::1]:8443"));
    assert_int_equal(server.n_questions, 2);
}

static void one_family_is_enough(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "v4.test");
    wait_for(&a);
    assert_int_equal(a.n_endpoints, 1);
    assert_true(has(&a, "192.0.2.4:8443"));
    ask(&a, "V6.Test");
    wait_for(&a);
    assert_int_equal(a.n_endpoints, 1);
    assert_true(has(&a, "[2001:db8::6]:8443"));
}

static void a_name_without_addresses_is_a_failure_with_a_reason(void **state)
{
    static const char *const names[] = {"nobody.test", "empty.test", "broken.test"};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(names); i++) {
        struct asker a = {0};

        ask(&a, names[i]);
        wait_for(&a);
        assert_int_equal(a.err, SP_DNS);
        assert_int_equal(a.n_endpoints, 0);
        assert_true(strlen(a.text) > 0);
    }
}

static void an_answer_that_was_cut_is_asked_for_over_tcp(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "long.test");
    wait_for(&a);
    assert_int_equal(a.err, SP_OK);
    assert_true(has(&a, "192.0.2.7:8443"));
    assert_true(server.n_over_tcp > 0);
}

static void noise_and_answers_to_other_questions_are_passed_over(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "noisy.test");
    wait_for(&a);
    assert_int_equal(a.err, SP_OK);
    assert_int_equal(a.n_endpoints, 1);
    assert_true(has(&a, "192.0.2.8:8443"));
}

static void a_server_that_is_silent_is_waited_for_five_seconds(void **state)
{
    struct asker a = {0};

    (void)state;
    ask(&a, "silent.test");
    net_fixture_pass_ms(&f, 4999);
    dns_serve(&server);
    net_fixture_settle(&f);
    assert_int_equal(a.n_told, 0);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(a.n_told, 1);
    assert_int_equal(a.err, SP_CONN_TIMEOUT);
    net_fixture_pass_ms(&f, 100000);
    assert_int_equal(a.n_told, 1);
}

static void a_server_that_is_not_there_is_a_failure(void **state)
{
    struct asker a = {0};

    (void)state;
    assert_int_equal(net_dns_set_servers(f.core, "127.0.0.1:1"), SP_OK);
    ask(&a, "v4.test");
    wait_for(&a);
    assert_true(a.err == SP_DNS || a.err == SP_CONN_TIMEOUT);
}

#define N_MANY 60

static struct asker many[N_MANY];

static bool all_are_told(void)
{
    for (int i = 0; i < N_MANY; i++)
        if (many[i].n_told == 0)
            return false;
    return true;
}

static void many_questions_at_once_have_their_own_answers(void **state)
{
    static const char *const names[] = {"both.test", "v6.test", "nobody.test"};
    static const int n_addresses[] = {3, 1, 0};

    (void)state;
    memset(many, 0, sizeof(many));
    for (int i = 0; i < N_MANY; i++)
        ask(&many[i], names[i % 3]);
    NET_FIXTURE_UNTIL(&f, (dns_serve(&server), all_are_told()));
    for (int i = 0; i < N_MANY; i++) {
        assert_int_equal(many[i].n_told, 1);
        assert_int_equal(many[i].n_endpoints, n_addresses[i % 3]);
    }
}

/* ---- Cancelling ---- */

static void a_cancelled_question_is_not_told(void **state)
{
    struct asker pending = {0}, answered = {0}, late = {0};

    (void)state;
    ask(&pending, "v4.test");
    net_dns_cancel(pending.query);
    ask(&answered, "127.0.0.1");
    net_dns_cancel(answered.query);
    ask(&late, "silent.test");
    net_dns_cancel(late.query);
    for (int i = 0; i < 10; i++) {
        dns_serve(&server);
        net_fixture_pass_ms(&f, 1000);
    }
    assert_int_equal(pending.n_told + answered.n_told + late.n_told, 0);
}

static struct asker first, second;

static void cancel_the_other(struct asker *a)
{
    struct asker *other = a == &first ? &second : &first;

    if (other->query != NULL)
        net_dns_cancel(other->query);
    other->query = NULL;
}

static void one_answer_may_cancel_another_of_the_same_batch(void **state)
{
    (void)state;
    first = second = (struct asker){.act = cancel_the_other};
    ask(&first, "127.0.0.1");
    ask(&second, "127.0.0.2");
    net_fixture_settle(&f);
    assert_int_equal(first.n_told, 1);
    assert_int_equal(second.n_told, 0);
}

static void ask_again(struct asker *a)
{
    if (a->n_told < 5)
        ask(a, "127.0.0.1");
}

static void an_answer_may_ask_again(void **state)
{
    struct asker a = {.act = ask_again};

    (void)state;
    ask(&a, "127.0.0.1");
    for (int i = 1; i <= 5; i++) {
        net_fixture_turn(&f);
        assert_int_equal(a.n_told, i); /* once a turn: nobody holds the loop */
    }
}

/* ---- The end ---- */

static void refuse_to_ask(struct asker *a)
{
    assert_null(net_dns_resolve(f.core, VIEW("127.0.0.1"), 1, &a->super));
}

static void who_still_waits_is_told_when_the_thread_ends(void **state)
{
    struct asker pending = {.act = refuse_to_ask}, answered = {.act = refuse_to_ask};
    struct asker cancelled = {0};

    (void)state;
    ask(&pending, "silent.test");
    ask(&answered, "127.0.0.1");
    ask(&cancelled, "silent.test");
    net_dns_cancel(cancelled.query);
    net_handler_close_all(f.nh);
    assert_int_equal(pending.n_told, 1);
    assert_int_equal(pending.err, SP_SHUTTING_DOWN);
    assert_int_equal(answered.n_told, 1);
    assert_int_equal(answered.err, SP_OK);
    assert_int_equal(cancelled.n_told, 0);
}

/* A core that is freed without an end of its threads, as when the program gives up at its start. */
static void what_nobody_waited_for_is_freed_with_the_thread(void **state)
{
    static struct asker pending, answered;

    (void)state;
    pending = answered = (struct asker){0};
    ask(&pending, "silent.test");
    ask(&answered, "127.0.0.1");
    net_dns_free(f.nh->dns);
    f.nh->dns = NULL;
    net_fixture_pass_ms(&f, 10000);
    assert_int_equal(pending.n_told + answered.n_told, 0);
}

static void asking_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        static struct asker a;
        bool hit;

        a = (struct asker){0};
        continuation_init(&a.super, "asker", told);
        net_dns_free(f.nh->dns); /* its making allocates too */
        f.nh->dns = NULL;
        failing_alloc_arm(nth);
        if (net_dns_set_servers(f.core, server.address) == SP_OK)
            a.query = net_dns_resolve(f.core, VIEW("both.test"), 1, &a.super);
        for (int i = 0; a.query != NULL && i < 20; i++) {
            dns_serve(&server);
            net_fixture_turn(&f);
        }
        hit = failing_alloc_hit();
        if (a.query != NULL) /* the socket could not be watched */
            net_fixture_pass_ms(&f, 5000);
        if (!hit) {
            assert_int_equal(a.err, SP_OK);
            assert_int_equal(a.n_endpoints, 3);
            return;
        }
        assert_true(a.n_told == 0 || a.err != SP_OK);
    }
}

#define DNS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DNS_TEST(an_address_is_its_own_answer),
        DNS_TEST(localhost_is_this_host),
        DNS_TEST(what_is_no_name_is_not_asked),
        DNS_TEST(a_name_of_the_hosts_file_is_told_from_the_loop),
        DNS_TEST(both_families_are_asked_and_told),
        DNS_TEST(one_family_is_enough),
        DNS_TEST(a_name_without_addresses_is_a_failure_with_a_reason),
        DNS_TEST(an_answer_that_was_cut_is_asked_for_over_tcp),
        DNS_TEST(noise_and_answers_to_other_questions_are_passed_over),
        DNS_TEST(a_server_that_is_silent_is_waited_for_five_seconds),
        DNS_TEST(a_server_that_is_not_there_is_a_failure),
        DNS_TEST(many_questions_at_once_have_their_own_answers),
        DNS_TEST(a_cancelled_question_is_not_told),
        DNS_TEST(one_answer_may_cancel_another_of_the_same_batch),
        DNS_TEST(an_answer_may_ask_again),
        DNS_TEST(who_still_waits_is_told_when_the_thread_ends),
        DNS_TEST(what_nobody_waited_for_is_freed_with_the_thread),
        DNS_TEST(asking_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
