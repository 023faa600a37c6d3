/* Patterns, escapes and parameters of the control socket's requests. */
#include "admin_answer.h"
#include "admin_request.h"
#include "unit_test.h"

static void segments_have_to_be_equal_and_as_many(void **state)
{
    (void)state;
    assert_true(admin_pattern_matches("/", VIEW("/")));
    assert_true(admin_pattern_matches("/status", VIEW("/status")));
    assert_false(admin_pattern_matches("/status", VIEW("/statu")));
    assert_false(admin_pattern_matches("/status", VIEW("/status/")));
    assert_false(admin_pattern_matches("/status", VIEW("/status/x")));
    assert_false(admin_pattern_matches("/status", VIEW("*")));
    assert_false(admin_pattern_matches("/status", VIEW("")));
    assert_false(admin_pattern_matches("/", VIEW("")));
}

static void part_takes_one_segment_that_is_not_empty(void **state)
{
    (void)state;
    assert_true(admin_pattern_matches("/drain/{port}", VIEW("/drain/443")));
    assert_false(admin_pattern_matches("/drain/{port}", VIEW("/drain")));
    assert_false(admin_pattern_matches("/drain/{port}", VIEW("/drain/")));
    assert_false(admin_pattern_matches("/drain/{port}", VIEW("/drain/443/x")));
    assert_true(admin_pattern_matches("/r/{a}/diff/{b}", VIEW("/r/1/diff/2")));
    assert_true(
        view_eq(admin_pattern_part("/r/{a}/diff/{b}", VIEW("/r/1/diff/2"), "b"), VIEW("2")));
    assert_true(
        view_eq(admin_pattern_part("/r/{a}/diff/{b}", VIEW("/r/1/diff/2"), "a"), VIEW("1")));
}

static void rest_is_a_json_pointer(void **state)
{
    static const struct {
        struct view path, rest;
    } rows[] = {
        {VIEW_INIT("/config"), VIEW_INIT("")},
        {VIEW_INIT("/config/"), VIEW_INIT("/")},
        {VIEW_INIT("/config/ports/443"), VIEW_INIT("/ports/443")},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        assert_true(admin_pattern_matches("/config/{pointer*}", rows[i].path));
        assert_true(view_eq(admin_pattern_part("/config/{pointer*}", rows[i].path, "pointer"),
                            rows[i].rest));
    }
    assert_false(admin_pattern_matches("/config/{pointer*}", VIEW("/configs")));
}

static void percent_escapes_are_taken_back(void **state)
{
    static const struct {
        struct view text, decoded;
    } rows[] = {
        {VIEW_INIT("a+b"), VIEW_INIT("a+b")},
        {VIEW_INIT("unix:%2Frun%2fx"), VIEW_INIT("unix:/run/x")},
        {VIEW_INIT("%00"), VIEW_INIT("\0")},
        {VIEW_INIT(""), VIEW_INIT("")},
        {VIEW_INIT("%25%5B"), VIEW_INIT("%[")},
    };
    static const char *const malformed[] = {"%", "%2", "a%zz", "%2x", "%%20"};
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++)
        assert_true(view_eq(admin_percent_decode(&arena, rows[i].text), rows[i].decoded));
    for (size_t i = 0; i < SP_COUNT_OF(malformed); i++)
        assert_null(admin_percent_decode(&arena, view_of(malformed[i])).p);
    arena_fini(&arena);
}

/* ---- With a request ---- */

static const struct admin_parameter query[] = {{"limit", "x"}, {"now", "x"}};
static const struct admin_route route = {HTTP_METHOD_GET, "/a/{name}", .help = "x",
                                         ADMIN_QUERY(query)};

struct asked {
    struct arena arena;
    struct admin_text text;
    struct admin_answer answer;
    struct admin_request rq;
};

static struct asked *ask(const char *path, const char *text)
{
    static struct asked a;

    a = (struct asked){0};
    arena_init(&a.arena);
    assert_int_equal(admin_text_open(&a.text), SP_OK);
    admin_answer_init(&a.answer, &a.arena, &a.text);
    a.rq = (struct admin_request){
        .route = &route, .path = view_of(path), .query = view_of(text), .arena = &a.arena};
    return &a;
}

static void asked_fini(struct asked *a)
{
    admin_text_close(&a->text);
    arena_fini(&a->arena);
}

static void parameters_are_found_by_name(void **state)
{
    struct asked *a = ask("/a/b%20c", "limit=%31&now&&limit=2");
    struct view v;

    (void)state;
    assert_true(view_eq(admin_request_part(&a->rq, "name"), VIEW("b c")));
    assert_true(admin_request_query(&a->rq, "limit", &v));
    assert_true(view_eq(v, VIEW("1"))); /* the first */
    assert_true(admin_request_flag(&a->rq, "now"));
    asked_fini(a);
    a = ask("/a/b", "limit=");
    assert_true(admin_request_query(&a->rq, "limit", &v));
    assert_int_equal(v.len, 0);
    assert_false(admin_request_flag(&a->rq, "now"));
    asked_fini(a);
}

static void flags_can_be_said_to_be_false(void **state)
{
    struct asked *a = ask("/a/b", "now=0");

    (void)state;
    assert_false(admin_request_flag(&a->rq, "now"));
    asked_fini(a);
}

static void unknown_parameters_are_told(void **state)
{
    (void)state;
    assert_int_equal(admin_query_unknown(&route, VIEW("")).len, 0);
    assert_int_equal(admin_query_unknown(&route, VIEW("now&limit=3&")).len, 0);
    assert_true(view_eq(admin_query_unknown(&route, VIEW("now&limits=3")), VIEW("limits")));
}

static void number_out_of_range_is_answered(void **state)
{
    static const struct {
        const char *query;
        uint64_t value; /* 0: refused */
    } rows[] = {
        {"limit=7", 7},  {"", 5},        {"limit=10", 10},
        {"limit=11", 0}, {"limit=1", 0}, {"limit=", 0},
        {"limit=-3", 0}, {"limit=x", 0}, {"limit=18446744073709551616", 0},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        struct asked *a = ask("/a/b", rows[i].query);
        uint64_t value = 5;

        assert_int_equal(admin_request_number(&a->rq, &a->answer, "limit", 2, 10, &value),
                         rows[i].value != 0);
        assert_int_equal(a->answer.status, rows[i].value != 0 ? 200 : 400);
        assert_int_equal(value, rows[i].value != 0 ? rows[i].value : 5);
        asked_fini(a);
    }
}

static void problem_drops_what_was_written(void **state)
{
    struct asked *a = ask("/a/b", "");
    struct view text;

    (void)state;
    json_object(&a->answer.json, NULL);
    json_text(&a->answer.json, "half", VIEW("an answer"));
    admin_problem(&a->answer, 409, "no \"%s\"", "x");
    assert_int_equal(admin_text_get(&a->text, &text), SP_OK);
    assert_true(view_eq(text, VIEW("{\n  \"status\": 409,\n  \"title\": \"Conflict\",\n"
                                   "  \"detail\": \"no \\\"x\\\"\"\n}\n")));
    assert_string_equal(a->answer.content_type, "application/problem+json");
    asked_fini(a);
}

static void problem_can_have_more_members(void **state)
{
    struct asked *a = ask("/a/b", "");
    struct view text;

    (void)state;
    admin_problem_begin(&a->answer, 422, "x");
    json_array(&a->answer.json, "problems");
    json_number(&a->answer.json, NULL, 1);
    json_end(&a->answer.json);
    json_end(&a->answer.json);
    assert_int_equal(admin_text_get(&a->text, &text), SP_OK);
    assert_non_null(memmem(text.p, text.len, "\"problems\": [\n    1\n  ]\n}\n", 25));
    asked_fini(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_have_to_be_equal_and_as_many),
        cmocka_unit_test(part_takes_one_segment_that_is_not_empty),
        cmocka_unit_test(rest_is_a_json_pointer),
        cmocka_unit_test(percent_escapes_are_taken_back),
        cmocka_unit_test(parameters_are_found_by_name),
        cmocka_unit_test(flags_can_be_said_to_be_false),
        cmocka_unit_test(unknown_parameters_are_told),
        cmocka_unit_test(number_out_of_range_is_answered),
        cmocka_unit_test(problem_drops_what_was_written),
        cmocka_unit_test(problem_can_have_more_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
