#include "watch_places.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64 /* a power of two, as all of them */

void watch_places_init(struct watch_places *w)
{
    *w = (struct watch_places){0};
    arena_init(&w->arena);
}

void watch_places_fini(struct watch_places *w)
{
    free(w->folders);
    free(w->places);
    arena_fini(&w->arena);
    *w = (struct watch_places){0};
}

/* FNV-1a */
static uint32_t hash_of(int wd, const char *text)
{
    uint32_t h = 2166136261U ^ (uint32_t)wd;

    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    return h ^ h >> 15;
}

/* ---- Slots: where it is, or where it would be ---- */

static struct watch_folder *folder_slot(struct watch_folder *v, uint32_t cap, const char *path)
{
    uint32_t i = hash_of(0, path) & (cap - 1);

    while (v[i].path != NULL && strcmp(v[i].path, path) != 0)
        i = (i + 1) & (cap - 1);
    return &v[i];
}

static struct watch_place *place_slot(struct watch_place *v, uint32_t cap, int wd, const char *name)
{
    uint32_t i = hash_of(wd, name) & (cap - 1);

    while (v[i].name != NULL && (v[i].wd != wd || strcmp(v[i].name, name) != 0))
        i = (i + 1) & (cap - 1);
    return &v[i];
}

struct watch_folder *watch_places_folder(const struct watch_places *w, const char *path)
{
    struct watch_folder *slot;

    if (w->n_folders == 0)
        return NULL;
    slot = folder_slot(w->folders, w->folders_cap, path);
    return slot->path == NULL ? NULL : slot;
}

struct watch_place *watch_places_find(const struct watch_places *w, int wd, const char *name)
{
    struct watch_place *slot;

    if (w->n_places == 0)
        return NULL;
    slot = place_slot(w->places, w->places_cap, wd, name);
    return slot->name == NULL ? NULL : slot;
}

/* ---- Growing: at most half full ---- */

static bool grow_folders(struct watch_places *w)
{
    uint32_t cap = w->folders_cap == 0 ? FIRST_CAP : w->folders_cap * 2;
    struct watch_folder *grown;

    if (w->n_folders < w->folders_cap / 2)
        return true;
    grown = calloc(cap, sizeof(*grown));
    if (grown == NULL)
        return false;
    for (uint32_t i = 0; i < w->folders_cap; i++)
        if (w->folders[i].path != NULL)
            *folder_slot(grown, cap, w->folders[i].path) = w->folders[i];
    free(w->folders);
    w->folders = grown;
    w->folders_cap = cap;
    return true;
}

static bool grow_places(struct watch_places *w)
{
    uint32_t cap = w->places_cap == 0 ? FIRST_CAP : w->places_cap * 2;
    struct watch_place *grown;

    if (w->n_places < w->places_cap / 2)
        return true;
    grown = calloc(cap, sizeof(*grown));
    if (grown == NULL)
        return false;
    for (uint32_t i = 0; i < w->places_cap; i++)
        if (w->places[i].name != NULL)
            *place_slot(grown, cap, w->places[i].wd, w->places[i].name) = w->places[i];
    free(w->places);
    w->places = grown;
    w->places_cap = cap;
    return true;
}

/* ---- Adding ---- */

struct watch_folder *watch_places_add_folder(struct watch_places *w, const char *path, int wd)
{
    struct view copy = arena_copy(&w->arena, view_of(path));
    struct watch_folder *slot;

    if (copy.p == NULL || !grow_folders(w))
        return NULL;
    slot = folder_slot(w->folders, w->folders_cap, copy.p);
    SP_ASSERT(slot->path == NULL);
    *slot = (struct watch_folder){.path = copy.p, .wd = wd};
    w->n_folders++;
    return slot;
}

struct watch_place *watch_places_add(struct watch_places *w, int wd, const char *name,
                                     uint32_t bundle)
{
    struct watch_place *slot = watch_places_find(w, wd, name);
    struct view copy;

    if (slot != NULL) {
        if (slot->bundle != bundle)
            slot->bundle = WATCH_ALL;
        return slot;
    }
    copy = arena_copy(&w->arena, view_of(name));
    if (copy.p == NULL || !grow_places(w))
        return NULL;
    slot = place_slot(w->places, w->places_cap, wd, name);
    *slot = (struct watch_place){wd, copy.p, bundle, PATH_MISSING};
    w->n_places++;
    return slot;
}

/* ---- What is left behind ---- */

static int compare_ints(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static uint32_t collect_wds(const struct watch_places *w, int *wds)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->folders_cap; i++)
        if (w->folders[i].path != NULL && w->folders[i].wd >= 0)
            wds[n++] = w->folders[i].wd;
    return n;
}

void watch_places_left(const struct watch_places *old, const struct watch_places *now,
                       void (*left)(void *arg, int wd), void *arg)
{
    int *kept = malloc(((size_t)now->n_folders + 1) * sizeof(*kept));
    uint32_t n;

    if (kept == NULL)
        return;
    n = collect_wds(now, kept);
    qsort(kept, n, sizeof(*kept), compare_ints);
    for (uint32_t i = 0; i < old->folders_cap; i++) {
        int wd = old->folders[i].path == NULL ? -1 : old->folders[i].wd;

        if (wd >= 0 && bsearch(&wd, kept, n, sizeof(*kept), compare_ints) == NULL)
            left(arg, wd);
    }
    free(kept);
}
