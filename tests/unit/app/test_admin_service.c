/* Requests on the control socket, over a fake stream and threads whose turns the test runs. */
#include "admin_service.h"
#include "failing_alloc.h"
#include "fake_stream.h"
#include "unit_test.h"

#include <unistd.h>

/* ---- Handlers ---- */

static struct {
    unsigned n_handled, n_ended, n_then;
    unsigned lines_left; /* of the stream */
    size_t body_len;
    struct admin_peer peer;
    char etag[32];
} seen;

static void get_thing(const struct admin_request *rq, struct admin_answer *a)
{
    seen.n_handled++;
    seen.peer = rq->peer;
    json_object(&a->json, NULL);
    json_text(&a->json, "name", admin_request_part(rq, "name"));
    json_end(&a->json);
}

static void put_thing(const struct admin_request *rq, struct admin_answer *a)
{
    struct view etag = admin_request_field(rq, "If-Match");

    seen.n_handled++;
    seen.body_len = rq->body.len;
    assert_int_equal(rq->body.p[rq->body.len], '\0');
    assert_true(etag.len < sizeof(seen.etag));
    memcpy(seen.etag, etag.p, etag.len);
    a->status = 204;
    admin_answer_field(a, "etag", "\"%u\"", 7U);
}

static void get_long(const struct admin_request *rq, struct admin_answer *a)
{
    (void)rq;
    for (unsigned i = 0; i < 40000; i++)
        (void)fprintf(a->out, "%05u\n", i);
}

static void count_then(struct server *s)
{
    (void)s;
    seen.n_then++;
}

static void post_then(const struct admin_request *rq, struct admin_answer *a)
{
    (void)rq;
    a->then = count_then;
    (void)fputs("on its way", a->out);
}

static bool stream_more(struct admin_stream *s, FILE *out)
{
    (void)s;
    (void)fprintf(out, "line %u\n", seen.lines_left);
    return --seen.lines_left > 0;
}

static void stream_end(struct admin_stream *s)
{
    (void)s;
    seen.n_ended++;
}

static void get_stream(const struct admin_request *rq, struct admin_answer *a)
{
    static struct admin_stream stream = {.more = stream_more, .end = stream_end, .period_ms = 50};

    (void)rq;
    a->content_type = "text/plain";
    a->stream = &stream;
    (void)fputs("begin\n", a->out);
}

static const struct admin_parameter query[] = {{"q", "x"}};
static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/things/{name}", get_thing, ADMIN_QUERY(query), .help = "x"},
    {HTTP_METHOD_PUT, "/things/{name}", put_thing, .flags = ADMIN_BODY, .help = "x"},
    {HTTP_METHOD_GET, "/long", get_long, .help = "x"},
    {HTTP_METHOD_POST, "/then", post_then, .help = "x"},
    {HTTP_METHOD_GET, "/stream", get_stream, .help = "x"},
};
static const struct admin_routes group = {"Things", ADMIN_ROWS(rows)};
static const struct admin_routes *const groups[] = {&group};
static const struct admin_table table = {groups, 1};

/* ---- Threads and a client ---- */

static struct {
    struct event_processor *ep;
    struct ethread *data, *task;
    struct admin_service service;
    struct fake_stream client;
    struct http_field fields[1];
    struct admin_peer peer;
    bool peer_known;
} fx;

static bool peer_of(const struct net_vconnection *vc, struct admin_peer *peer)
{
    (void)vc;
    *peer = fx.peer;
    return fx.peer_known;
}

static struct ethread *spawn(const char *name, int *type)
{
    *type = event_processor_register(fx.ep, name);
    assert_int_equal(event_processor_spawn(fx.ep, *type, &(struct spawn_options){.n = 1}), SP_OK);
    return fx.ep->groups[*type].threads[0];
}

static int setup(void **state)
{
    int type;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    fx.ep = event_processor_new();
    assert_non_null(fx.ep);
    fx.data = spawn("DATA", &type);
    fx.task = spawn("TASK", &type);
    assert_int_equal(admin_service_init(&fx.service, fx.ep, type, NULL), SP_OK);
    fx.service.table = &table;
    fx.service.peer_of = peer_of;
    fx.peer = (struct admin_peer){.pid = 11, .uid = geteuid()};
    fx.peer_known = true;
    ethread_adopt(fx.data);
    fake_stream_server(&fx.client, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_stream_fini(&fx.client);
    admin_service_stop(&fx.service);
    ethread_adopt(NULL);
    iobuf_thread_fini();
    event_processor_free(fx.ep);
    admin_service_fini(&fx.service);
    return 0;
}

static void run_task(void)
{
    ethread_adopt(fx.task);
    ethread_take_inbox(fx.task);
    ethread_adopt(fx.data);
}

static void run_data(void)
{
    ethread_take_inbox(fx.data);
}

static void time_passes(int64_t ms)
{
    (void)timer_wheel_run(&fx.data->wheel, fx.data->now_ms + ms);
    fx.data->now_ms += ms;
}

/* A request whose body, if it has one, the test says. */
static void ask_with(enum http_method method, const char *path, enum http_body_kind body,
                     uint64_t length)
{
    static struct http_head head;

    fx.fields[0] = (struct http_field){.name = VIEW("if-match"), .value = VIEW("\"7\"")};
    head = (struct http_head){.version = HTTP_VERSION_1_1,
                              .fields = {.v = fx.fields, .n = 1, .cap = 1},
                              .body = body,
                              .content_length = length,
                              .method = method,
                              .path = view_of(path)};
    fx.client.stream.recv_ended = body == HTTP_BODY_NONE;
    fx.service.super.ops->request(&fx.service.super, &fx.client.stream, &head,
                                  body == HTTP_BODY_NONE);
}

static void ask(enum http_method method, const char *path)
{
    ask_with(method, path, HTTP_BODY_NONE, 0);
}

static void answer_comes(void)
{
    run_task();
    run_data();
}

static void assert_problem(unsigned status)
{
    assert_int_equal(fx.client.head.status, status);
    assert_string_equal(fake_stream_field(&fx.client, "content-type"), "application/problem+json");
    assert_true(fx.client.stream.send_ended);
    assert_true(fx.client.released);
}

/* ---- Tests ---- */

static void handler_runs_on_a_task_thread_and_its_answer_comes_back(void **state)
{
    (void)state;
    ask(HTTP_METHOD_GET, "/things/a%2Fb?q=1");
    assert_int_equal(seen.n_handled, 0);
    run_data();
    assert_int_equal(seen.n_handled, 0);
    run_task();
    assert_int_equal(seen.n_handled, 1);
    assert_false(fx.client.stream.head_sent);
    run_data();
    assert_int_equal(fx.client.head.status, 200);
    assert_string_equal(fx.client.body, "{\n  \"name\": \"a/b\"\n}\n");
    assert_string_equal(fake_stream_field(&fx.client, "content-type"), "application/json");
    assert_true(fx.client.released);
    assert_int_equal(seen.peer.pid, 11);
}

static void head_is_answered_without_the_body(void **state)
{
    (void)state;
    ask(HTTP_METHOD_HEAD, "/things/a");
    answer_comes();
    assert_int_equal(fx.client.head.status, 200);
    assert_int_equal(fx.client.head.content_length, 18);
    assert_int_equal(fx.client.n_body, 0);
    assert_true(fx.client.released);
}

static void body_is_handed_over_whole(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_UNSIZED, 0);
    fake_stream_says_body(&fx.client, "one ", false);
    run_task();
    assert_int_equal(seen.n_handled, 0);
    fake_stream_says_body(&fx.client, "two", true);
    answer_comes();
    assert_int_equal(seen.body_len, 7);
    assert_string_equal(seen.etag, "\"7\"");
    assert_int_equal(fx.client.head.status, 204);
    assert_string_equal(fake_stream_field(&fx.client, "etag"), "\"7\"");
    assert_true(fx.client.released);
}

static void trailers_end_a_body(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_UNSIZED, 0);
    fake_stream_says_body(&fx.client, "one", false);
    fake_stream_says_trailer(&fx.client, "x", "y");
    answer_comes();
    assert_int_equal(seen.body_len, 3);
    assert_int_equal(fx.client.head.status, 204);
}

static void what_is_not_there_is_a_problem(void **state)
{
    static const struct {
        enum http_method method;
        const char *path;
        unsigned status;
    } wrong[] = {
        {HTTP_METHOD_GET, "/nothing", 404},      {HTTP_METHOD_GET, "/things/", 404},
        {HTTP_METHOD_DELETE, "/things/a", 405},  {HTTP_METHOD_OTHER, "/long", 405},
        {HTTP_METHOD_GET, "/things/a?x=1", 400},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(wrong); i++) {
        ask(wrong[i].method, wrong[i].path);
        assert_problem(wrong[i].status);
        fake_stream_fini(&fx.client);
        fake_stream_server(&fx.client, NULL);
    }
    assert_int_equal(seen.n_handled, 0);
}

static void wrong_method_names_the_right_ones(void **state)
{
    (void)state;
    ask(HTTP_METHOD_DELETE, "/things/a");
    assert_string_equal(fake_stream_field(&fx.client, "allow"), "GET, HEAD, PUT");
}

static void body_where_none_belongs_is_refused(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_POST, "/then", HTTP_BODY_UNSIZED, 0);
    assert_problem(400);
}

static void announced_body_that_is_too_large_is_refused_at_once(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_LENGTH, ADMIN_MAX_BODY_BYTES + 1);
    assert_problem(413);
}

static void body_that_grows_too_large_is_refused(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_UNSIZED, 0);
    for (size_t n = 0; n < ADMIN_MAX_BODY_BYTES; n += 4096)
        fake_stream_says_bytes(&fx.client, 4096);
    assert_false(fx.client.released);
    fake_stream_says_bytes(&fx.client, 1);
    assert_problem(413);
    assert_int_equal(seen.n_handled, 0);
}

static void body_that_does_not_come_is_answered(void **state)
{
    (void)state;
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_UNSIZED, 0);
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_BODY_TIMEOUT, true);
    assert_problem(408);
}

static void others_are_denied(void **state)
{
    (void)state;
    fx.service.owner = geteuid();
    fx.peer.uid = geteuid() + 12345;
    ask(HTTP_METHOD_GET, "/things/a");
    assert_problem(403);
    assert_int_equal(seen.n_handled, 0);
}

static void one_who_cannot_be_told_is_denied(void **state)
{
    (void)state;
    fx.peer_known = false;
    ask(HTTP_METHOD_GET, "/things/a");
    assert_problem(403);
}

static void owner_of_the_file_is_let_in(void **state)
{
    (void)state;
    fx.peer.uid = fx.service.owner = geteuid() + 12345;
    ask(HTTP_METHOD_GET, "/things/a");
    answer_comes();
    assert_int_equal(fx.client.head.status, 200);
}

static void long_answer_leaves_in_pieces_as_the_client_takes_it(void **state)
{
    (void)state;
    fx.client.takes_nothing = true;
    fx.client.stream.queue_bound = 65536;
    ask(HTTP_METHOD_GET, "/long");
    answer_comes();
    assert_in_range(fx.client.n_body, 1, 3 * 65536);
    assert_false(fx.client.released);
    for (unsigned i = 0; i < 20 && !fx.client.released; i++)
        fake_stream_takes_all(&fx.client);
    assert_true(fx.client.released);
    assert_int_equal(fx.client.n_body, 240000);
}

static void client_that_leaves_while_the_handler_runs_is_forgotten(void **state)
{
    (void)state;
    ask(HTTP_METHOD_POST, "/then");
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    assert_true(fx.client.released);
    assert_int_equal(seen.n_then, 0);
    answer_comes();
    assert_int_equal(seen.n_then, 1); /* what was asked for happens all the same */
}

static void what_comes_after_an_answer_waits_for_it(void **state)
{
    (void)state;
    ask(HTTP_METHOD_POST, "/then");
    run_task();
    assert_int_equal(seen.n_then, 0);
    run_data();
    assert_int_equal(seen.n_then, 1);
    assert_string_equal(fx.client.body, "on its way");
}

static void stream_goes_on_at_its_pace_until_it_ends(void **state)
{
    (void)state;
    seen.lines_left = 2;
    ask(HTTP_METHOD_GET, "/stream");
    answer_comes();
    assert_string_equal(fx.client.body, "begin\n");
    assert_int_equal(fx.client.head.body, HTTP_BODY_UNSIZED);
    answer_comes();
    assert_string_equal(fx.client.body, "begin\n"); /* its time has not come */
    time_passes(60);
    answer_comes();
    assert_string_equal(fx.client.body, "begin\nline 2\n");
    time_passes(60);
    answer_comes();
    assert_string_equal(fx.client.body, "begin\nline 2\nline 1\n");
    assert_true(fx.client.stream.send_ended);
    assert_true(fx.client.released);
    assert_int_equal(seen.n_ended, 0);
    run_task();
    assert_int_equal(seen.n_ended, 1);
    run_data();
}

static void stream_ends_when_its_client_leaves(void **state)
{
    (void)state;
    seen.lines_left = 100;
    ask(HTTP_METHOD_GET, "/stream");
    answer_comes();
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    run_task();
    assert_int_equal(seen.n_ended, 1);
    run_data();
    time_passes(1000);
    assert_int_equal(seen.lines_left, 100);
}

static void what_is_under_way_at_the_end_is_let_go(void **state)
{
    (void)state;
    seen.lines_left = 100;
    ask(HTTP_METHOD_GET, "/stream");
    answer_comes();
    time_passes(60); /* lent to a thread that runs no more */
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    admin_service_stop(&fx.service);
    assert_int_equal(seen.n_ended, 1);
}

static void malformed_request_is_a_problem(void **state)
{
    struct http_head head;
    struct iobuf body;

    (void)state;
    iobuf_init(&body);
    assert_int_equal(fx.service.super.ops->error_answer(&fx.service.super, &fx.client.stream,
                                                        HTTP_ERROR_BAD_HOST, &head, &body),
                     SP_OK);
    assert_int_equal(head.status, 400);
    assert_int_equal(head.content_length, body.len);
    assert_non_null(memmem(iobuf_first(&body).p, body.len, "Host field", 10));
    iobuf_clear(&body);
    fx.client.released = true; /* nobody had it */
}

static void whole_exchange(void)
{
    ask_with(HTTP_METHOD_PUT, "/things/a", HTTP_BODY_UNSIZED, 0);
    if (!fx.client.released)
        fake_stream_says_body(&fx.client, "one ", false);
    if (!fx.client.released)
        fake_stream_says_body(&fx.client, "two", true);
    answer_comes();
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        failing_alloc_arm(nth);
        whole_exchange();
        bool hit = failing_alloc_hit();

        assert_true(fx.client.released);
        assert_true(fx.client.aborted || fx.client.head.status == (hit ? 503 : 204));
        fake_stream_fini(&fx.client);
        iobuf_thread_fini();
        assert_int_equal(failing_alloc_live(), 0);
        fake_stream_server(&fx.client, NULL);
        if (!hit) {
            fx.client.released = true;
            return;
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handler_runs_on_a_task_thread_and_its_answer_comes_back),
        TEST(head_is_answered_without_the_body),
        TEST(body_is_handed_over_whole),
        TEST(trailers_end_a_body),
        TEST(what_is_not_there_is_a_problem),
        TEST(wrong_method_names_the_right_ones),
        TEST(body_where_none_belongs_is_refused),
        TEST(announced_body_that_is_too_large_is_refused_at_once),
        TEST(body_that_grows_too_large_is_refused),
        TEST(body_that_does_not_come_is_answered),
        TEST(others_are_denied),
        TEST(one_who_cannot_be_told_is_denied),
        TEST(owner_of_the_file_is_let_in),
        TEST(long_answer_leaves_in_pieces_as_the_client_takes_it),
        TEST(client_that_leaves_while_the_handler_runs_is_forgotten),
        TEST(what_comes_after_an_answer_waits_for_it),
        TEST(stream_goes_on_at_its_pace_until_it_ends),
        TEST(stream_ends_when_its_client_leaves),
        TEST(what_is_under_way_at_the_end_is_let_go),
        TEST(malformed_request_is_a_problem),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
