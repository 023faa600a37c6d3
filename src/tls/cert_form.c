#include "cert_form.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include <string.h>

#define BEGIN     "-----BEGIN "
#define TEXT_ONLY "; it must be PEM (\"-----BEGIN ...\")"

static bool has_begin(struct view text)
{
    return text.len > 0 && memmem(text.p, text.len, BEGIN, strlen(BEGIN)) != NULL;
}

/* What Windows calls Unicode: the redirection of its shell writes it. */
static bool is_utf16(struct view v)
{
    return view_starts_with(v, VIEW("\xff\xfe")) || view_starts_with(v, VIEW("\xfe\xff"));
}

/* ---- DER: which of the things that people have, by trying ---- */

static const struct {
    const ASN1_ITEM *(*item)(void); /* NULL: a private key, which has several */
    const char *what;
    const char *command, *rest; /* around the file's name */
} forms[] = {
    {X509_it, "a certificate in DER form", "openssl x509 -inform DER -in", "-out chain.pem"},
    {PKCS12_it, "PKCS#12", "openssl pkcs12 -in", "-noenc -out combined.pem"},
    {PKCS7_it, "PKCS#7 in DER form", "openssl pkcs7 -inform DER -print_certs -in",
     "-out chain.pem"},
    {X509_REQ_it, "a certificate request, and no certificate", NULL, NULL},
    {X509_SIG_it, "an encrypted private key in DER form", "openssl pkcs8 -inform DER -in",
     "-topk8 -out key.pem"},
    {NULL, "a private key in DER form", "openssl pkey -inform DER -in", "-out key.pem"},
};

static bool is_form(const ASN1_ITEM *(*item)(void), const unsigned char *der, long len)
{
    ASN1_VALUE *value;
    EVP_PKEY *key;

    if (item == NULL) {
        key = d2i_AutoPrivateKey(NULL, &der, len);
        EVP_PKEY_free(key);
        return key != NULL;
    }
    value = ASN1_item_d2i(NULL, &der, len, item());
    ASN1_item_free(value, item());
    return value != NULL;
}

/* False: none of them. */
static bool report_der(const struct cert_file *file, struct cert_load *load)
{
    const unsigned char *der = (const unsigned char *)file->bytes;
    bool found = false;

    if (file->len == 0 || der[0] != 0x30) /* each is a SEQUENCE */
        return false;
    for (size_t i = 0; i < SP_COUNT_OF(forms) && !found; i++) {
        found = is_form(forms[i].item, der, (long)file->len);
        if (found && forms[i].command == NULL)
            cert_load_error(load, file->path, "is %s", forms[i].what);
        else if (found)
            cert_load_error(load, file->path, "is %s, not PEM; convert it with: %s " VIEW_FMT " %s",
                            forms[i].what, forms[i].command, VIEW_ARG(file->path), forms[i].rest);
    }
    ERR_clear_error();
    return found;
}

static void report_no_text(const struct cert_file *file, struct cert_load *load)
{
    struct view bytes = cert_file_view(file);

    if (bytes.len == 0)
        cert_load_error(load, file->path, "is empty");
    else if (is_utf16(bytes)) {
        cert_load_error(load, file->path,
                        "is text in UTF-16, which PEM is not; save it as ASCII or UTF-8");
    } else if (!report_der(file, load)) {
        cert_load_error(load, file->path,
                        memchr(bytes.p, '\0', bytes.len) == NULL
                            ? "has no PEM block (\"-----BEGIN ...\")"
                            : "holds bytes that are no text and nothing known" TEXT_ONLY);
    }
}

struct view cert_form_text(const struct cert_file *file, struct cert_load *load)
{
    struct view text = cert_file_view(file);

    if (!has_begin(text)) {
        report_no_text(file, load);
        return (struct view){NULL, 0};
    }
    if (!view_starts_with(text, VIEW("\xef\xbb\xbf")))
        return text;
    cert_load_warn(load, file->path,
                   "begins with a byte order mark, which was skipped; many other programs do not "
                   "see what stands behind it: save the file without");
    return view_from(text, 3);
}
