/* Becoming another user, as far as that can be tried without being changed for good. */
#include "privileges.h"
#include "unit_test.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void who_one_is_already_needs_no_change(void **state)
{
    const struct passwd *me = getpwuid(geteuid());
    const char *reason = "";
    struct privileges p;

    (void)state;
    if (me == NULL || me->pw_gid != getegid())
        skip();
    assert_int_equal(privileges_find(view_of(me->pw_name), &p, &reason), SP_OK);
    assert_false(p.change);
}

static void an_unknown_user_is_refused_with_a_reason(void **state)
{
    const char *reason = "";
    struct privileges p;

    (void)state;
    assert_int_equal(privileges_find(VIEW("no-such-user-here"), &p, &reason), SP_INVALID);
    assert_string_equal(reason, "no such user");
}

static void a_name_too_long_is_refused(void **state)
{
    char name[200];
    const char *reason = "";
    struct privileges p;

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_int_equal(privileges_find((struct view){name, sizeof(name)}, &p, &reason), SP_INVALID);
}

/* In a child: exit status 0 when the rights are gone for good. */
static int become_nobody(void)
{
    const char *reason = "";
    struct privileges p;

    if (privileges_find(VIEW("nobody"), &p, &reason) != SP_OK || !p.change)
        return 1;
    if (privileges_drop(&p, &reason) != SP_OK)
        return 2;
    return geteuid() == p.uid && getegid() == p.gid && setuid(0) != 0 && setgid(0) != 0 ? 0 : 3;
}

static void root_becomes_nobody_and_cannot_come_back(void **state)
{
    int status = -1;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0)
        _exit(become_nobody());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_one_is_already_needs_no_change),
        cmocka_unit_test(an_unknown_user_is_refused_with_a_reason),
        cmocka_unit_test(a_name_too_long_is_refused),
        cmocka_unit_test(root_becomes_nobody_and_cannot_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
