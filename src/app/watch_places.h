/* What is watched: folders, and in them the names that matter, each with the bundle whose files it
 * leads to. One thread at a time. */
#pragma once

#include "path_walk.h"

#include <sallyport/base/arena.h>

#include <stdbool.h>
#include <stdint.h>

#define WATCH_ALL UINT32_MAX /* of several bundles, or of none in particular */

struct watch_folder {
    const char *path;
    int wd;     /* of inotify(7); -1: it cannot be watched */
    int error;  /* errno, with wd -1 */
    bool files; /* what is written into its files is asked for too */
};

struct watch_place {
    int wd;
    const char *name;
    uint32_t bundle; /* index in the configuration, or WATCH_ALL */
    enum path_kind kind;
};

struct watch_places {
    struct arena arena;
    struct watch_folder *folders; /* owned; hash table by path: path NULL is an empty slot */
    struct watch_place *places;   /* owned; hash table by wd and name: likewise */
    uint32_t n_folders, folders_cap, n_places, places_cap;
};

void watch_places_init(struct watch_places *w);
void watch_places_fini(struct watch_places *w);

/* NULL: it is not there. Pointers are good until the next one is added. */
struct watch_folder *watch_places_folder(const struct watch_places *w, const char *path);
struct watch_place *watch_places_find(const struct watch_places *w, int wd, const char *name);

/* NULL: out of memory. A folder is added once. */
struct watch_folder *watch_places_add_folder(struct watch_places *w, const char *path, int wd)
    SP_MUST_CHECK;
/* A place that is there already belongs to this bundle too. A new one is PATH_MISSING. */
struct watch_place *watch_places_add(struct watch_places *w, int wd, const char *name,
                                     uint32_t bundle) SP_MUST_CHECK;

/* Calls for each watch of `old` that `now` has not. Out of memory: for none. */
void watch_places_left(const struct watch_places *old, const struct watch_places *now,
                       void (*left)(void *arg, int wd), void *arg);
