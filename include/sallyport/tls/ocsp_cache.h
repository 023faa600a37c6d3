/* OCSP responses on disk, so that a restart has its staples although the responders are down: a
 * folder with one file for each certificate, named by its fingerprint. What is read is verified
 * again, so a file that is torn, old or somebody else's is merely not used. Files are replaced by
 * rename(2), never written in place. Reads and writes files. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/tls/ocsp.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Makes the folder and what is above it; fine if it is there. SP_OK, or SP_SYSCALL with errno. */
enum sp_err ocsp_cache_make(struct view folder) SP_MUST_CHECK;
/* Gives it, and what is in it, to the user that the program becomes. */
enum sp_err ocsp_cache_give(struct view folder, uid_t uid, gid_t gid) SP_MUST_CHECK;

/* The response of a certificate, of malloc(3). SP_NOT_FOUND, SP_LIMIT (larger than max_bytes),
 * SP_NOMEM, SP_SYSCALL with errno. */
enum sp_err ocsp_cache_read(struct view folder, const uint8_t *fingerprint, size_t max_bytes,
                            struct view *out) SP_MUST_CHECK;
/* Makes the folder if need be. SP_OK, or SP_SYSCALL with errno; then the old file, if there was
 * one, is as it was. */
enum sp_err ocsp_cache_write(struct view folder, const uint8_t *fingerprint, struct view der)
    SP_MUST_CHECK;

/* Removes what nobody asked for: files of responses, and no others, that were last written before
 * `before_ms` (since the epoch) and whose certificate is none of those that `is_used` says yes to.
 * Returns how many. */
typedef bool (*ocsp_cache_used_fn)(void *arg, const uint8_t *fingerprint);
unsigned ocsp_cache_sweep(struct view folder, int64_t before_ms, ocsp_cache_used_fn is_used,
                          void *arg);

/* Any file, such as the one that a configuration names; likewise. */
enum sp_err ocsp_file_read(struct view path, size_t max_bytes, struct view *out) SP_MUST_CHECK;
