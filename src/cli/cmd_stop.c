/* sallyport stop: ends a running program, and waits until it has gone. */
#include "admin_client.h"

#include <jansson.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 10000
#define LOOK_MS    50
/* What an end takes besides the drain: threads, logs, memory. */
#define GRACE_MS   30000

enum { OPTION_NOW = 256, OPTION_NO_WAIT };

struct stop {
    struct admin_options options;
    bool now, wait;
};

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* A descriptor of the process becomes readable with its end (pidfd_open(2)); where there is none
 * to be had, looking again has to do. False: it is still there after that long. */
static bool wait_for_end(pid_t pid, int64_t timeout_ms)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool gone;

    if (fd >= 0) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};

        gone = poll(&pfd, 1, (int)timeout_ms) > 0;
        (void)close(fd);
        return gone;
    }
    for (int64_t waited_ms = 0; !is_gone(pid); waited_ms += LOOK_MS) {
        const struct timespec moment = {.tv_nsec = LOOK_MS * 1000000L};

        if (waited_ms >= timeout_ms)
            return false;
        (void)nanosleep(&moment, NULL);
    }
    return true;
}

static int see_it_off(const struct stop *st, const struct admin_reply *reply)
{
    json_t *answer = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
    int64_t drain_ms = json_integer_value(json_object_get(answer, "drain_timeout_ms"));

    json_decref(answer);
    if (st->options.json)
        (void)fwrite(reply->body.p, 1, reply->body.len, stdout);
    if (!st->wait || pid <= 0)
        return EXIT_DONE;
    if (!wait_for_end(pid, drain_ms + GRACE_MS)) {
        (void)fprintf(stderr, "sallyport stop: process %ld is still there\n", (long)pid);
        return EXIT_REFUSED;
    }
    if (!st->options.json)
        (void)printf("process %ld has ended\n", (long)pid);
    return EXIT_DONE;
}

static int ask(const struct stop *st)
{
    const struct admin_call call = {.command = &command_stop,
                                    .options = &st->options,
                                    .method = "POST",
                                    .path = st->now ? "/stop?now" : "/stop",
                                    .timeout_ms = TIMEOUT_MS};
    struct admin_reply reply;
    int status = EXIT_REFUSED;

    if (admin_client_ask_ok(&call, &reply))
        status = see_it_off(st, &reply);
    admin_reply_fini(&reply);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_OPTION_ROWS,
                                          {"now", no_argument, NULL, OPTION_NOW},
                                          {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
                                          OPTION_ROW_HELP,
                                          {0}};
    struct stop st = {.wait = true};
    int letter;

    while ((letter = option_next(&command_stop, argc, argv, ADMIN_OPTION_LETTERS, longs)) !=
           OPTION_END) {
        if (admin_option(&st.options, letter))
            continue;
        if (letter == OPTION_NOW)
            st.now = true;
        else if (letter == OPTION_NO_WAIT)
            st.wait = false;
        else
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
    }
    if (optind < argc)
        return command_misused(&command_stop, "\"%s\" is one argument too many", argv[optind]);
    return ask(&st);
}

const struct command command_stop = {
    .name = "stop",
    .summary = "End a running program: drain, then go. Waits until it has gone.",
    .usage = "stop [--now] [--no-wait] [--socket PATH | -c FILE] [--json]",
    .options = "      --now           cut what is open instead of waiting for it\n"
               "      --no-wait       return when it has begun\n" ADMIN_OPTION_HELP,
    .run = run,
};
