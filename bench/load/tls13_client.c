#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: a quarter of what EVP costs for so few bytes */
#include "tls13_client.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <string.h>

enum { RECORD_CCS = 20, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_DATA = 23 };
enum { SERVER_HELLO = 2, FINISHED = 20 };
enum { EXT_KEY_SHARE = 51, GROUP_X25519 = 29, TAG = 16, HEADER = 5 };

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct tls13_client *)0)->transcript),
               "tls13_client.transcript holds a SHA256_CTX");

/* What is the same for every connection. */
static struct {
    uint8_t hello[512];
    size_t hello_len;
    SHA256_CTX after_hello;
    uint8_t derived[TLS13_SECRET]; /* Derive-Secret(Early Secret, "derived", "") */
    uint8_t empty_hash[TLS13_SECRET];
    EVP_PKEY *pair;
    EVP_CIPHER_CTX *seal, *open;
} common;

/* ---- The key schedule, RFC 8446 7.1 ---- */

static void hmac(const uint8_t key[TLS13_SECRET], const void *data, size_t len,
                 uint8_t out[TLS13_SECRET])
{
    uint8_t pad[SHA256_CBLOCK];
    SHA256_CTX h;

    memset(pad, 0x36, sizeof(pad));
    for (size_t i = 0; i < TLS13_SECRET; i++)
        pad[i] ^= key[i];
    SHA256_Init(&h);
    SHA256_Update(&h, pad, sizeof(pad));
    SHA256_Update(&h, data, len);
    SHA256_Final(out, &h);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&h);
    SHA256_Update(&h, pad, sizeof(pad));
    SHA256_Update(&h, out, TLS13_SECRET);
    SHA256_Final(out, &h);
}

/* HKDF-Expand-Label for at most one hash of output. */
static void expand_label(const uint8_t secret[TLS13_SECRET], const char *label,
                         const uint8_t *context, size_t context_len, uint8_t *out, size_t len)
{
    uint8_t info[128] = {0,   (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1',
                         '3', ' '};
    uint8_t block[TLS13_SECRET];
    size_t n = 9;

    while (*label != '\0')
        info[n++] = (uint8_t)*label++;
    info[n++] = (uint8_t)context_len;
    if (context_len > 0)
        memcpy(info + n, context, context_len);
    n += context_len;
    info[n++] = 1; /* RFC 5869 2.3: the block's number */
    hmac(secret, info, n, block);
    memcpy(out, block, len);
}

static void derive(const uint8_t secret[TLS13_SECRET], const char *label,
                   const uint8_t hash[TLS13_SECRET], uint8_t out[TLS13_SECRET])
{
    expand_label(secret, label, hash, TLS13_SECRET, out, TLS13_SECRET);
}

static void set_keys(struct tls13_keys *k, const uint8_t secret[TLS13_SECRET])
{
    expand_label(secret, "key", NULL, 0, k->key, sizeof(k->key));
    expand_label(secret, "iv", NULL, 0, k->iv, sizeof(k->iv));
    k->n_records = 0;
}

static SHA256_CTX *transcript(struct tls13_client *c)
{
    return (SHA256_CTX *)(void *)c->transcript;
}

static void transcript_hash(struct tls13_client *c, uint8_t out[TLS13_SECRET])
{
    SHA256_CTX copy = *transcript(c);

    SHA256_Final(out, &copy);
}

/* ---- ClientHello ---- */

static uint8_t *put16(uint8_t *p, size_t n)
{
    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
    return p + 2;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

static uint8_t *put_server_name(uint8_t *p, const char *name)
{
    size_t len = strlen(name);

    p = put16(p, 0);
    p = put16(p, len + 5);
    p = put16(p, len + 3);
    *p++ = 0;
    p = put16(p, len);
    return put_bytes(p, name, len);
}

static uint8_t *put_extensions(uint8_t *p, const char *name, const uint8_t share[32])
{
    static const uint8_t fixed[] = {
        0, 10, 0, 4,  0, 2,  0, GROUP_X25519, /* supported_groups */
        0, 13, 0, 8,  0, 6,  4, 3,
        8, 4,  4, 1,            /* signature_algorithms */
        0, 43, 0, 3,  2, 3,  4, /* supported_versions: 1.3 */
        0, 45, 0, 2,  1, 1,     /* psk_dhe_ke: tickets wanted */
        0, 51, 0, 38, 0, 36, 0, GROUP_X25519,
        0, 32, /* key_share */
    };
    uint8_t *begin = p;

    p = put_server_name(p + 2, name);
    p = put_bytes(p, fixed, sizeof(fixed));
    p = put_bytes(p, share, 32);
    (void)put16(begin, (size_t)(p - begin) - 2);
    return p;
}

static void make_hello(const char *name, const uint8_t share[32])
{
    static const uint8_t start[] = {RECORD_HANDSHAKE, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
    static const uint8_t suites[] = {0, 0, 2, 0x13, 0x01, 1, 0}; /* no session id; one suite */
    uint8_t *p = put_bytes(common.hello, start, sizeof(start));

    memset(p, 0x5a, 32); /* the random */
    p = put_bytes(p + 32, suites, sizeof(suites));
    p = put_extensions(p, name, share);
    common.hello_len = (size_t)(p - common.hello);
    (void)put16(common.hello + 3, common.hello_len - HEADER);
    (void)put16(common.hello + 7, common.hello_len - HEADER - 4);
    SHA256_Init(&common.after_hello);
    SHA256_Update(&common.after_hello, common.hello + HEADER, common.hello_len - HEADER);
}

bool tls13_client_prepare(const char *server_name)
{
    static const uint8_t zero[TLS13_SECRET];
    uint8_t share[32], early[TLS13_SECRET];
    size_t len = sizeof(share);

    common.pair = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    common.seal = EVP_CIPHER_CTX_new();
    common.open = EVP_CIPHER_CTX_new();
    if (strlen(server_name) > 255 || common.pair == NULL || common.seal == NULL ||
        common.open == NULL || EVP_PKEY_get_raw_public_key(common.pair, share, &len) != 1 ||
        EVP_EncryptInit_ex(common.seal, EVP_aes_128_gcm(), NULL, NULL, NULL) != 1 ||
        EVP_DecryptInit_ex(common.open, EVP_aes_128_gcm(), NULL, NULL, NULL) != 1)
        return false;
    make_hello(server_name, share);
    (void)SHA256(NULL, 0, common.empty_hash);
    hmac(zero, zero, sizeof(zero), early);
    derive(early, "derived", common.empty_hash, common.derived);
    return true;
}

const uint8_t *tls13_client_hello(size_t *len)
{
    *len = common.hello_len;
    return common.hello;
}

void tls13_client_init(struct tls13_client *c)
{
    memset(c, 0, sizeof(*c));
    *transcript(c) = common.after_hello;
}

/* ---- Records ---- */

static void nonce(struct tls13_keys *k, uint8_t out[12])
{
    memcpy(out, k->iv, 12);
    for (int i = 0; i < 8; i++)
        out[11 - i] ^= (uint8_t)(k->n_records >> (8 * i));
    k->n_records++;
}

/* In place, with the tag behind. The plaintext's length without padding; 0: forged. *type is the
 * inner one. */
static size_t open_record(struct tls13_keys *k, uint8_t *record, size_t len, uint8_t *type)
{
    uint8_t iv[12], *text = record + HEADER;
    size_t n = len - HEADER - TAG;
    int out = 0;

    nonce(k, iv);
    if (EVP_DecryptInit_ex(common.open, NULL, NULL, k->key, iv) != 1 ||
        EVP_DecryptUpdate(common.open, NULL, &out, record, HEADER) != 1 ||
        EVP_DecryptUpdate(common.open, text, &out, text, (int)n) != 1 ||
        EVP_CIPHER_CTX_ctrl(common.open, EVP_CTRL_AEAD_SET_TAG, TAG, text + n) != 1 ||
        EVP_DecryptFinal_ex(common.open, text + n, &out) != 1)
        return 0;
    while (n > 0 && text[n - 1] == 0)
        n--;
    if (n == 0)
        return 0;
    *type = text[n - 1];
    return n;
}

static size_t seal_record(struct tls13_keys *k, uint8_t type, const void *data, size_t len,
                          uint8_t *out)
{
    uint8_t iv[12];
    int n = 0;

    nonce(k, iv);
    out[0] = RECORD_DATA;
    out[1] = out[2] = 3;
    (void)put16(out + 3, len + 1 + TAG);
    memcpy(out + HEADER, data, len);
    out[HEADER + len] = type;
    if (EVP_EncryptInit_ex(common.seal, NULL, NULL, k->key, iv) != 1 ||
        EVP_EncryptUpdate(common.seal, NULL, &n, out, HEADER) != 1 ||
        EVP_EncryptUpdate(common.seal, out + HEADER, &n, out + HEADER, (int)len + 1) != 1 ||
        EVP_EncryptFinal_ex(common.seal, out + HEADER + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(common.seal, EVP_CTRL_AEAD_GET_TAG, TAG, out + HEADER + len + 1) != 1)
        return 0;
    return len + TLS13_OVERHEAD;
}

/* ---- ServerHello ---- */

/* The server's key_share, or NULL. */
static const uint8_t *find_share(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 4) {
        size_t type = (size_t)p[0] << 8 | p[1], len = (size_t)p[2] << 8 | p[3];

        p += 4;
        if (len > (size_t)(end - p))
            return NULL;
        if (type == EXT_KEY_SHARE)
            return len == 36 && p[1] == GROUP_X25519 ? p + 4 : NULL;
        p += len;
    }
    return NULL;
}

static bool agree(const uint8_t share[32], uint8_t shared[32])
{
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, 32);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(common.pair, NULL);
    size_t len = 32;
    bool ok = peer != NULL && ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
              EVP_PKEY_derive(ctx, shared, &len) == 1;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    return ok;
}

static bool take_server_hello(struct tls13_client *c, const uint8_t *p, size_t len)
{
    /* type, length, version, random, empty session id, suite, compression, extensions' length */
    enum { FIXED = 4 + 2 + 32 + 1 + 2 + 1 + 2 };
    const uint8_t *share;
    uint8_t shared[32], hash[TLS13_SECRET], server_secret[TLS13_SECRET];

    if (len < FIXED || p[0] != SERVER_HELLO || p[38] != 0)
        return false;
    share = find_share(p + FIXED, p + len);
    if (share == NULL || !agree(share, shared))
        return false;
    SHA256_Update(transcript(c), p, len);
    transcript_hash(c, hash);
    hmac(common.derived, shared, sizeof(shared), c->handshake_secret);
    derive(c->handshake_secret, "c hs traffic", hash, c->client_secret);
    derive(c->handshake_secret, "s hs traffic", hash, server_secret);
    set_keys(&c->read, server_secret);
    set_keys(&c->write, c->client_secret);
    c->hello_done = true;
    return true;
}

/* ---- The flight ---- */

/* EncryptedExtensions to Finished, whole messages or pieces: only the last one matters, and that
 * ends its record. */
static enum tls13_event take_flight(struct tls13_client *c, const uint8_t *p, size_t len)
{
    enum { FINISHED_LEN = 4 + TLS13_SECRET };
    const uint8_t *last = len >= FINISHED_LEN ? p + len - FINISHED_LEN : NULL;
    bool finished = last != NULL && last[0] == FINISHED && last[1] == 0 && last[2] == 0 &&
                    last[3] == TLS13_SECRET;

    SHA256_Update(transcript(c), p, len);
    return finished ? TLS13_SECURED : TLS13_NOTHING;
}

enum tls13_event tls13_client_take(struct tls13_client *c, uint8_t *in, size_t len, size_t *used,
                                   uint8_t **data, size_t *data_len)
{
    size_t record = len < HEADER ? 0 : HEADER + ((size_t)in[3] << 8 | in[4]);
    uint8_t type = len < HEADER ? 0 : in[0];
    size_t n;

    *used = 0;
    if (record == 0 || record > len)
        return record > TLS13_IN_MAX ? TLS13_FAILED : TLS13_MORE;
    *used = record;
    if (type == RECORD_CCS)
        return TLS13_NOTHING;
    if (!c->hello_done) {
        bool taken = type == RECORD_HANDSHAKE && take_server_hello(c, in + HEADER, record - HEADER);

        return taken ? TLS13_NOTHING : TLS13_FAILED;
    }
    if (type != RECORD_DATA || record < HEADER + TAG + 1)
        return TLS13_FAILED;
    n = open_record(&c->read, in, record, &type);
    if (n == 0 || (type != RECORD_HANDSHAKE && type != RECORD_DATA))
        return TLS13_FAILED;
    if (!c->secured)
        return type == RECORD_HANDSHAKE ? take_flight(c, in + HEADER, n - 1) : TLS13_FAILED;
    *data = in + HEADER;
    *data_len = n - 1;
    return type == RECORD_DATA ? TLS13_DATA : TLS13_NOTHING;
}

size_t tls13_client_finish(struct tls13_client *c, uint8_t *out)
{
    static const uint8_t zero[TLS13_SECRET];
    uint8_t message[4 + TLS13_SECRET] = {FINISHED, 0, 0, TLS13_SECRET};
    uint8_t hash[TLS13_SECRET], key[TLS13_SECRET], master[TLS13_SECRET], secret[TLS13_SECRET];
    size_t len;

    transcript_hash(c, hash);
    expand_label(c->client_secret, "finished", NULL, 0, key, sizeof(key));
    hmac(key, hash, sizeof(hash), message + 4);
    len = seal_record(&c->write, RECORD_HANDSHAKE, message, sizeof(message), out);
    derive(c->handshake_secret, "derived", common.empty_hash, secret);
    hmac(secret, zero, sizeof(zero), master);
    derive(master, "c ap traffic", hash, secret);
    set_keys(&c->write, secret);
    derive(master, "s ap traffic", hash, secret);
    set_keys(&c->read, secret);
    c->secured = true;
    return len;
}

size_t tls13_client_seal(struct tls13_client *c, const void *data, size_t len, uint8_t *out)
{
    return seal_record(&c->write, RECORD_DATA, data, len, out);
}

size_t tls13_client_bye(struct tls13_client *c, uint8_t *out)
{
    static const uint8_t close_notify[] = {1, 0};

    return seal_record(&c->write, RECORD_ALERT, close_notify, sizeof(close_notify), out);
}
