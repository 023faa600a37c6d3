#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/event/ethread.h>
#include <sallyport/net/handshake_floor.h>

#include <sys/resource.h>
#include <unistd.h>

#define WINDOW_NS     INT64_C(100000000)
/* Handshakes of a moment that long ago say nothing about now. */
#define STALE_NS      INT64_C(1000000000)
/* A turn may be longer by this; who sends requests waits for it. */
#define MAX_BUDGET_NS INT64_C(20000000)

/* Relative weight by nice value: each step is a factor of 1.25 (sched(7)). */
static const int64_t weights[HANDSHAKE_NICE_MAX + 1] = {
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15};

/* The lowest weight that is at least `wanted`. */
static int nice_of(int64_t wanted, int base_nice)
{
    int nice = base_nice;

    while (nice > 0 && weights[nice] < wanted)
        nice--;
    return nice;
}

/* With the weight w the share was s, so the others weigh w (1 - s) / s. */
int handshake_floor_nice(int nice, int base_nice, uint32_t percent, int64_t used_ns,
                         int64_t wall_ns)
{
    int64_t used = used_ns > 0 ? used_ns : 1;
    int64_t free_ns = wall_ns > used ? wall_ns - used : 0;
    double others = (double)weights[nice] * (double)free_ns / (double)used;
    double wanted = others * percent / (100.0 - percent);

    return nice_of(wanted > (double)weights[0] ? weights[0] : (int64_t)wanted, base_nice);
}

int64_t handshake_floor_budget_ns(int64_t budget_ns, int64_t base_budget_ns, uint32_t percent,
                                  int64_t used_ns, int64_t wall_ns)
{
    double share = (double)(used_ns > 0 ? used_ns : 1) / (double)wall_ns;
    double odds = share < 1.0 ? share / (1.0 - share) : 1e9;
    double wanted = (double)budget_ns * (percent / (100.0 - percent)) / odds;

    if (wanted > (double)MAX_BUDGET_NS)
        return base_budget_ns > MAX_BUDGET_NS ? base_budget_ns : MAX_BUDGET_NS;
    return wanted > (double)base_budget_ns ? (int64_t)wanted : base_budget_ns;
}

static void window_clear(struct handshake_floor *f)
{
    f->wall_ns = f->used_ns = 0;
}

void handshake_floor_init(struct handshake_floor *f, uint32_t percent, bool own_thread, int nice,
                          int64_t budget_ns)
{
    *f = (struct handshake_floor){.percent = percent,
                                  .base_budget_ns = budget_ns,
                                  .base_nice = nice,
                                  .own_thread = own_thread,
                                  .nice = nice,
                                  .budget_ns = budget_ns};
}

/* A weight that was raised once stays within what the system allows: it goes back by itself. */
void handshake_floor_set(struct handshake_floor *f, uint32_t percent, int64_t budget_ns)
{
    f->percent = percent;
    f->base_budget_ns = f->budget_ns = budget_ns;
    window_clear(f);
    f->busy = false;
}

void handshake_floor_idle(struct handshake_floor *f)
{
    f->busy = false;
}

static void *try_to_rise(void *may)
{
    id_t self = (id_t)gettid();

    *(bool *)may =
        setpriority(PRIO_PROCESS, self, 1) == 0 && setpriority(PRIO_PROCESS, self, 0) == 0;
    return NULL;
}

/* Rights, limits and security modules decide together: a thread that ends at once tries it. */
static bool may_rise(void)
{
    bool may = false;
    pthread_t tid;

    if (pthread_create(&tid, NULL, try_to_rise, &may) != 0)
        return false;
    (void)pthread_join(tid, NULL);
    return may;
}

void handshake_floor_start(struct handshake_floor *f, struct ethread *t)
{
    int64_t least = weights[0] * f->percent / (100 - f->percent);

    if (!f->own_thread)
        return;
    f->fixed = f->percent > 0 && f->base_nice > 0 && !may_rise();
    if (f->fixed && nice_of(least, f->base_nice) != f->base_nice) {
        f->nice = f->base_nice = nice_of(least, f->base_nice);
        LOG_INFO(TLS,
                 "thread=%s nice=%d for min_share_percent=%u: RLIMIT_NICE forbids to raise "
                 "the weight later",
                 t->name, f->nice, f->percent);
    }
    ethread_set_nice(t, f->nice);
}

static int64_t used_ns(const struct handshake_floor *f)
{
    return f->own_thread ? clock_thread_cpu_ns() : f->spent_ns;
}

static void set_nice(struct handshake_floor *f, struct ethread *t, int nice)
{
    if (nice == f->nice)
        return;
    if (nice < f->nice)
        METRIC_INC(tls_handshake_floor_raises);
    LOG_DEBUG(TLS, "thread=%s nice=%d was=%d", t->name, nice, f->nice);
    if (ethread_set_nice(t, nice))
        f->nice = nice;
    else
        f->fixed = true;
}

static void set_budget(struct handshake_floor *f, int64_t budget_ns)
{
    if (budget_ns > f->budget_ns)
        METRIC_INC(tls_handshake_floor_raises);
    f->budget_ns = budget_ns;
}

/* A weight or budget that was right once is not given up at once, but a step at a time: what was
 * measured with more of it says how much too much it is, and not that nobody needs it. */
static void judge(struct handshake_floor *f, struct ethread *t)
{
    if (f->own_thread) {
        int nice = handshake_floor_nice(f->nice, f->base_nice, f->percent, f->used_ns, f->wall_ns);

        set_nice(f, t, nice > f->nice ? f->nice + 1 : nice);
        return;
    }
    int64_t budget_ns = handshake_floor_budget_ns(f->budget_ns, f->base_budget_ns, f->percent,
                                                  f->used_ns, f->wall_ns);

    set_budget(f, budget_ns < f->budget_ns ? (budget_ns + f->budget_ns) / 2 : budget_ns);
}

static void back_to_base(struct handshake_floor *f, struct ethread *t)
{
    if (f->own_thread)
        set_nice(f, t, f->base_nice);
    else
        f->budget_ns = f->base_budget_ns;
}

static bool is_off(const struct handshake_floor *f)
{
    return f->percent == 0 || f->fixed;
}

void handshake_floor_before(struct handshake_floor *f)
{
    if (is_off(f) || f->busy)
        return;
    f->busy = true;
    f->began_ns = clock_mono_ns();
    f->began_used_ns = used_ns(f);
}

/* Time in which some waited is added to the window. */
static void account(struct handshake_floor *f, int64_t now_ns)
{
    int64_t used = used_ns(f);

    f->wall_ns += now_ns - f->began_ns;
    f->used_ns += used - f->began_used_ns;
    f->began_ns = now_ns;
    f->began_used_ns = used;
}

void handshake_floor_after(struct handshake_floor *f, struct ethread *t, int64_t spent_ns,
                           bool some_left)
{
    f->spent_ns += spent_ns;
    if (is_off(f) || !f->busy)
        return;
    int64_t now_ns = clock_mono_ns();

    if (some_left && f->wall_ns + now_ns - f->began_ns < WINDOW_NS)
        return;
    account(f, now_ns);
    f->busy = some_left;
    if (f->wall_ns >= WINDOW_NS) {
        judge(f, t);
        window_clear(f);
        f->looked_ns = now_ns;
    } else if (now_ns - f->looked_ns > STALE_NS) {
        back_to_base(f, t);
        window_clear(f);
        f->looked_ns = now_ns;
    }
}
