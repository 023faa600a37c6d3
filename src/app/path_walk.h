/* Everything that decides where a path leads to, place by place: whoever watches these places
 * notices whatever change makes the path lead elsewhere. "/run/tls/tls.crt" of Kubernetes is
 *
 *     run      in /                  a folder
 *     tls      in /run               a folder
 *     tls.crt  in /run/tls           a link to "..data/tls.crt"
 *     ..data   in /run/tls           a link to "..2026_11_23"
 *     ..2026_11_23  in /run/tls      a folder
 *     tls.crt  in /run/tls/..2026_11_23    a file
 *
 * The folder of a place is never behind a link itself. Blocks on the file system. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>

enum path_kind {
    PATH_FOLDER,
    PATH_LINK,
    PATH_FILE,    /* anything else, at the end of the path */
    PATH_MISSING, /* there is none of the name, or it is no folder and the path goes on */
};

enum path_end {
    PATH_ENDS,         /* at a file, a folder or what is missing */
    PATH_ENDS_IN_LOOP, /* of links */
    PATH_TOO_LONG,
};

struct path_walker {
    /* Before the place is looked at: what changes after this call returned has to be noticed by
     * somebody else. True: it is known to be a folder and is not looked at. NULL: nobody cares. */
    bool (*enter)(void *arg, const char *folder, const char *name);
    void (*found)(void *arg, const char *folder, const char *name, enum path_kind kind);
    void *arg;
};

/* A relative path is one of the working folder. */
enum path_end path_walk(struct view path, const struct path_walker *walker);
