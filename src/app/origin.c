/* The origin as a program: a net core of its own, one plain listener, and the main thread that
 * waits for a signal. The connections are in origin_conn.c. */
#include "fd_limit.h"
#include "origin_internal.h"
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static bool say(const char *what, const char *why)
{
    (void)fprintf(stderr, "sallyport origin: %s: %s\n", what, why);
    return false;
}

static bool open_core(struct origin *o)
{
    const struct net_core_options options = {
        .n_net_threads = (int)o->options->threads,
        .default_inactivity_ms = o->options->idle_ms,
        .handshake_budget_ns = INT64_MAX,
    };

    o->ep = event_processor_new();
    if (o->ep != NULL)
        o->core = net_core_new(o->ep, &options);
    if (o->core == NULL)
        return say("threads", sp_err_text(errno == EMFILE ? SP_NOFILE : SP_NOMEM));
    net_processor_init(&o->tcp, &tcp_net_processor_ops, o->core);
    return true;
}

static bool open_listener(struct origin *o)
{
    const struct net_accept_options options = {
        .accept = {.accepts_per_turn = 64,
                   .backlog = 4096,
                   .fd = -1,
                   .tcp_nodelay = true,
                   .linger_s = -1},
        .endpoint = o->options->listen,
        .cont = &o->accept_cont,
        .label = VIEW("origin"),
    };
    char text[ENDPOINT_TEXT_MAX];
    const char *why = "";

    continuation_init(&o->accept_cont, "origin_accept", origin_accept);
    o->listener = net_processor_main_accept(&o->tcp, &options, &why);
    if (o->listener == NULL)
        return say(endpoint_format(&o->options->listen, text, sizeof(text)), why);
    return true;
}

static bool start(struct origin *o)
{
    if (!open_core(o) || !open_listener(o))
        return false;
    if (event_processor_start(o->ep) != SP_OK)
        return say("threads", "they cannot be started");
    return true;
}

static void announce(const struct origin *o)
{
    char text[ENDPOINT_TEXT_MAX];

    (void)printf("origin listening on http://%s\n",
                 endpoint_format(&o->listener->bound, text, sizeof(text)));
    (void)fflush(stdout);
}

static void wait_for_end(void)
{
    for (;;) {
        int signal_number = signals_wait(-1);

        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
    }
}

/* The mirror of start(), from wherever it got to. */
static void end(struct origin *o)
{
    if (o->listener != NULL)
        net_accept_stop(o->listener);
    if (o->ep != NULL)
        event_processor_stop(o->ep);
    if (o->listener != NULL)
        net_accept_unref(o->listener);
    net_core_free(o->core);
    event_processor_free(o->ep);
}

int origin_run(const struct origin_options *options)
{
    struct origin o = {.options = options};

    atomic_init(&o.n_connections, 0);
    signals_block();
    (void)fd_limit_raise();
    origin_pattern_init();
    bool started = start(&o);
    if (started) {
        announce(&o);
        wait_for_end();
    }
    end(&o);
    return started ? 0 : 1;
}
