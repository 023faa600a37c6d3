/* Who else may read a key. A group may: distributions give keys to one ("ssl-cert") so that servers
 * need not be root. */
#include "cert_checks.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A folder on the way that others may not enter protects what is in it: as those of certbot and of
 * the packages do. */
static bool is_reachable_by_others(struct view path)
{
    char text[PATH_MAX], resolved[PATH_MAX];
    struct stat st;

    if (path.len >= sizeof(text))
        return true;
    memcpy(text, path.p, path.len);
    text[path.len] = '\0';
    if (realpath(text, resolved) == NULL)
        return true;
    for (char *slash = strrchr(resolved, '/'); slash != NULL && slash != resolved;
         slash = strrchr(resolved, '/')) {
        *slash = '\0';
        if (stat(resolved, &st) == 0 && (st.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

void cert_check_permissions(const struct cert_file *file, struct cert_load *load)
{
    unsigned mode = (unsigned)file->mode & 07777U;
    bool read = (mode & S_IROTH) != 0, write = (mode & S_IWOTH) != 0;

    if ((!read && !write) || !is_reachable_by_others(file->path))
        return;
    cert_load_warn(load, file->path,
                   "can be %s by every user of this machine (mode %04o); it holds a secret: chmod "
                   "o= " VIEW_FMT,
                   read && write ? "read and written"
                   : read        ? "read"
                                 : "written",
                   mode, VIEW_ARG(file->path));
}
