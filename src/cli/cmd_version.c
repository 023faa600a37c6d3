/* sallyport version: what this program is made of and what it can do here. */
#include "command.h"

#include <sallyport/app/text.h>
#include <sallyport/base/allocator.h>
#include <sallyport/base/version.h>
#include <sallyport/config/json_library.h>
#include <sallyport/net/net_dns_library.h>
#include <sallyport/tls/tls_library.h>

struct library {
    const char *role, *name, *version;
};

static size_t libraries(struct library out[4])
{
    out[0] = (struct library){"tls", "OpenSSL", tls_library_version()};
    out[1] = (struct library){"json", "jansson", json_library_version()};
    out[2] = (struct library){"dns", "c-ares", net_dns_library_version()};
    out[3] = (struct library){"malloc", allocator_name(), allocator_version()};
    return 4;
}

static void print_text(const struct library *libs, size_t n_libs,
                       const struct tls_feature *features, size_t n_features)
{
    (void)printf("sallyport %s\n", SALLYPORT_VERSION);
    for (size_t i = 0; i < n_libs; i++)
        (void)printf("  %-9s %s\n", libs[i].name, libs[i].version);
    for (size_t i = 0; i < n_features; i++)
        (void)printf("  %-9s %s\n", features[i].available ? "yes" : "no", features[i].text);
}

static void print_json(const struct library *libs, size_t n_libs,
                       const struct tls_feature *features, size_t n_features)
{
    (void)printf("{\n  \"version\": \"%s\",\n  \"libraries\": {", SALLYPORT_VERSION);
    for (size_t i = 0; i < n_libs; i++) {
        (void)printf("%s\n    \"%s\": ", i == 0 ? "" : ",", libs[i].role);
        text_json(stdout, view_of(libs[i].version));
    }
    (void)printf("\n  },\n  \"features\": {");
    for (size_t i = 0; i < n_features; i++)
        (void)printf("%s\n    \"%s\": %s", i == 0 ? "" : ",", features[i].name,
                     features[i].available ? "true" : "false");
    (void)printf("\n  }\n}\n");
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, OPTION_ROW_HELP, {0}};
    struct library libs[4];
    struct tls_feature features[TLS_FEATURES_MAX];
    bool json = false;
    int letter;

    while ((letter = option_next(&command_version, argc, argv, "j", longs)) != OPTION_END) {
        if (letter != 'j')
            return letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE;
        json = true;
    }
    if (optind < argc)
        return command_misused(&command_version, "\"%s\" is one argument too many", argv[optind]);
    size_t n_libs = libraries(libs), n_features = tls_library_features(features);
    (json ? print_json : print_text)(libs, n_libs, features, n_features);
    return EXIT_DONE;
}

const struct command command_version = {
    .name = "version",
    .summary = "Versions of this program and its libraries, and what they can do here.",
    .usage = "version [--json]",
    .options = "  -j, --json          the same as JSON\n",
    .run = run,
};
