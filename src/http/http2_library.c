/* nghttp2 as this program wants it: options, memory, errors. */
#include "http2_library.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

/* In front of each piece, so that the count can go down again. */
struct piece {
    alignas(max_align_t) size_t size;
};

/* What is left when there is nothing left: used from the front, and empty again with the last of
 * its pieces, which is when the connection ends that had to take them. */
#define RESERVE_BYTES ((size_t)32768)
static _Thread_local struct {
    alignas(max_align_t) char bytes[RESERVE_BYTES];
    size_t used;
    unsigned n_pieces;
} reserve;

static bool is_reserved(const struct piece *piece)
{
    uintptr_t at = (uintptr_t)piece, begin = (uintptr_t)reserve.bytes;

    return at >= begin && at < begin + RESERVE_BYTES;
}

static struct piece *reserve_take(size_t size)
{
    const size_t align = alignof(max_align_t);
    struct piece *piece;

    if (size > RESERVE_BYTES - reserve.used)
        return NULL;
    piece = (void *)(reserve.bytes + reserve.used);
    reserve.used += (size + align - 1) / align * align;
    reserve.n_pieces++;
    return piece;
}

/* ---- Pieces that come again ---- */

/* For each request nghttp2 asks for the same few sizes and lets go of them: they are kept by the
 * thread, so that in the steady state nothing is allocated. Sizes are rounded up to classes. Not
 * with sanitizers, which shall see each piece come and go. */
enum { CLASS_BYTES = 64, N_CLASSES = 33 };
#ifdef SALLYPORT_SANITIZED
#define KEPT_MAX_BYTES ((size_t)0)
#else
#define KEPT_MAX_BYTES ((size_t)262144)
#endif

/* What a kept piece holds. */
struct kept_link {
    struct piece *next;
};

static _Thread_local struct kept {
    struct piece *first[N_CLASSES];
    size_t bytes;
    bool registered; /* for the thread's end */
} kept;

static pthread_key_t kept_key;
static bool kept_key_made;

static size_t class_of(size_t size)
{
    return size == 0 ? 1 : (size + CLASS_BYTES - 1) / CLASS_BYTES;
}

static struct kept_link *link_of(struct piece *piece)
{
    return (void *)(piece + 1);
}

/* The thread ends. */
static void kept_free(void *arg)
{
    struct kept *k = arg;

    for (size_t c = 0; c < N_CLASSES; c++) {
        while (k->first[c] != NULL) {
            struct piece *piece = k->first[c];

            k->first[c] = link_of(piece)->next;
            free(piece);
        }
    }
    k->bytes = 0;
}

void http2_memory_trim(void)
{
    kept_free(&kept);
}

static void make_key(void)
{
    kept_key_made = pthread_key_create(&kept_key, kept_free) == 0;
}

/* Will somebody free what this thread keeps? */
static bool kept_is_registered(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (!kept.registered) {
        (void)pthread_once(&once, make_key);
        kept.registered = kept_key_made && pthread_setspecific(kept_key, &kept) == 0;
    }
    return kept.registered;
}

/* False: it is not kept. */
static bool keep(struct piece *piece)
{
    size_t c = class_of(piece->size), bytes = c * CLASS_BYTES;

    if (c >= N_CLASSES || kept.bytes + bytes > KEPT_MAX_BYTES || !kept_is_registered())
        return false;
    link_of(piece)->next = kept.first[c];
    kept.first[c] = piece;
    kept.bytes += bytes;
    return true;
}

static struct piece *piece_new(size_t size)
{
    size_t c = class_of(size);
    struct piece *piece = c < N_CLASSES ? kept.first[c] : NULL;

    if (piece == NULL)
        return malloc(sizeof(*piece) + (c < N_CLASSES ? c * CLASS_BYTES : size));
    kept.first[c] = link_of(piece)->next;
    kept.bytes -= c * CLASS_BYTES;
    return piece;
}

static void piece_free(struct piece *piece)
{
    if (!is_reserved(piece)) {
        if (!keep(piece))
            free(piece);
        return;
    }
    if (--reserve.n_pieces == 0)
        reserve.used = 0;
}

static void *memory_malloc(size_t size, void *user)
{
    struct http2_memory *m = user;
    struct piece *piece = NULL;

    if (size > SIZE_MAX / 2)
        return NULL;
    piece = piece_new(size);
    m->failed = m->failed || piece == NULL || m->used_bytes + size > m->max_bytes;
    if (piece == NULL)
        piece = reserve_take(sizeof(*piece) + size);
    if (piece == NULL)
        return NULL;
    piece->size = size;
    m->used_bytes += size;
    return piece + 1;
}

static void memory_free(void *p, void *user)
{
    struct http2_memory *m = user;
    struct piece *piece = p;

    if (p == NULL)
        return;
    piece--;
    m->used_bytes -= piece->size;
    piece_free(piece);
}

static void *memory_calloc(size_t n, size_t size, void *user)
{
    void *p = size != 0 && n > SIZE_MAX / size ? NULL : memory_malloc(n * size, user);

    if (p != NULL)
        memset(p, 0, n * size);
    return p;
}

/* nghttp2 grows things rarely: in place or not is not worth a second way. */
static void *memory_realloc(void *p, size_t size, void *user)
{
    const struct piece *before = p;
    void *larger = memory_malloc(size, user);

    if (larger == NULL || p == NULL)
        return larger;
    before--;
    memcpy(larger, p, before->size < size ? before->size : size);
    memory_free(p, user);
    return larger;
}

void http2_memory_init(struct http2_memory *m, size_t max_bytes)
{
    m->mem = (nghttp2_mem){
        .mem_user_data = m,
        .malloc = memory_malloc,
        .free = memory_free,
        .calloc = memory_calloc,
        .realloc = memory_realloc,
    };
    m->used_bytes = 0;
    m->max_bytes = max_bytes;
    m->failed = false;
}

/* ---- Sessions ---- */

/* What nghttp2 would refuse by itself is ours to refuse, with a name and a reason: its limits lie
 * far above those of http2_budgets.h. */
enum {
    LIBRARY_RESETS = 1 << 30,
    LIBRARY_CONTINUATIONS = 1 << 20,
    LIBRARY_ACKS = 10000,
    LIBRARY_HEAD_BYTES = 16 * 1024 * 1024, /* of a head that we send */
};

static void set_options(nghttp2_option *o)
{
    nghttp2_option_set_no_auto_window_update(o, 1); /* http2_stream.c: when the bytes are taken */
    nghttp2_option_set_no_http_messaging(o, 1);     /* http2_fields.c */
    nghttp2_option_set_no_closed_streams(o, 1);
    /* Towards a server: how many streams to open before it has said how many it takes. */
    nghttp2_option_set_peer_max_concurrent_streams(o, 1);
    nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE); /* RFC 9218 */
    nghttp2_option_set_stream_reset_rate_limit(o, LIBRARY_RESETS, LIBRARY_RESETS);
    nghttp2_option_set_max_continuations(o, LIBRARY_CONTINUATIONS);
    nghttp2_option_set_max_outbound_ack(o, LIBRARY_ACKS);
    nghttp2_option_set_max_send_header_block_length(o, LIBRARY_HEAD_BYTES);
}

enum sp_err http2_library_session(nghttp2_session **out, bool is_server,
                                  void (*callbacks)(nghttp2_session_callbacks *),
                                  struct http2_memory *m, void *user)
{
    nghttp2_session_callbacks *table = NULL;
    nghttp2_option *options = NULL;
    int err = nghttp2_session_callbacks_new(&table);

    if (err == 0)
        err = nghttp2_option_new(&options);
    if (err == 0) {
        callbacks(table);
        set_options(options);
        err = is_server ? nghttp2_session_server_new3(out, table, user, options, &m->mem)
                        : nghttp2_session_client_new3(out, table, user, options, &m->mem);
    }
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(table);
    if (err == 0 && !m->failed)
        return SP_OK;
    if (err == 0)
        nghttp2_session_del(*out);
    return SP_NOMEM;
}

/* ---- Errors ---- */

enum sp_err http2_library_err(int nghttp2_error)
{
    if (nghttp2_error >= 0)
        return SP_OK;
    return nghttp2_error == NGHTTP2_ERR_NOMEM ? SP_NOMEM : SP_INVALID;
}

static bool is_of_client(enum http_error why)
{
    return http_error_status(why) / 100 == 4 || why == HTTP_ERROR_CLIENT_CLOSED ||
           why == HTTP_ERROR_CLIENT_SEND_TIMEOUT || why == HTTP_ERROR_TUNNEL_IDLE;
}

uint32_t http2_error_code(enum http_error why)
{
    if (why == HTTP_ERROR_NONE)
        return NGHTTP2_NO_ERROR;
    if (why == HTTP_ERROR_DRAINING)
        return NGHTTP2_REFUSED_STREAM;
    if (is_of_client(why) || why == HTTP_ERROR_UPSTREAM_TIMEOUT)
        return NGHTTP2_CANCEL;
    return NGHTTP2_INTERNAL_ERROR;
}
