/* Methods, field ids, the field array, lists. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/http/http_message.h>

#include <ctype.h>

static void methods_are_known_by_their_exact_text(void **state)
{
    (void)state;
    assert_int_equal(http_method_of(VIEW("GET")), HTTP_METHOD_GET);
    assert_int_equal(http_method_of(VIEW("PATCH")), HTTP_METHOD_PATCH);
    assert_int_equal(http_method_of(VIEW("get")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_of(VIEW("GETS")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_of(VIEW("")), HTTP_METHOD_OTHER);
}

static void safe_and_idempotent_follow_the_table(void **state)
{
    (void)state;
    assert_true(http_method_is_safe(HTTP_METHOD_HEAD));
    assert_false(http_method_is_safe(HTTP_METHOD_DELETE));
    assert_true(http_method_is_idempotent(HTTP_METHOD_DELETE));
    assert_false(http_method_is_idempotent(HTTP_METHOD_POST));
    assert_false(http_method_is_safe(HTTP_METHOD_OTHER));
    assert_false(http_method_is_idempotent(HTTP_METHOD_OTHER));
}

static void each_field_name_is_found_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++) {
        struct view lower = view_of(http_field_name((enum http_field_id)id));
        char upper[64];

        assert_in_range(lower.len, 1, sizeof(upper) - 1);
        for (size_t i = 0; i < lower.len; i++)
            upper[i] = (char)toupper((unsigned char)lower.p[i]);
        assert_int_equal(http_field_id_of(lower), id);
        assert_int_equal(http_field_id_of((struct view){upper, lower.len}), id);
    }
}

static void names_that_are_almost_known_are_other(void **state)
{
    char long_name[300];

    (void)state;
    memset(long_name, 'a', sizeof(long_name));
    assert_int_equal(http_field_id_of((struct view){long_name, sizeof(long_name)}),
                     HTTP_FIELD_OTHER);
    for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++) {
        struct view name = view_of(http_field_name((enum http_field_id)id));
        char changed[64];

        for (size_t i = 0; i < name.len; i++) {
            memcpy(changed, name.p, name.len);
            changed[i] = (char)(changed[i] ^ 0x40);
            assert_int_equal(http_field_id_of((struct view){changed, name.len}), HTTP_FIELD_OTHER);
        }
        assert_int_equal(http_field_id_of(view_head(name, name.len - 1)), HTTP_FIELD_OTHER);
    }
    assert_int_equal(http_field_id_of(VIEW("")), HTTP_FIELD_OTHER);
    assert_string_equal(http_field_name(HTTP_FIELD_OTHER), "");
}

static void fields_of_one_id_are_walked_in_order_of_arrival(void **state)
{
    struct http_fields fields = {0};
    const struct http_field *field;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_null(http_fields_get(&fields, HTTP_FIELD_VIA));
    for (unsigned i = 0; i < 40; i++) {
        enum http_field_id id = i % 20 == 0 ? HTTP_FIELD_VIA : HTTP_FIELD_OTHER;

        assert_int_equal(
            http_fields_add(&fields, &arena, id, VIEW("n"), arena_printf(&arena, "%u", i)), SP_OK);
    }
    assert_int_equal(fields.n, 40);
    assert_true(http_fields_has(&fields, HTTP_FIELD_VIA));
    assert_false(http_fields_has(&fields, HTTP_FIELD_HOST));
    assert_null(http_fields_get(&fields, HTTP_FIELD_HOST));
    field = http_fields_get(&fields, HTTP_FIELD_VIA);
    assert_true(view_eq(field->value, VIEW("0")));
    field = http_fields_next(&fields, field);
    assert_true(view_eq(field->value, VIEW("20")));
    assert_null(http_fields_next(&fields, field));
    arena_fini(&arena);
}

static void a_failed_addition_changes_nothing(void **state)
{
    struct http_fields fields = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena);
    failing_alloc_arm(0);
    assert_int_equal(http_fields_add(&fields, &arena, HTTP_FIELD_VIA, VIEW("n"), VIEW("v")),
                     SP_NOMEM);
    assert_true(failing_alloc_hit());
    assert_int_equal(fields.n, 0);
    assert_false(http_fields_has(&fields, HTTP_FIELD_VIA));
    arena_fini(&arena);
}

/* The elements of `list`, each followed by "|". */
static const char *elements_of(const char *list)
{
    static char text[256];
    struct view rest = view_of(list), element;
    size_t len = 0;

    while (http_list_next(&rest, &element)) {
        memcpy(text + len, element.p, element.len);
        len += element.len;
        text[len++] = '|';
    }
    text[len] = '\0';
    return text;
}

static void lists_are_split_at_commas_outside_quotes(void **state)
{
    (void)state;
    assert_string_equal(elements_of(""), "");
    assert_string_equal(elements_of(" ,\t, ,"), "");
    assert_string_equal(elements_of("a"), "a|");
    assert_string_equal(elements_of(" a b\t,, c;d=e ,"), "a b|c;d=e|");
    assert_string_equal(elements_of("a=\"x, y\", b"), "a=\"x, y\"|b|");
    assert_string_equal(elements_of("\"a\\\", b\", c"), "\"a\\\", b\"|c|");
    assert_string_equal(elements_of("\"open, a"), "\"open, a|");
    assert_string_equal(elements_of("\"open\\"), "\"open\\|");
    assert_string_equal(elements_of("a\\,b"), "a\\|b|");
}

static void a_token_is_found_in_any_of_the_fields(void **state)
{
    struct http_fields fields = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_int_equal(http_fields_add(&fields, &arena, HTTP_FIELD_CONNECTION, VIEW("Connection"),
                                     VIEW("keep-alive, te;x=1")),
                     SP_OK);
    assert_int_equal(http_fields_add(&fields, &arena, HTTP_FIELD_CONNECTION, VIEW("connection"),
                                     VIEW("Upgrade")),
                     SP_OK);
    assert_true(http_fields_list_has(&fields, HTTP_FIELD_CONNECTION, VIEW("upgrade")));
    assert_true(http_fields_list_has(&fields, HTTP_FIELD_CONNECTION, VIEW("KEEP-ALIVE")));
    assert_false(http_fields_list_has(&fields, HTTP_FIELD_CONNECTION, VIEW("te")));
    assert_false(http_fields_list_has(&fields, HTTP_FIELD_CONNECTION, VIEW("keep")));
    assert_false(http_fields_list_has(&fields, HTTP_FIELD_TE, VIEW("upgrade")));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_known_by_their_exact_text),
        cmocka_unit_test(safe_and_idempotent_follow_the_table),
        cmocka_unit_test(each_field_name_is_found_in_any_case),
        cmocka_unit_test(names_that_are_almost_known_are_other),
        cmocka_unit_test(fields_of_one_id_are_walked_in_order_of_arrival),
        cmocka_unit_test(a_failed_addition_changes_nothing),
        cmocka_unit_test(lists_are_split_at_commas_outside_quotes),
        cmocka_unit_test(a_token_is_found_in_any_of_the_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
