/* Signals, taken one at a time on the main thread. */
#include "signals.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/compiler.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

static void fill(sigset_t *set)
{
    (void)sigemptyset(set);
    for (size_t i = 0; i < SP_COUNT_OF(taken); i++)
        (void)sigaddset(set, taken[i]);
}

void signals_block(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    fill(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

/* One sigtimedwait(2); 0 after a timeout, -1 when it has to be called again (a debugger, SIGCONT:
 * man 2 sigtimedwait, EINTR). */
static int wait_once(const sigset_t *set, int64_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000L};
    int signal_number = timeout_ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &timeout);

    if (signal_number > 0)
        return signal_number;
    return errno == EAGAIN ? 0 : -1;
}

int signals_wait(int64_t timeout_ms)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    sigset_t set;
    int signal_number;

    fill(&set);
    while ((signal_number = wait_once(&set, timeout_ms)) < 0) {
        int64_t left_ms = deadline_ms - clock_mono_ms();

        if (timeout_ms >= 0)
            timeout_ms = left_ms > 0 ? left_ms : 0;
    }
    return signal_number;
}
