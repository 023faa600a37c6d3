/* What is said about a certificate file and its key file, problem by problem. */
#include "cert_key.h"
#include "cert_pair.h"
#include "cert_report.h"
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "tls_certs.h"
#include "tls_context.h"

#include <openssl/pkcs12.h>

#include <sys/stat.h>

/* A root, an intermediate of it, and a leaf of that; and where they are written to. */
struct bed {
    struct test_folder *folder;
    struct cert_conf conf;
    EVP_PKEY *root_key, *middle_key, *key;
    X509 *root, *middle, *leaf;
};

/* SEC1 and PKCS#1; OpenSSL has it for its own streams only. */
static void pem_write_traditional(struct view path, EVP_PKEY *key, const EVP_CIPHER *cipher,
                                  const char *passphrase)
{
    BIO *out = BIO_new_file(path.p, "w");
    int len = passphrase == NULL ? 0 : (int)strlen(passphrase);

    assert_non_null(out);
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(
                         out, key, cipher, (const unsigned char *)passphrase, len, NULL, NULL),
                     1);
    assert_int_equal(BIO_free(out), 1);
    assert_int_equal(chmod(path.p, 0600), 0);
}

#define NAMES "DNS:shop.example,DNS:*.shop.example"

static X509 *issue(const char *name, const struct cert_recipe *how, EVP_PKEY *key, X509 *issuer,
                   EVP_PKEY *issuer_key)
{
    struct cert_recipe recipe = *how;

    recipe.common_name = name;
    recipe.days_from = recipe.days_from == 0 ? -1 : recipe.days_from;
    recipe.days_to = recipe.days_to == 0 ? 90 : recipe.days_to;
    recipe.issuer = issuer;
    recipe.issuer_key = issuer_key;
    return cert_new(&recipe, key);
}

static X509 *issue_leaf(const struct bed *bed, const struct cert_recipe *how)
{
    return issue("leaf", how, bed->key, bed->middle, bed->middle_key);
}

static void bed_init(struct bed *bed, void **state)
{
    const struct cert_recipe ca = {.ca = true, .key_ids = true};
    const struct cert_recipe leaf = {.alt_names = NAMES, .key_ids = true};

    *bed = (struct bed){.folder = *state};
    bed->conf.chain = folder_file(*state, "c.pem");
    bed->conf.key = folder_file(*state, "c.key");
    bed->root_key = key_new(KEY_EC);
    bed->middle_key = key_new(KEY_EC);
    bed->key = key_new(KEY_EC);
    bed->root = issue("root", &ca, bed->root_key, NULL, NULL);
    bed->middle = issue("middle", &ca, bed->middle_key, bed->root, bed->root_key);
    bed->leaf = issue_leaf(bed, &leaf);
    pem_write_key(bed->conf.key, bed->key);
}

static void bed_fini(struct bed *bed)
{
    X509_free(bed->leaf);
    X509_free(bed->middle);
    X509_free(bed->root);
    EVP_PKEY_free(bed->key);
    EVP_PKEY_free(bed->middle_key);
    EVP_PKEY_free(bed->root_key);
}

static void bed_take_leaf(struct bed *bed, X509 *leaf)
{
    X509_free(bed->leaf);
    bed->leaf = leaf;
}

static void bed_take_key(struct bed *bed, enum key_kind kind)
{
    const struct cert_recipe leaf = {.alt_names = NAMES, .key_ids = true};

    EVP_PKEY_free(bed->key);
    bed->key = key_new(kind);
    bed_take_leaf(bed, issue_leaf(bed, &leaf));
    pem_write_key(bed->conf.key, bed->key);
}

static void write_chain_of(const struct bed *bed, X509 *a, X509 *b, X509 *c)
{
    X509 *const certs[] = {a, b, c};

    for (size_t i = 0; i < SP_COUNT_OF(certs); i++)
        if (certs[i] != NULL)
            pem_write_cert(bed->conf.chain, certs[i], i == 0 ? "w" : "a");
}

static void write_chain(const struct bed *bed)
{
    write_chain_of(bed, bed->leaf, bed->middle, bed->root);
}

/* ---- Loading ---- */

struct how {
    bool refuse_expired;
    bool allow_expired;
    bool client; /* shown to servers: no bundle */
    uint32_t warn_before_days;
    struct view *names;
    uint32_t n_names;
};

static bool load(const struct cert_conf *conf, const struct how *how, struct report *report)
{
    const struct cert_reporter reporter = {.report = report_take, .arg = report};
    const struct tls_port_conf port = {.preset = TLS_PRESET_INTERMEDIATE};
    const struct bundle_conf bundle = {.name = VIEW_INIT("shop"),
                                       .allow_expired = how->allow_expired,
                                       .warn_before_days = how->warn_before_days,
                                       .names = how->names,
                                       .n_names = how->n_names};
    struct key_decoder keys = {0};
    struct cert_load load = {.reporter = &reporter,
                             .scratch = tls_context_new(&port),
                             .keys = &keys,
                             .bundle = bundle.name,
                             .conf = how->client ? NULL : &bundle,
                             .refuse_expired = how->refuse_expired};
    struct cert_pair pair;
    bool ok;

    *report = (struct report){0};
    ok = load.scratch != NULL && cert_pair_load(&pair, conf, &load);
    if (ok)
        cert_pair_fini(&pair);
    key_decoder_fini(&keys);
    SSL_CTX_free(load.scratch);
    ERR_clear_error();
    return ok;
}

static void assert_said(const struct cert_conf *conf, const struct how *how, bool ok,
                        const char *line)
{
    struct report report;

    assert_int_equal(load(conf, how, &report), ok);
    report_assert_has(&report, line);
    assert_int_equal(report.n_errors > 0, !ok);
}

static const struct how at_start;
#define assert_refused(conf, line) assert_said(conf, &at_start, false, line)
#define assert_warned(conf, line)  assert_said(conf, &at_start, true, line)

static void assert_fine(const struct cert_conf *conf)
{
    struct report report;

    assert_true(load(conf, &at_start, &report));
    assert_string_equal(report.text, "");
}

#define BED         \
    struct bed bed; \
    bed_init(&bed, state)

/* ---- Forms ---- */

static void append_file(struct view to, struct view from)
{
    char buf[16384];
    FILE *in = fopen(from.p, "r"), *out = fopen(to.p, "a");
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    n = fread(buf, 1, sizeof(buf), in);
    assert_int_equal(fwrite(buf, 1, n, out), n);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static void a_whole_chain_is_fine(void **state)
{
    BED;
    write_chain(&bed);
    assert_fine(&bed.conf);
    bed_fini(&bed);
}

static void each_kind_of_key_is_fine_in_each_form(void **state)
{
    static const enum key_kind kinds[] = {KEY_EC, KEY_P384, KEY_RSA, KEY_ED25519};
    BED;

    for (size_t i = 0; i < SP_COUNT_OF(kinds); i++) {
        bed_take_key(&bed, kinds[i]);
        write_chain(&bed);
        assert_fine(&bed.conf);
        if (kinds[i] == KEY_ED25519) /* only PKCS#8 has it */
            continue;
        pem_write_traditional(bed.conf.key, bed.key, NULL, NULL);
        assert_fine(&bed.conf);
    }
    bed_fini(&bed);
}

static void key_and_certificates_may_be_in_one_file(void **state)
{
    BED;
    struct cert_conf alone = {.chain = bed.conf.chain};
    struct cert_conf twice = {.chain = bed.conf.chain, .key = bed.conf.chain};

    write_chain(&bed);
    assert_int_equal(chmod(bed.conf.chain.p, 0600), 0);
    append_file(bed.conf.chain, bed.conf.key);
    assert_fine(&alone);
    assert_fine(&twice);

    pem_write_key(bed.conf.chain, bed.key); /* the other way round */
    pem_write_cert(bed.conf.chain, bed.leaf, "a");
    pem_write_cert(bed.conf.chain, bed.middle, "a");
    pem_write_cert(bed.conf.chain, bed.root, "a");
    assert_fine(&alone);
    assert_fine(&bed.conf); /* of the chain's file, the key is not looked at */

    write_chain(&bed);
    assert_refused(&alone, "shop|c.pem|holds no private key; where it is in another file, \"key\" "
                           "names that\n");
    bed_fini(&bed);
}

static void comments_and_parameters_are_passed_over(void **state)
{
    static const char parameters[] = "some words\r\n"
                                     "-----BEGIN EC PARAMETERS-----\r\n"
                                     "BggqhkjOPQMBBw==\r\n"
                                     "-----END EC PARAMETERS-----\r\n";
    BED;
    struct view key = folder_file(*state, "key-only");

    write_chain(&bed);
    assert_int_equal(rename(bed.conf.key.p, key.p), 0);
    text_write(bed.conf.key, parameters);
    append_file(bed.conf.key, key);
    assert_int_equal(chmod(bed.conf.key.p, 0600), 0);
    assert_fine(&bed.conf);
    bed_fini(&bed);
}

/* What an editor of Windows makes of a file. */
static void windows_line_ends_are_fine_and_a_byte_order_mark_is_warned_of(void **state)
{
    BED;
    struct view unix_file = folder_file(*state, "unix.pem");
    FILE *in, *out;
    int c;

    write_chain(&bed);
    assert_int_equal(rename(bed.conf.chain.p, unix_file.p), 0);
    in = fopen(unix_file.p, "r");
    out = fopen(bed.conf.chain.p, "w");
    while ((c = fgetc(in)) != EOF) {
        if (c == '\n')
            (void)fputc('\r', out);
        (void)fputc(c, out);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_fine(&bed.conf);

    text_write(bed.conf.chain, "\xef\xbb\xbf");
    append_file(bed.conf.chain, unix_file);
    assert_warned(&bed.conf, "warning: shop|c.pem|begins with a byte order mark");
    bed_fini(&bed);
}

static void write_bytes(struct view path, const void *bytes, int n)
{
    FILE *f = fopen(path.p, "w");

    assert_true(n > 0);
    assert_int_equal(fwrite(bytes, 1, (size_t)n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void what_is_no_pem_is_told_how_to_become_it(void **state)
{
    BED;
    unsigned char *der = NULL;
    PKCS12 *p12;
    X509_REQ *request = X509_REQ_new();
    int n;

    write_chain(&bed);
    n = i2d_X509(bed.leaf, &der);
    write_bytes(bed.conf.chain, der, n);
    assert_refused(&bed.conf, "shop|c.pem|is a certificate in DER form, not PEM; convert it with: "
                              "openssl x509 -inform DER -in /tmp/");
    OPENSSL_free(der);
    der = NULL;
    n = i2d_PrivateKey(bed.key, &der);
    write_bytes(bed.conf.key, der, n);
    assert_refused(&bed.conf, "shop|c.key|is a private key in DER form, not PEM; convert it with: "
                              "openssl pkey -inform DER -in /tmp/");
    OPENSSL_free(der);
    der = NULL;
    p12 = PKCS12_create("pass", "name", bed.key, bed.leaf, NULL, 0, 0, 0, 0, 0);
    n = i2d_PKCS12(p12, &der);
    write_bytes(bed.conf.chain, der, n);
    assert_refused(&bed.conf,
                   "shop|c.pem|is PKCS#12, not PEM; convert it with: openssl pkcs12 -in");
    OPENSSL_free(der);
    der = NULL;
    (void)X509_REQ_set_pubkey(request, bed.key);
    assert_true(X509_REQ_sign(request, bed.key, EVP_sha256()) > 0);
    n = i2d_X509_REQ(request, &der);
    write_bytes(bed.conf.chain, der, n);
    assert_refused(&bed.conf, "shop|c.pem|is a certificate request, and no certificate\n");
    OPENSSL_free(der);
    X509_REQ_free(request);
    PKCS12_free(p12);
    bed_fini(&bed);
}

static void what_holds_something_else_is_told(void **state)
{
    static const struct {
        struct view bytes;
        const char *line;
    } cases[] = {
        {VIEW_INIT(""), "shop|c.pem|is empty\n"},
        {VIEW_INIT("nothing to see here\n"), "shop|c.pem|has no PEM block (\"-----BEGIN ...\")\n"},
        {VIEW_INIT("\xff\xfe-\0-\0"), "shop|c.pem|is text in UTF-16"},
        {VIEW_INIT("\x30\x03\x02\x01\x00"),
         "shop|c.pem|holds bytes that are no text and nothing known"},
        {VIEW_INIT(
             "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"),
         "shop|c.pem|holds no certificate but \"-----BEGIN CERTIFICATE REQUEST\": a request"},
        {VIEW_INIT("-----BEGIN OPENSSH PRIVATE"
                   " KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n"),
         "shop|c.pem|holds no certificate but \"-----BEGIN OPENSSH PRIVATE"
         " KEY\": a key in"},
    };
    BED;
    struct cert_conf exchanged = {.chain = bed.conf.key, .key = bed.conf.chain};

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        FILE *f = fopen(bed.conf.chain.p, "w");

        (void)fwrite(cases[i].bytes.p, 1, cases[i].bytes.len, f);
        assert_int_equal(fclose(f), 0);
        assert_refused(&bed.conf, cases[i].line);
    }
    write_chain(&bed);
    assert_refused(&exchanged, "shop|c.key|holds no certificate but \"-----BEGIN PRIVATE"
                               " KEY\": a "
                               "private key: were chain and key exchanged?\n"
                               "shop|c.pem|holds no private key but \"-----BEGIN CERTIFICATE\"");
    bed_fini(&bed);
}

static void damage_is_told_with_its_place(void **state)
{
    BED;
    struct stat st;
    FILE *f;

    write_chain_of(&bed, bed.leaf, NULL, NULL);
    f = fopen(bed.conf.chain.p, "a");
    (void)fputs("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", f);
    assert_int_equal(fclose(f), 0);
    assert_refused(&bed.conf, "shop|c.pem|certificate 2 cannot be read: ");

    write_chain(&bed);
    assert_int_equal(stat(bed.conf.chain.p, &st), 0);
    assert_int_equal(truncate(bed.conf.chain.p, st.st_size - 40), 0);
    assert_refused(&bed.conf, "shop|c.pem|certificate 3 cannot be read: its end is missing: the "
                              "file is cut off, or not completely written yet\n");

    write_chain(&bed);
    text_write(bed.conf.key, "-----BEGIN PRIVATE"
                             " KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
    assert_refused(&bed.conf, "shop|c.key|the key (\"-----BEGIN PRIVATE"
                              " KEY\") cannot be read: ");
    text_write(bed.conf.key, "-----BEGIN PRIVATE"
                             " KEY-----\nMAA=\n");
    assert_refused(&bed.conf, "shop|c.key|the key cannot be read: its end is missing");
    bed_fini(&bed);
}

static void bounds_are_told(void **state)
{
    BED;

    write_chain_of(&bed, bed.leaf, NULL, NULL);
    for (int i = 0; i < 32; i++)
        pem_write_cert(bed.conf.chain, bed.middle, "a");
    assert_refused(&bed.conf, "shop|c.pem|holds more than 32 certificates");
    assert_int_equal(truncate(bed.conf.chain.p, 1024 * 1024 + 1), 0);
    assert_refused(&bed.conf, "shop|c.pem|has 1048577 bytes; at most 1048576 are read\n");
    bed_fini(&bed);
}

static void a_second_key_in_a_file_is_warned_of(void **state)
{
    BED;
    struct view other = folder_file(*state, "other");
    EVP_PKEY *key = key_new(KEY_EC);

    write_chain(&bed);
    pem_write_key(other, key);
    append_file(bed.conf.key, other);
    assert_warned(&bed.conf, "warning: shop|c.key|holds 2 private keys; the first one is used\n");
    EVP_PKEY_free(key);
    bed_fini(&bed);
}

/* ---- Encrypted keys ---- */

static void write_encrypted(const struct bed *bed, bool traditional)
{
    FILE *f;

    if (traditional) {
        pem_write_traditional(bed->conf.key, bed->key, EVP_aes_256_cbc(), "secret");
        return;
    }
    f = fopen(bed->conf.key.p, "w");
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(f, bed->key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(bed->conf.key.p, 0600), 0);
}

static void an_encrypted_key_is_opened_with_its_passphrase(void **state)
{
    static const char *const right[] = {"secret", "secret\n", "secret\r\n", "secret\nmore\n"};
    static const char *const wrong[] = {"Secret\n", "secret \n", "secret1\n"};
    BED;

    write_chain(&bed);
    bed.conf.passphrase_file = folder_file(*state, "pass");
    for (int traditional = 0; traditional < 2; traditional++) {
        write_encrypted(&bed, traditional == 1);
        for (size_t i = 0; i < SP_COUNT_OF(right); i++) {
            text_write(bed.conf.passphrase_file, right[i]);
            assert_fine(&bed.conf);
        }
        for (size_t i = 0; i < SP_COUNT_OF(wrong); i++) {
            text_write(bed.conf.passphrase_file, wrong[i]);
            assert_refused(&bed.conf, "shop|c.key|the key cannot be decrypted: the first line of ");
        }
    }
    bed_fini(&bed);
}

static void what_is_wrong_with_a_passphrase_is_told(void **state)
{
    static const struct how client = {.client = true};
    BED;

    write_chain(&bed);
    write_encrypted(&bed, false);
    assert_refused(&bed.conf, "shop|c.key|the key is encrypted: \"passphrase_file\" has to name");
    assert_said(&bed.conf, &client, false,
                "shop|c.key|the key is encrypted; it must be stored without a passphrase\n");
    bed.conf.passphrase_file = folder_file(*state, "pass");
    assert_refused(&bed.conf, "shop|pass|cannot be opened: No such file or directory\n");
    text_write(bed.conf.passphrase_file, "\nsecret\n");
    assert_refused(&bed.conf, "shop|pass|the first line is empty; it has to be the passphrase\n");
    text_write(bed.conf.key, "-----BEGIN ENCRYPTED PRIVATE"
                             " KEY-----\nMAA=\n"
                             "-----END ENCRYPTED PRIVATE KEY-----\n");
    text_write(bed.conf.passphrase_file, "secret\n");
    assert_refused(&bed.conf, "shop|c.key|the encrypted key cannot be read: ");
    text_write(bed.conf.key, "-----BEGIN RSA PRIVATE"
                             " KEY-----\nProc-Type: 4,ENCRYPTED\n"
                             "DEK-Info: NO-SUCH-CIPHER,00\n\nMAA=\n"
                             "-----END RSA PRIVATE KEY-----\n");
    assert_refused(&bed.conf, "shop|c.key|the key is encrypted in a way that this OpenSSL does not "
                              "have; encrypt it anew with: openssl pkey -aes256 -in /tmp/");
    bed_fini(&bed);
}

/* ---- Chain ---- */

static void a_key_of_another_certificate_is_told(void **state)
{
    BED;
    EVP_PKEY *other = key_new(KEY_EC);

    write_chain(&bed);
    pem_write_key(bed.conf.key, other);
    assert_refused(&bed.conf, "shop|c.key|does not belong to the certificate in /tmp/");
    EVP_PKEY_free(other);
    bed_fini(&bed);
}

static void the_right_order_is_told(void **state)
{
    BED;

    write_chain_of(&bed, bed.middle, bed.leaf, NULL);
    assert_refused(&bed.conf,
                   "shop|c.pem|the key belongs to certificate 2 of the file; the "
                   "server's own certificate must come first: the right order is 2, 1\n");
    write_chain_of(&bed, bed.leaf, bed.root, bed.middle);
    assert_refused(&bed.conf,
                   "shop|c.pem|certificate 2 (CN=root) did not issue certificate 1 (CN=leaf): the "
                   "right order of the file's certificates is 1, 3, 2\n");
    bed_fini(&bed);
}

static void a_stranger_in_the_chain_is_told(void **state)
{
    BED;
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *stranger = issue("stranger", &(struct cert_recipe){.ca = true}, key, NULL, NULL);
    /* the name and not the key of the one that issued the leaf */
    X509 *namesake =
        issue("middle", &(struct cert_recipe){.ca = true, .key_ids = true}, key, NULL, NULL);

    write_chain_of(&bed, bed.leaf, bed.middle, stranger);
    assert_refused(&bed.conf, "shop|c.pem|certificate 3 (CN=stranger) does not belong here: "
                              "certificate 2 (CN=middle) was issued by CN=root\n");
    write_chain_of(&bed, bed.leaf, namesake, NULL);
    assert_refused(&bed.conf, "shop|c.pem|certificate 2 (CN=middle) does not belong here");
    write_chain_of(&bed, bed.leaf, bed.leaf, bed.middle);
    assert_refused(&bed.conf, "shop|c.pem|certificate 2 (CN=leaf) is certificate 1 once more\n");
    X509_free(namesake);
    X509_free(stranger);
    EVP_PKEY_free(key);
    bed_fini(&bed);
}

/* Without ids of keys the signature says who it was. */
static void a_namesake_is_known_by_its_signature(void **state)
{
    const struct cert_recipe ca = {.ca = true}, leaf = {.alt_names = NAMES};
    BED;
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *namesake = issue("root", &ca, key, NULL, NULL);
    X509 *signed_by_root = issue("leaf", &leaf, bed.key, bed.root, bed.root_key);

    write_chain_of(&bed, signed_by_root, namesake, NULL);
    assert_refused(&bed.conf, "shop|c.pem|certificate 2 (CN=root) does not belong here");
    write_chain_of(&bed, signed_by_root, bed.root, NULL);
    assert_fine(&bed.conf);
    X509_free(signed_by_root);
    X509_free(namesake);
    EVP_PKEY_free(key);
    bed_fini(&bed);
}

static void two_certificates_of_one_authority_are_fine(void **state)
{
    const struct cert_recipe ca = {.ca = true, .key_ids = true};
    BED;
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *other_root = issue("other root", &ca, key, NULL, NULL);
    X509 *crossed = issue("middle", &ca, bed.middle_key, other_root, key);

    write_chain_of(&bed, bed.leaf, bed.middle, crossed);
    pem_write_cert(bed.conf.chain, bed.root, "a");
    assert_fine(&bed.conf);
    X509_free(crossed);
    X509_free(other_root);
    EVP_PKEY_free(key);
    bed_fini(&bed);
}

static void what_the_chain_lacks_is_named(void **state)
{
    const struct cert_recipe access = {.alt_names = NAMES,
                                       .key_ids = true,
                                       .info_access = "caIssuers;URI:http://ca.example/m.crt"};
    BED;
    struct view roots = folder_file(*state, "roots.pem");

    text_write(roots, "");
    assert_int_equal(setenv("SSL_CERT_FILE", roots.p, 1), 0);
    write_chain_of(&bed, bed.leaf, bed.middle, NULL);
    assert_fine(&bed.conf); /* nobody is there who could be asked */
    write_chain_of(&bed, bed.leaf, NULL, NULL);
    assert_warned(&bed.conf, "warning: shop|c.pem|holds no intermediate certificate, and its "
                             "issuer, CN=middle, is no authority of this system");

    pem_write_cert(roots, bed.leaf, "w");
    assert_warned(&bed.conf, "warning: shop|c.pem|holds no intermediate certificate");
    write_chain_of(&bed, bed.leaf, bed.middle, NULL);
    assert_warned(&bed.conf, "warning: shop|c.pem|the chain is not complete: the issuer of its "
                             "last certificate (CN=middle), CN=root, is no authority of this "
                             "system\n");
    pem_write_cert(roots, bed.root, "a");
    assert_fine(&bed.conf); /* the list of authorities is read again */

    bed_take_leaf(&bed, issue_leaf(&bed, &access));
    write_chain_of(&bed, bed.leaf, NULL, NULL);
    assert_warned(&bed.conf, "its issuer, CN=middle (from http://ca.example/m.crt)\n");
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    bed_fini(&bed);
}

static void an_authority_that_is_none_is_warned_of(void **state)
{
    const struct cert_recipe no_ca = {.key_ids = true};
    BED;

    X509_free(bed.middle);
    bed.middle = issue("middle", &no_ca, bed.middle_key, bed.root, bed.root_key);
    write_chain(&bed);
    assert_warned(&bed.conf, "warning: shop|c.pem|certificate 2 (CN=middle) may not issue");
    bed_fini(&bed);
}

/* ---- Dates ---- */

static void an_expired_certificate_may_start_and_may_not_replace(void **state)
{
    static const struct how replacing = {.refuse_expired = true},
                            allowed = {.refuse_expired = true, .allow_expired = true};
    static const struct {
        int from, to;
        const char *line;
    } cases[] = {{-30, -1, "shop|c.pem|the certificate has expired: it was valid until 2"},
                 {1, 30, "shop|c.pem|the certificate is not valid yet: it will be from 2"}};
    BED;

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        const struct cert_recipe recipe = {.alt_names = NAMES,
                                           .key_ids = true,
                                           .days_from = cases[i].from,
                                           .days_to = cases[i].to};
        char warning[128];

        (void)snprintf(warning, sizeof(warning), "warning: %s", cases[i].line);
        bed_take_leaf(&bed, issue_leaf(&bed, &recipe));
        write_chain(&bed);
        assert_said(&bed.conf, &at_start, true, warning);
        assert_said(&bed.conf, &allowed, true, warning);
        assert_said(&bed.conf, &replacing, false, cases[i].line);
        assert_said(&bed.conf, &replacing, false, "(\"allow_expired\" would take it all the same)");
    }
    bed_fini(&bed);
}

static void the_dates_of_the_chain_count_too(void **state)
{
    static const struct how replacing = {.refuse_expired = true};
    const struct cert_recipe old = {.ca = true, .key_ids = true, .days_from = -30, .days_to = -2};
    BED;

    X509_free(bed.middle);
    bed.middle = issue("middle", &old, bed.middle_key, bed.root, bed.root_key);
    write_chain(&bed);
    assert_said(&bed.conf, &replacing, false,
                "shop|c.pem|certificate 2 (CN=middle) has expired: it was valid until 2");
    bed_fini(&bed);
}

static void a_certificate_that_expires_soon_is_warned_of(void **state)
{
    static const struct how soon = {.warn_before_days = 14}, never = {.warn_before_days = 0};
    static const struct {
        int days;
        const char *line; /* NULL: none */
    } cases[] = {
        {20, NULL},
        {10, "warning: shop|c.pem|the certificate expires in "},
        {1, "warning: shop|c.pem|the certificate expires "},
    };
    BED;

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        const struct cert_recipe recipe = {
            .alt_names = NAMES, .key_ids = true, .days_to = cases[i].days};
        struct report report;

        bed_take_leaf(&bed, issue_leaf(&bed, &recipe));
        write_chain(&bed);
        assert_true(load(&bed.conf, &never, &report));
        assert_string_equal(report.text, "");
        assert_true(load(&bed.conf, &soon, &report));
        if (cases[i].line == NULL)
            assert_string_equal(report.text, "");
        else
            report_assert_has(&report, cases[i].line);
    }
    bed_fini(&bed);
}

/* ---- Fitness ---- */

static void a_curve_that_is_not_supported_is_told(void **state)
{
    BED;

    bed_take_key(&bed, KEY_P521);
    write_chain(&bed);
    assert_refused(&bed.conf, "shop|c.pem|is for a key that is ECDSA P-521; ECDSA P-256 and P-384, "
                              "RSA and Ed25519 are supported\n");
    bed_fini(&bed);
}

static void what_is_too_weak_is_told(void **state)
{
    const struct cert_recipe sha1 = {.alt_names = NAMES, .key_ids = true, .digest = EVP_sha1()};
    const struct cert_recipe ca = {.ca = true, .key_ids = true};
    BED;

    bed_take_leaf(&bed, issue_leaf(&bed, &sha1));
    write_chain(&bed);
    assert_refused(&bed.conf, "shop|c.pem|certificate 1 has a signature that is too weak "
                              "(ecdsa-with-SHA1): clients refuse it, and so does OpenSSL at its "
                              "security level of ");
    bed_take_key(&bed, KEY_RSA_1024);
    write_chain(&bed);
    assert_refused(&bed.conf,
                   "shop|c.pem|certificate 1 has a key that is too weak (RSA 1024): clients");

    bed_take_key(&bed, KEY_EC);
    EVP_PKEY_free(bed.middle_key);
    X509_free(bed.middle);
    bed.middle_key = key_new(KEY_RSA_1024);
    bed.middle = issue("middle", &ca, bed.middle_key, bed.root, bed.root_key);
    bed_take_key(&bed, KEY_EC);
    write_chain(&bed);
    assert_refused(&bed.conf,
                   "shop|c.pem|certificate 2 has a key that is too weak (RSA 1024): clients");
    bed_fini(&bed);
}

static void what_it_is_not_made_for_is_warned_of(void **state)
{
    static const struct how client = {.client = true};
    const struct cert_recipe mail = {
        .alt_names = NAMES, .key_ids = true, .extended_usage = "emailProtection"};
    const struct cert_recipe server = {
        .alt_names = NAMES, .key_ids = true, .extended_usage = "serverAuth"};
    const struct cert_recipe ca = {.alt_names = NAMES, .key_ids = true, .ca = true};
    BED;

    bed_take_leaf(&bed, issue_leaf(&bed, &mail));
    write_chain(&bed);
    assert_warned(&bed.conf, "warning: shop|c.pem|is not made for a TLS server: serverAuth is not");
    bed_take_leaf(&bed, issue_leaf(&bed, &server));
    write_chain(&bed);
    assert_fine(&bed.conf);
    assert_said(&bed.conf, &client, true,
                "warning: shop|c.pem|is not made for a TLS client: clientAuth is not");
    bed_take_leaf(&bed, issue_leaf(&bed, &ca));
    write_chain(&bed);
    assert_warned(&bed.conf, "warning: shop|c.pem|is the certificate of an authority (CA:TRUE)");
    bed_fini(&bed);
}

/* ---- Names ---- */

static void names_that_are_not_covered_are_told(void **state)
{
    struct view names[] = {VIEW_INIT("shop.example"),     VIEW_INIT("www.SHOP.example"),
                           VIEW_INIT("*.shop.example"),   VIEW_INIT("other.example"),
                           VIEW_INIT("a.b.shop.example"), VIEW_INIT("*.example"),
                           VIEW_INIT("x.example"),        VIEW_INIT("y.example")};
    const struct how covered = {.names = names, .n_names = 3},
                     four = {.names = names, .n_names = 4},
                     all = {.names = names, .n_names = SP_COUNT_OF(names)};
    const struct cert_recipe no_names = {.key_ids = true};
    BED;
    struct report report;

    write_chain(&bed);
    assert_true(load(&bed.conf, &covered, &report));
    assert_string_equal(report.text, "");
    assert_true(load(&bed.conf, &four, &report));
    assert_string_equal(report.text, "warning: shop|c.pem|does not cover \"other.example\" of the "
                                     "bundle's names: clients that ask for it will refuse the "
                                     "certificate\n");
    assert_true(load(&bed.conf, &all, &report));
    report_assert_has(&report, "\"a.b.shop.example\"");
    report_assert_has(&report, "\"*.example\"");
    report_assert_has(&report, "does not cover 2 more of the bundle's names\n");

    bed_take_leaf(&bed, issue_leaf(&bed, &no_names));
    write_chain(&bed);
    assert_refused(&bed.conf, "shop|c.pem|the certificate has no names (subjectAltName), and the "
                              "bundle is given none: no client would accept it\n");
    assert_said(&bed.conf, &covered, true,
                "warning: shop|c.pem|the certificate has no names (subjectAltName): no client");
    bed_fini(&bed);
}

/* ---- Who else can read it ---- */

static void a_key_for_everybody_is_warned_of(void **state)
{
    static const struct {
        mode_t mode;
        const char *line; /* NULL: fine */
    } cases[] = {
        {0600, NULL},
        {0640, NULL}, /* a group such as ssl-cert */
        {0644, "can be read by every user of this machine (mode 0644); it holds a secret: chmod"},
        {0602, "can be written by every user of this machine (mode 0602)"},
        {0666, "can be read and written by every user"},
    };
    BED;

    write_chain(&bed);
    for (int hidden = 0; hidden < 2; hidden++) {
        assert_int_equal(chmod(bed.folder->path, hidden == 1 ? 0700 : 0755), 0);
        for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
            assert_int_equal(chmod(bed.conf.key.p, cases[i].mode), 0);
            if (cases[i].line == NULL || hidden == 1)
                assert_fine(&bed.conf);
            else
                assert_warned(&bed.conf, cases[i].line);
        }
    }
    bed_fini(&bed);
}

/* ---- Memory ---- */

static void a_load_survives_each_failed_allocation(void **state)
{
    BED;
    struct report report;
    bool traditional = false;
    unsigned step = 1;

    write_chain_of(&bed, bed.leaf, bed.middle, NULL);
    bed.conf.passphrase_file = folder_file(*state, "pass");
    text_write(bed.conf.passphrase_file, "secret\n");
    do {
        write_encrypted(&bed, traditional);
        (void)load(&bed.conf, &at_start, &report); /* what OpenSSL makes only once */
        for (unsigned nth = 0;; nth += step) {
            failing_alloc_arm(nth);
            (void)load(&bed.conf, &at_start, &report);
            if (!failing_alloc_hit())
                break;
            assert_int_equal(ERR_peek_error(), 0);
            step = nth < 200 ? 1 : 31;
        }
        traditional = !traditional;
    } while (traditional);
    assert_true(load(&bed.conf, &at_start, &report));
    bed_fini(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_whole_chain_is_fine),
        WITH_FOLDER(each_kind_of_key_is_fine_in_each_form),
        WITH_FOLDER(key_and_certificates_may_be_in_one_file),
        WITH_FOLDER(comments_and_parameters_are_passed_over),
        WITH_FOLDER(windows_line_ends_are_fine_and_a_byte_order_mark_is_warned_of),
        WITH_FOLDER(what_is_no_pem_is_told_how_to_become_it),
        WITH_FOLDER(what_holds_something_else_is_told),
        WITH_FOLDER(damage_is_told_with_its_place),
        WITH_FOLDER(bounds_are_told),
        WITH_FOLDER(a_second_key_in_a_file_is_warned_of),
        WITH_FOLDER(an_encrypted_key_is_opened_with_its_passphrase),
        WITH_FOLDER(what_is_wrong_with_a_passphrase_is_told),
        WITH_FOLDER(a_key_of_another_certificate_is_told),
        WITH_FOLDER(the_right_order_is_told),
        WITH_FOLDER(a_stranger_in_the_chain_is_told),
        WITH_FOLDER(a_namesake_is_known_by_its_signature),
        WITH_FOLDER(two_certificates_of_one_authority_are_fine),
        WITH_FOLDER(what_the_chain_lacks_is_named),
        WITH_FOLDER(an_authority_that_is_none_is_warned_of),
        WITH_FOLDER(an_expired_certificate_may_start_and_may_not_replace),
        WITH_FOLDER(the_dates_of_the_chain_count_too),
        WITH_FOLDER(a_certificate_that_expires_soon_is_warned_of),
        WITH_FOLDER(a_curve_that_is_not_supported_is_told),
        WITH_FOLDER(what_is_too_weak_is_told),
        WITH_FOLDER(what_it_is_not_made_for_is_warned_of),
        WITH_FOLDER(names_that_are_not_covered_are_told),
        WITH_FOLDER(a_key_for_everybody_is_warned_of),
        WITH_FOLDER(a_load_survives_each_failed_allocation),
    };

    return openssl_take_allocator() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
