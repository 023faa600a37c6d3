/* Telling the service manager. */
#include "notify.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A manager's socket in the abstract namespace; its name goes into NOTIFY_SOCKET. */
static int manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char name[64];

    assert_true(fd >= 0);
    int len = snprintf(name, sizeof(name), "@sallyport-test-notify-%ld", (long)getpid());
    memcpy(address.sun_path, name, (size_t)len);
    address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void the_state_arrives_as_it_was_sent(void **state)
{
    int fd = manager();
    char text[64] = "";

    (void)state;
    notify_send("READY=1");
    assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    (void)close(fd);
}

static void nobody_to_tell_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    notify_send("READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1), 0);
    notify_send("READY=1");
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    notify_send("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_arrives_as_it_was_sent),
        cmocka_unit_test(nobody_to_tell_is_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
