/* What a responder says, as it is parsed and verified: by OpenSSL behind ocsp_staple_read(). The
 * certificates are fixed (their keys are gone), so that the responses of the corpus, made for them,
 * are right as of NOW_MS; what a fuzzer makes of them must not be. */
#include "ocsp_slot.h"

#include <sallyport/base/compiler.h>

#include <openssl/pem.h>

#include <stdint.h>
#include <string.h>

#define NOW_MS (INT64_C(1795435500) * 1000)

static const char leaf_pem[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBtjCCAVygAwIBAgIULrpPWVRo9zVe5ViD/X8884xq4h8wCgYIKoZIzj0EAwIw\n"
                               "FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMzEyMDMzMloYDzIxMjYxMDMw\n"
                               "MTIwMzMyWjAPMQ0wCwYDVQQDDARsZWFmMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n"
                               "QgAETzc0sHEdz6lm5eEEbd3/H0MWHESocO3bpnARDF2gLV7Cwg8cxkWL2XWBScg1\n"
                               "RBRlhCOL0FR2ce/Rbs/Nhg38wqOBjjCBizAXBgNVHREEEDAOggxsZWFmLmV4YW1w\n"
                               "bGUwMAYIKwYBBQUHAQEEJDAiMCAGCCsGAQUFBzABhhRodHRwOi8vb2NzcC5leGFt\n"
                               "cGxlLzAdBgNVHQ4EFgQUITPA5nx+w/u22eLO66X2xZp1eSUwHwYDVR0jBBgwFoAU\n"
                               "pezpxXPN3vJ+h452/wWuZj04Zl4wCgYIKoZIzj0EAwIDSAAwRQIhAK4MecEZc5gl\n"
                               "Cxqsy2oKcnCbpSeLTPVsmYirZYT8P8sOAiBhO/E4jUT5GlWJWR6IJa1pA69/+O1m\n"
                               "cyErPocwgK15+g==\n"
                               "-----END CERTIFICATE-----\n";
static const char authority_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBXTCCAQSgAwIBAgIUc/2vjB+RdzPvr+Dhm6d2PaHKYx8wCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyMzEyMDMzMloYDzIxMjYxMDMw\n"
    "MTIwMzMyWjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAARtA+jib6bnKFJbO286UK+6Km1JNPBr/7lKJkuWEtCpKtIzCFtFZCAp\n"
    "Ov7Jlx1IVHifhjtdpE6YaHnkbN/7hs0WozIwMDAPBgNVHRMBAf8EBTADAQH/MB0G\n"
    "A1UdDgQWBBSl7OnFc83e8n6Hjnb/Ba5mPThmXjAKBggqhkjOPQQDAgNHADBEAiAL\n"
    "OBZcgtOiw9/S0ivKuGKneV4aBVXAqMBSmET0mks+rwIgQe5FdNUE0J7wewCQMEvg\n"
    "Iz+A1zooRhpwIswE5Bf3jqI=\n"
    "-----END CERTIFICATE-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static X509 *certificate_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    SP_ASSERT(cert != NULL);
    BIO_free(bio);
    return cert;
}

static struct ocsp_slot *slot_new(void)
{
    X509 *leaf = certificate_of(leaf_pem), *authority = certificate_of(authority_pem);
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct tls_label *name = tls_label_new(VIEW("leaf"));
    struct ocsp_slot *slot;

    SP_ASSERT(sk_X509_push(chain, authority) > 0);
    slot = ocsp_slot_new(&(struct ocsp_slot_options){.leaf = leaf, .chain = chain, .bundle = name});
    SP_ASSERT(slot != NULL && ocsp_slot_has_issuer(slot));
    tls_label_unref(name);
    sk_X509_pop_free(chain, X509_free);
    X509_free(leaf);
    return slot;
}

/* What is stapled is what came, whole, and in date; the same bytes mean the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view der = {(const char *)data, size};
    struct ocsp_slot *slot = slot_new();
    enum ocsp_outcome outcome = ocsp_slot_offer(slot, der, NOW_MS);
    struct ocsp_staple *staple = ocsp_slot_staple(slot, NOW_MS);

    SP_ASSERT((staple != NULL) == (outcome == STAPLE_GOOD));
    if (staple != NULL) {
        SP_ASSERT(staple->len == size && memcmp(staple->der, data, size) == 0);
        SP_ASSERT(staple->this_update_ms < staple->next_update_ms);
        SP_ASSERT(ocsp_slot_staple(slot, staple->next_update_ms) == NULL);
    }
    SP_ASSERT(ocsp_slot_offer(slot, der, NOW_MS) == outcome);
    ocsp_staple_unref(staple);
    ocsp_slot_unref(slot);
    return 0;
}
