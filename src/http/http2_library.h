/* What this program wants of nghttp2, said once: its options, its memory, its errors.
 *
 * nghttp2 does frames, HPACK, stream states and the order of what is sent (RFC 9218). Messages are
 * checked by http2_fields.h, budgets by http2_budget.h, windows are opened by http2_stream.h: all
 * that nghttp2 would do about them by itself is turned off or set so loose that ours acts first.
 *
 * nghttp2 headers are included by src/http/http2* only. Thread: the connection's. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/http/http_error.h>

#include <nghttp2/nghttp2.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An allocator that counts what one session holds. Out of memory, or past the bound, it goes on for
 * a moment out of a reserve of the thread and says so: whoever called nghttp2 looks at `failed` on
 * the next line and ends the connection. nghttp2 itself hears of it only when the reserve is used
 * up too, because 1.52 frees an item twice when it cannot queue it (nghttp2_submit_data). Its place
 * in memory must not change. */
struct http2_memory {
    nghttp2_mem mem;
    size_t used_bytes;
    size_t max_bytes;
    bool failed;
};
void http2_memory_init(struct http2_memory *m, size_t max_bytes);
/* Frees what this thread keeps of pieces that come again; its end does the same. */
void http2_memory_trim(void);

/* A session of either side over `callbacks`, which are copied. `user` goes to each of them.
 * SP_NOMEM: none was made. End it with nghttp2_session_del(). */
enum sp_err http2_library_session(nghttp2_session **out, bool is_server,
                                  void (*callbacks)(nghttp2_session_callbacks *),
                                  struct http2_memory *m, void *user) SP_MUST_CHECK;

/* SP_NOMEM, or SP_INVALID for what cannot be done now. */
enum sp_err http2_library_err(int nghttp2_error);

/* The code of a RST_STREAM that ends an exchange for this reason (RFC 9113 7). */
uint32_t http2_error_code(enum http_error why);
