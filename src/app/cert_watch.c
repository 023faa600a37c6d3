#include "cert_watch.h"

#include "cert_reload.h"
#include "server_apply.h"
#include "server_internal.h"
#include "watch_pace.h"
#include "watch_places.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/config/bundle.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

/* A name comes, goes, or means something else. */
#define NAME_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF)
#define FILE_EVENTS (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

#define BUSY_MS        1000 /* until it is tried again when somebody else's canary is under way */
#define REST_MS        20 /* after a batch: a folder in which much happens does not keep us busy */
#define BATCH_BYTES    16384
#define BATCHES_A_TIME 64

struct cert_watch {
    struct server *server;
    struct continuation cont;
    struct ethread *thread;
    atomic_bool look_again;
    int fd;                /* of inotify; -1: there is none */
    struct config *config; /* owned reference; what `places` and `dirty` are about; NULL: nothing */
    struct watch_places places;
    bool stale; /* the places lead elsewhere by now */
    int error;  /* errno: why not all of it can be watched; 0: it can */
    struct watch_pace pace;
    int64_t poll_ms; /* when everything is looked at next; with `error` */
    bool all_dirty;
    uint32_t n_dirty;
    bool *dirty; /* owned; of each bundle: its files are to be looked at */
};

/* ---- What is to be looked at ---- */

static void mark(struct cert_watch *w, uint32_t bundle)
{
    if (bundle == WATCH_ALL || w->dirty == NULL) {
        w->all_dirty = true;
    } else if (!w->dirty[bundle]) {
        w->dirty[bundle] = true;
        w->n_dirty++;
    }
}

static void forget_marks(struct cert_watch *w)
{
    w->all_dirty = false;
    for (uint32_t i = 0; w->n_dirty > 0 && i < w->config->n_bundles; i++)
        w->dirty[i] = false;
    w->n_dirty = 0;
}

/* Another configuration has other bundles. Without memory for marks all of them are meant. */
static void take_config(struct cert_watch *w, struct config *config)
{
    bool any = w->all_dirty || w->n_dirty > 0;

    config_unref(w->config);
    free(w->dirty);
    w->config = config;
    w->dirty = calloc((size_t)config->n_bundles + 1, sizeof(*w->dirty));
    w->n_dirty = 0;
    w->all_dirty = any;
}

/* ---- Which places matter ---- */

struct mapping {
    struct cert_watch *watch;
    struct watch_places *next;
    uint32_t bundle;
    uint32_t n_new;
};

static void note_error(struct cert_watch *w, int error)
{
    if (w->error == 0)
        w->error = error;
}

static struct watch_folder *folder_at(struct mapping *m, const char *path)
{
    struct watch_folder *folder = watch_places_folder(m->next, path);
    int wd;

    if (folder != NULL)
        return folder;
    wd = inotify_add_watch(m->watch->fd, path, NAME_EVENTS | SELF_EVENTS | IN_ONLYDIR);
    int error = wd < 0 ? errno : 0;
    folder = watch_places_add_folder(m->next, path, wd);
    if (folder != NULL)
        folder->error = error;
    return folder;
}

/* A path_walker's. What is new may have changed before it was watched: it is looked at once. */
static bool enter(void *arg, const char *path, const char *name)
{
    struct mapping *m = arg;
    struct watch_folder *folder = folder_at(m, path);
    struct watch_place *place = folder == NULL || folder->wd < 0
                                    ? NULL
                                    : watch_places_add(m->next, folder->wd, name, m->bundle);

    if (place == NULL) {
        if (folder == NULL || folder->wd >= 0)
            note_error(m->watch, ENOMEM);
        return false;
    }
    if (place->kind == PATH_FOLDER)
        return true;
    if (watch_places_find(&m->watch->places, folder->wd, name) == NULL) {
        mark(m->watch, m->bundle);
        m->n_new++;
    }
    return false;
}

/* A folder on the way that cannot be watched is one that hardly changes; where the path goes
 * another way, or ends, it has to be. */
static void found(void *arg, const char *path, const char *name, enum path_kind kind)
{
    struct mapping *m = arg;
    struct watch_folder *folder = watch_places_folder(m->next, path);
    struct watch_place *place;

    if (folder == NULL)
        return;
    if (folder->wd < 0) {
        if (kind != PATH_FOLDER && folder->error != ENOENT)
            note_error(m->watch, folder->error);
        return;
    }
    place = watch_places_find(m->next, folder->wd, name);
    if (place != NULL)
        place->kind = kind;
    if (kind == PATH_FILE && !folder->files) {
        folder->files = true;
        if (inotify_add_watch(m->watch->fd, path,
                              NAME_EVENTS | SELF_EVENTS | FILE_EVENTS | IN_ONLYDIR) < 0)
            note_error(m->watch, errno);
    }
}

static void map_file(void *arg, struct view path)
{
    const struct path_walker walker = {.enter = enter, .found = found, .arg = arg};

    if (path.len > 0 && path_walk(path, &walker) != PATH_ENDS)
        LOG_LIMITED(TLS, WARN, "watch: " VIEW_FMT ": a loop of links, or too long a path",
                    VIEW_ARG(path));
}

static void map_all(struct mapping *m, const struct config *config)
{
    for (uint32_t i = 0; i < config->n_bundles; i++) {
        m->bundle = i;
        config_bundle_files(&config->bundles[i], map_file, m);
    }
    m->bundle = WATCH_ALL;
    for (uint32_t i = 0; i < config->n_ports; i++)
        config_port_files(&config->ports[i], map_file, m);
}

static void unwatch(void *arg, int wd)
{
    const struct cert_watch *w = arg;

    (void)inotify_rm_watch(w->fd, wd);
}

static void tell_error(struct cert_watch *w, int before)
{
    char text[128];

    if (w->error == 0 || w->error == before)
        return;
    LOG_WARN(TLS,
             "watch: not all files of certificates can be watched (%s%s); they are looked at every "
             "%d s",
             strerror_r(w->error, text, sizeof(text)),
             w->error == ENOSPC ? ": fs.inotify.max_user_watches" : "", WATCH_POLL_MS / 1000);
}

static bool is_wanted(const struct cert_watch *w)
{
    return w->config->certificates.watch;
}

/* Watches before it looks, so that nothing falls in between. */
static void map(struct cert_watch *w)
{
    struct watch_places next;
    struct mapping m = {.watch = w, .next = &next};
    int before = w->error;

    watch_places_init(&next);
    w->stale = false;
    w->error = 0;
    if (is_wanted(w) && w->fd < 0)
        note_error(w, EMFILE);
    if (is_wanted(w) && w->fd >= 0)
        map_all(&m, w->config);
    watch_places_left(&w->places, &next, unwatch, w);
    watch_places_fini(&w->places);
    w->places = next;
    tell_error(w, before);
    LOG_DEBUG(TLS, "watch: folders=%u places=%u new=%u", next.n_folders, next.n_places, m.n_new);
}

/* ---- Events ---- */

static void overflow(struct cert_watch *w)
{
    METRIC_INC(cert_watch_overflows);
    LOG_LIMITED(TLS, WARN, "watch: more happens than can be told; every file is looked at");
    w->stale = true;
    mark(w, WATCH_ALL);
}

/* False: it is about nothing that matters. */
static bool take_event(struct cert_watch *w, const struct inotify_event *e)
{
    const struct watch_place *place;

    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        overflow(w);
        return true;
    }
    if ((e->mask & (SELF_EVENTS | IN_UNMOUNT)) != 0) {
        w->stale = true;
        mark(w, WATCH_ALL);
        return true;
    }
    place = e->len == 0 ? NULL : watch_places_find(&w->places, e->wd, e->name);
    if (place == NULL)
        return false;
    w->stale = w->stale || (e->mask & NAME_EVENTS) != 0;
    mark(w, place->bundle);
    return true;
}

/* False: there is nothing more to read. */
static bool take_batch(struct cert_watch *w, bool *any)
{
    _Alignas(struct inotify_event) char buf[BATCH_BYTES];
    ssize_t n = read(w->fd, buf, sizeof(buf));

    for (ssize_t at = 0; at < n;) {
        struct inotify_event head;

        memcpy(&head, buf + at, sizeof(head));
        *any = take_event(w, (const struct inotify_event *)(const void *)(buf + at)) || *any;
        at += (ssize_t)(sizeof(head) + head.len);
    }
    return n > 0;
}

static void take_events(struct cert_watch *w)
{
    bool any = false;

    for (int i = 0; i < BATCHES_A_TIME && take_batch(w, &any); i++)
        ;
    if (any)
        watch_pace_changed(&w->pace, clock_mono_ms());
}

/* ---- Reloading ---- */

static void log_problem(const struct cert_problem *p, bool last)
{
    const char *colon = p->file.len > 0 ? ": " : "";
    const char *kind = p->port.len > 0 ? "port" : "bundle";
    struct view name = p->port.len > 0 ? p->port : p->bundle;

    if (p->warning) {
        LOG_WARN(TLS, "watch: %s=" VIEW_FMT " " VIEW_FMT "%s" VIEW_FMT, kind, VIEW_ARG(name),
                 VIEW_ARG(p->file), colon, VIEW_ARG(p->text));
    } else if (last) {
        LOG_ERROR(TLS,
                  "watch: %s=" VIEW_FMT " is not changed, the old one goes on: " VIEW_FMT
                  "%s" VIEW_FMT,
                  kind, VIEW_ARG(name), VIEW_ARG(p->file), colon, VIEW_ARG(p->text));
    }
}

static bool has_changed(const struct cert_reload_outcome *o, struct view bundle)
{
    for (uint32_t i = 0; o->after != NULL && i < cert_set_n(o->after); i++) {
        if (view_eq(cert_bundle_name(cert_set_at(o->after, i)), bundle))
            return cert_set_outcome(o->after, i) == CERT_CHANGED ||
                   cert_set_outcome(o->after, i) == CERT_ADDED;
    }
    return false;
}

/* Of a bundle that failed everything is told at the end, once; of others what is worth a word. */
static void tell_problems(const struct cert_reload_outcome *o, bool last)
{
    for (uint32_t i = 0; i < o->problems.n; i++)
        if (last || (o->problems.v[i].warning && has_changed(o, o->problems.v[i].bundle)))
            log_problem(&o->problems.v[i], last);
    if (last && o->status == CERT_RELOAD_FAILED)
        LOG_ERROR(TLS, "watch: certificates are not changed: %s", sp_err_text(o->err));
}

/* What failed is looked at again, the rest is done with. */
static void mark_failed(struct cert_watch *w, const struct cert_reload_outcome *o)
{
    forget_marks(w);
    for (uint32_t i = 0; i < w->config->n_bundles; i++) {
        struct view name = w->config->bundles[i].name;

        if (i < cert_set_n(o->after) && cert_set_outcome(o->after, i) == CERT_FAILED &&
            view_eq(cert_bundle_name(cert_set_at(o->after, i)), name))
            mark(w, i);
    }
    w->all_dirty = w->all_dirty || o->keys_refused; /* those come with all bundles */
}

/* Only what came to something: a pair that becomes whole with the next try is one change. */
static void count(const struct cert_watch *w, const struct cert_reload_outcome *o, bool last)
{
    bool changed = o->after != NULL && cert_set_differs(o->after, o->before);

    if (changed && o->status == CERT_RELOAD_DONE)
        cert_results_add(w->server, CERT_TRIGGER_WATCH, CERT_RESULT_OK);
    else if (changed)
        cert_results_add(w->server, CERT_TRIGGER_WATCH, CERT_RESULT_PARTLY);
    else if (last)
        cert_results_add(w->server, CERT_TRIGGER_WATCH, CERT_RESULT_REFUSED);
}

static void settle(struct cert_watch *w, const struct cert_reload_outcome *o)
{
    bool last;

    if (o->status == CERT_RELOAD_BUSY) {
        watch_pace_postpone(&w->pace, clock_mono_ms() + BUSY_MS);
        return;
    }
    if (o->status == CERT_RELOAD_PARTLY)
        mark_failed(w, o);
    last = watch_pace_looked(&w->pace, clock_mono_ms(), o->status == CERT_RELOAD_DONE);
    tell_problems(o, last);
    count(w, o, last);
    if (last || o->status == CERT_RELOAD_DONE)
        forget_marks(w);
}

/* The names of those that are marked; 0: all are meant. */
static uint32_t marked(const struct cert_watch *w, struct view *names)
{
    uint32_t n = 0;

    for (uint32_t i = 0; names != NULL && !w->all_dirty && i < w->config->n_bundles; i++)
        if (w->dirty[i])
            names[n++] = w->config->bundles[i].name;
    return n;
}

static void reload(struct cert_watch *w)
{
    struct view *names = calloc((size_t)w->n_dirty + 1, sizeof(*names));
    struct cert_reload_outcome o;
    struct cert_reload_options options = {
        .bundles = names, .n_bundles = marked(w, names), .partial = true, .by_watch = true};

    cert_reload_outcome_init(&o);
    cert_reload(w->server, &options, &o);
    settle(w, &o);
    cert_reload_outcome_fini(&o);
    free(names);
}

static void look(struct cert_watch *w)
{
    if (w->stale)
        map(w);
    if (!is_wanted(w))
        forget_marks(w);
    if (w->all_dirty || w->n_dirty > 0)
        reload(w);
    else
        (void)watch_pace_looked(&w->pace, clock_mono_ms(), true);
}

/* ---- The thread ---- */

static void follow_config(struct cert_watch *w)
{
    struct config *config;

    if (!atomic_exchange(&w->look_again, false))
        return;
    config = server_config(w->server);
    if (config == w->config) {
        config_unref(config);
        return;
    }
    take_config(w, config);
    map(w);
    w->poll_ms = clock_mono_ms() + WATCH_POLL_MS;
    if (w->all_dirty || w->n_dirty > 0)
        watch_pace_changed(&w->pace, clock_mono_ms());
}

/* Where not everything can be watched. */
static void poll_files(struct cert_watch *w, int64_t now_ms)
{
    if (w->error == 0 || now_ms < w->poll_ms)
        return;
    w->poll_ms = now_ms + WATCH_POLL_MS;
    w->stale = true;
    mark(w, WATCH_ALL);
    watch_pace_changed(&w->pace, now_ms);
}

static int wait_ms(const struct cert_watch *w, int64_t now_ms)
{
    int64_t until_ms = watch_pace_due_ms(&w->pace);

    if (w->error != 0 && w->poll_ms < until_ms)
        until_ms = w->poll_ms;
    if (until_ms == WATCH_NEVER)
        return -1;
    return until_ms <= now_ms ? 0 : until_ms - now_ms > 60000 ? 60000 : (int)(until_ms - now_ms);
}

/* Sleeps; true: there are events. */
static bool wait(const struct cert_watch *w, const struct ethread *t, int ms, bool files)
{
    struct pollfd fds[2] = {{.fd = t->event_fd, .events = POLLIN},
                            {.fd = files ? w->fd : -1, .events = POLLIN}};
    uint64_t count;

    if (poll(fds, 2, ms) <= 0)
        return false;
    if (fds[0].revents != 0 && read(t->event_fd, &count, sizeof(count)) < 0)
        return false; /* nothing was written */
    return fds[1].revents != 0;
}

static void turn(struct cert_watch *w, const struct ethread *t)
{
    int64_t now_ms;

    follow_config(w);
    if (wait(w, t, wait_ms(w, clock_mono_ms()), true)) {
        take_events(w);
        (void)wait(w, t, REST_MS, false);
    }
    now_ms = clock_mono_ms();
    poll_files(w, now_ms);
    if (now_ms >= watch_pace_due_ms(&w->pace))
        look(w);
}

static int run(struct continuation *c, int event, void *data)
{
    struct cert_watch *w = container_of(c, struct cert_watch, cont);
    struct ethread *t = data;

    (void)event;
    while (!atomic_load_explicit(&t->stopping, memory_order_acquire))
        turn(w, t);
    return EVENT_DONE;
}

struct cert_watch *cert_watch_start(struct server *s)
{
    struct cert_watch *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->server = s;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch_places_init(&w->places);
    atomic_init(&w->look_again, true);
    continuation_init(&w->cont, "cert_watch", run);
    if (event_processor_spawn_dedicated(s->ep, &w->cont, "[WATCH]", &w->thread) == SP_OK)
        return w;
    cert_watch_free(w);
    return NULL;
}

void cert_watch_look_again(struct cert_watch *w)
{
    if (w == NULL)
        return;
    atomic_store(&w->look_again, true);
    ethread_wake(w->thread);
}

void cert_watch_free(struct cert_watch *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        (void)close(w->fd);
    watch_places_fini(&w->places);
    config_unref(w->config);
    free(w->dirty);
    free(w);
}
