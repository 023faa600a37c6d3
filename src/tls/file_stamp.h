/* Is a file what it was? By what stat(2) says of it, without reading it. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct file_stamp {
    uint64_t device, inode; /* of where links lead to; 0: there is no such file */
    int64_t size_bytes;
    int64_t modified_ns, changed_ns; /* contents; contents or inode (links, owner, mode) */
};

struct stat;
struct file_stamp file_stamp_of(const struct stat *st);
/* All zeroes where the file cannot be looked at. Blocks. */
void file_stamp_take(struct view path, struct file_stamp *out);

static inline bool file_stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}
