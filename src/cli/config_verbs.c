/* Each verb is one request to the control socket, or two: on a terminal a change shows its plan
 * first and asks. What there is to decide, the running program decides. */
#include "config_verbs.h"

#include "admin_client.h"
#include "table.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_MS     120000
#define PATH_MAX_BYTES 4096

enum { OPTION_CONFIRM = 256, OPTION_COMMENT, OPTION_DRY_RUN };

struct asking {
    struct admin_options options;
    bool yes, dry_run;
    const char *confirm, *comment;
    int n_words; /* behind the verb and the options */
    char **words;
};

/* ---- Words ---- */

/* False: end with *status. */
static bool take_options(struct asking *a, int argc, char **argv, int *status)
{
    static const struct option longs[] = {ADMIN_OPTION_ROWS,
                                          {"yes", no_argument, NULL, 'y'},
                                          {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
                                          {"confirm", required_argument, NULL, OPTION_CONFIRM},
                                          {"comment", required_argument, NULL, OPTION_COMMENT},
                                          OPTION_ROW_HELP,
                                          {0}};
    int letter;

    *a = (struct asking){0};
    while ((letter = option_next(&command_config, argc, argv, ADMIN_OPTION_LETTERS "y", longs)) !=
           OPTION_END) {
        if (admin_option(&a->options, letter))
            continue;
        switch (letter) {
        case 'y': a->yes = true; break;
        case OPTION_DRY_RUN: a->dry_run = true; break;
        case OPTION_CONFIRM: a->confirm = optarg; break;
        case OPTION_COMMENT: a->comment = optarg; break;
        default: *status = letter == OPTION_HELP ? EXIT_DONE : EXIT_USAGE; return false;
        }
    }
    a->n_words = argc - optind;
    a->words = argv + optind;
    return true;
}

struct wanted {
    int least, most;  /* words */
    const char *what; /* they are */
};

/* The same, with so many words. */
static bool take(struct asking *a, int argc, char **argv, struct wanted wanted, int *status)
{
    if (!take_options(a, argc, argv, status))
        return false;
    if (a->n_words >= wanted.least && a->n_words <= wanted.most)
        return true;
    *status = command_misused(&command_config, "%s: %s", argv[0], wanted.what);
    return false;
}

struct path {
    char text[PATH_MAX_BYTES];
    bool query; /* there is a "?" already */
    bool cut;
};

static void path_add(struct path *p, const char *text)
{
    size_t len = strlen(p->text), more = strlen(text);

    if (more >= sizeof(p->text) - len) {
        p->cut = true;
        return;
    }
    memcpy(p->text + len, text, more + 1);
}

static void path_escape(struct path *p, struct view v)
{
    char escaped[PATH_MAX_BYTES];

    if (admin_client_escape(v, escaped, sizeof(escaped)))
        path_add(p, escaped);
    else
        p->cut = true;
}

/* The slashes of a pointer stay. */
static void path_pointer(struct path *p, const char *pointer)
{
    while (*pointer != '\0') {
        size_t len = strcspn(pointer, "/");

        if (len > 0)
            path_escape(p, (struct view){pointer, len});
        pointer += len;
        if (*pointer == '/') {
            path_add(p, "/");
            pointer++;
        }
    }
}

static void path_query(struct path *p, const char *name, const char *value)
{
    path_add(p, p->query ? "&" : "?");
    p->query = true;
    path_add(p, name);
    if (value == NULL)
        return;
    path_add(p, "=");
    path_escape(p, view_of(value));
}

static int too_long(void)
{
    (void)fputs("sallyport config: this is too long for a request\n", stderr);
    return EXIT_REFUSED;
}

/* ---- Questions ---- */

/* "file:line:column: pointer: text" is what `check` says; here the place is in a document of the
 * running program, and the pointer says more. */
static void tell_problems(json_t *answer)
{
    const json_t *problem;
    size_t i;

    json_array_foreach(json_object_get(answer, "problems"), i, problem)
    {
        const char *level = json_string_value(json_object_get(problem, "level"));
        const char *pointer = json_string_value(json_object_get(problem, "pointer"));
        const char *text = json_string_value(json_object_get(problem, "text"));

        if (level != NULL && pointer != NULL && text != NULL)
            (void)fprintf(stderr, "%s: %s%s%s\n", level, pointer, pointer[0] == '\0' ? "" : ": ",
                          text);
    }
}

static json_t *parse(const struct admin_reply *reply)
{
    return json_loadb(reply->body.p == NULL ? "" : reply->body.p, reply->body.len, 0, NULL);
}

/* False: it was told why not. The reply is to be ended in any case. */
static bool ask(const struct asking *a, const struct admin_call *call, struct admin_reply *reply)
{
    struct admin_call whole = *call;

    whole.command = &command_config;
    whole.options = &a->options;
    whole.timeout_ms = TIMEOUT_MS;
    if (admin_client_ask(&whole, reply) != ADMIN_ANSWERED)
        return false;
    if (reply->status < 300)
        return true;
    if (a->options.json) {
        (void)fwrite(reply->body.p, 1, reply->body.len, stdout);
        return false;
    }
    admin_reply_tell_problem(reply, &command_config);
    json_t *answer = parse(reply);
    tell_problems(answer);
    json_decref(answer);
    return false;
}

/* GET: `show` prints what came, unless it is wanted as it came. */
static int get(const struct asking *a, const struct path *p, void (*show)(json_t *answer))
{
    struct admin_reply reply;
    bool ok;

    if (p->cut)
        return too_long();
    ok = ask(a, &(struct admin_call){.path = p->text}, &reply);
    if (ok && (show == NULL || a->options.json)) {
        (void)fwrite(reply.body.p, 1, reply.body.len, stdout);
    } else if (ok) {
        json_t *answer = parse(&reply);

        show(answer);
        json_decref(answer);
    }
    admin_reply_fini(&reply);
    return ok ? EXIT_DONE : EXIT_REFUSED;
}

static void show_text(json_t *answer)
{
    const char *text = json_string_value(json_object_get(answer, "text"));

    (void)fputs(text == NULL ? "" : text, stdout);
}

/* ---- Changes ---- */

struct change {
    const char *method;
    struct path path;
    struct view body;
    const char *content_type;
};

static void show_applied(const struct asking *a, json_t *answer)
{
    const char *confirm_by = json_string_value(json_object_get(answer, "confirm_by"));
    json_int_t closing = json_integer_value(json_object_get(answer, "connections"));
    json_int_t revision = json_integer_value(json_object_get(answer, "revision"));

    tell_problems(answer);
    if (closing > 0)
        (void)printf("connections that end with their port: %lld\n", (long long)closing);
    if (a->dry_run)
        return;
    if (!json_is_true(json_object_get(answer, "applied"))) {
        (void)puts("nothing to change");
    } else if (confirm_by != NULL) {
        (void)printf(
            "applied: revision %lld, until %s unless confirmed (sallyport config confirm)\n",
            (long long)revision, confirm_by);
    } else {
        (void)printf("applied: revision %lld\n", (long long)revision);
    }
}

/* `tag`: If-Match, or NULL. `seen`: the plan has been shown. */
static bool send_change(const struct asking *a, const struct change *c, bool dry_run,
                        const char *tag, struct admin_reply *reply)
{
    const struct admin_field field = {"If-Match", tag};
    struct path p = c->path;

    if (dry_run)
        path_query(&p, "dry_run", NULL);
    if (a->confirm != NULL)
        path_query(&p, "confirm", a->confirm);
    if (a->comment != NULL)
        path_query(&p, "comment", a->comment);
    if (p.cut) {
        (void)too_long();
        *reply = (struct admin_reply){0};
        return false;
    }
    return ask(a,
               &(struct admin_call){.method = c->method,
                                    .path = p.text,
                                    .body = c->body,
                                    .content_type = c->content_type,
                                    .fields = &field,
                                    .n_fields = tag == NULL ? 0 : 1},
               reply);
}

static int finish_change(const struct asking *a, const struct change *c, const char *tag, bool seen)
{
    struct admin_reply reply;
    bool ok = send_change(a, c, a->dry_run, tag, &reply);

    if (ok && a->options.json) {
        (void)fwrite(reply.body.p, 1, reply.body.len, stdout);
    } else if (ok) {
        json_t *answer = parse(&reply);

        if (!seen)
            show_text(answer);
        show_applied(a, answer);
        json_decref(answer);
    }
    admin_reply_fini(&reply);
    return ok ? EXIT_DONE : EXIT_REFUSED;
}

static bool says_yes(void)
{
    char line[16];

    (void)fputs("apply? [y/N] ", stdout);
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

/* The plan, and whether to go on. What is applied then is what was shown, or nothing. */
static int ask_first(const struct asking *a, const struct change *c)
{
    struct admin_reply reply;
    bool ok = send_change(a, c, true, NULL, &reply), yes = false;
    char tag[128] = "";

    if (ok) {
        json_t *answer = parse(&reply);
        struct view field = admin_reply_field(&reply, "etag");

        show_text(answer);
        tell_problems(answer);
        json_decref(answer);
        if (field.len < sizeof(tag) && field.len > 0)
            memcpy(tag, field.p, field.len);
        yes = says_yes();
    }
    admin_reply_fini(&reply);
    if (!ok)
        return EXIT_REFUSED;
    if (yes)
        return finish_change(a, c, tag, true);
    (void)puts("nothing has changed");
    return EXIT_REFUSED;
}

static int run_change(const struct asking *a, const struct change *c)
{
    bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;

    if (c->path.cut)
        return too_long();
    if (terminal && !a->yes && !a->dry_run && !a->options.json)
        return ask_first(a, c);
    return finish_change(a, c, NULL, false);
}

/* ---- Bodies ---- */

/* Whatever is JSON is that; any other word is a string. Freed by the caller; NULL: no memory. */
static char *value_of(const char *word)
{
    json_t *json = json_loads(word, JSON_DECODE_ANY, NULL);
    char *text;

    if (json != NULL) {
        json_decref(json);
        return strdup(word);
    }
    json = json_string(word);
    text = json_dumps(json, JSON_ENCODE_ANY);
    json_decref(json);
    return text;
}

/* A file, or standard input for "-". Freed by the caller; NULL: told why. */
static char *read_all(const char *name, size_t *len)
{
    FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    char piece[16384];
    size_t n;

    while (in != NULL && out != NULL && (n = fread(piece, 1, sizeof(piece), in)) > 0)
        (void)fwrite(piece, 1, n, out);
    bool ok = in != NULL && ferror(in) == 0;
    if (!ok)
        (void)fprintf(stderr, "sallyport config: %s: %s\n", name,
                      strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (in != NULL && in != stdin)
        (void)fclose(in);
    if (out != NULL && fclose(out) == 0 && ok)
        return text;
    free(text);
    return NULL;
}

/* ---- Verbs ---- */

int config_show(int argc, char **argv)
{
    struct path p = {"/config/", false, false};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){0, 1, "the whole, or one revision by its number"},
              &status))
        return status;
    if (a.n_words == 0) {
        p.text[strlen("/config")] = '\0';
        return get(&a, &p, NULL);
    }
    p = (struct path){"/revisions/", false, false};
    path_escape(&p, view_of(a.words[0]));
    return get(&a, &p, show_text);
}

int config_get(int argc, char **argv)
{
    struct path p = {"/config", false, false};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){1, 1, "which JSON pointer?"}, &status))
        return status;
    path_pointer(&p, a.words[0]);
    return get(&a, &p, NULL);
}

int config_set(int argc, char **argv)
{
    struct change c = {
        .method = "PUT", .path = {"/config", false, false}, .content_type = "application/json"};
    struct asking a;
    int status;
    char *value;

    if (!take(&a, argc, argv, (struct wanted){2, 2, "a JSON pointer and a value"}, &status))
        return status;
    value = value_of(a.words[1]);
    path_pointer(&c.path, a.words[0]);
    c.body = view_of(value == NULL ? "" : value);
    status = run_change(&a, &c);
    free(value);
    return status;
}

int config_remove(int argc, char **argv)
{
    struct change c = {.method = "DELETE", .path = {"/config", false, false}};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){1, 1, "which JSON pointer?"}, &status))
        return status;
    path_pointer(&c.path, a.words[0]);
    return run_change(&a, &c);
}

static int send_file(const struct asking *a, struct change *c, const char *name)
{
    size_t len = 0;
    char *text = read_all(name, &len);
    int status;

    if (text == NULL)
        return EXIT_REFUSED;
    c->body = (struct view){text, len};
    if (c->content_type == NULL) /* a list is a JSON Patch */
        c->content_type = text[strspn(text, " \t\r\n")] == '[' ? "application/json-patch+json"
                                                               : "application/merge-patch+json";
    status = run_change(a, c);
    free(text);
    return status;
}

int config_patch(int argc, char **argv)
{
    struct change c = {.method = "PATCH", .path = {"/config", false, false}};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){1, 1, "which file? (\"-\" is standard input)"},
              &status))
        return status;
    return send_file(&a, &c, a.words[0]);
}

int config_apply(int argc, char **argv)
{
    struct change c = {
        .method = "PUT", .path = {"/config", false, false}, .content_type = "application/json"};
    struct asking a;
    int status;

    if (!take(&a, argc, argv,
              (struct wanted){0, 1, "one file (\"-\" is standard input), or the one of -c"},
              &status))
        return status;
    if (a.n_words == 0 && a.options.config == NULL)
        return command_misused(&command_config, "apply: which file?");
    return send_file(&a, &c, a.n_words == 0 ? a.options.config : a.words[0]);
}

int config_diff(int argc, char **argv)
{
    struct path p = {"/drift", false, false};
    struct asking a;
    int status;

    if (!take(&a, argc, argv,
              (struct wanted){0, 2, "two revisions, or none: what runs and the file"}, &status))
        return status;
    if (a.n_words == 1)
        return command_misused(&command_config, "diff: with which other revision?");
    if (a.n_words == 2) {
        p = (struct path){"/revisions/", false, false};
        path_escape(&p, view_of(a.words[0]));
        path_add(&p, "/diff/");
        path_escape(&p, view_of(a.words[1]));
    }
    return get(&a, &p, show_text);
}

int config_confirm(int argc, char **argv)
{
    struct admin_reply reply;
    struct asking a;
    int status;
    bool ok;

    if (!take(&a, argc, argv, (struct wanted){0, 0, "takes no words"}, &status))
        return status;
    ok = ask(&a, &(struct admin_call){.method = "POST", .path = "/config/confirm"}, &reply);
    if (ok && a.options.json) {
        (void)fwrite(reply.body.p, 1, reply.body.len, stdout);
    } else if (ok) {
        json_t *answer = parse(&reply);

        (void)printf("revision %lld stays\n",
                     (long long)json_integer_value(json_object_get(answer, "revision")));
        json_decref(answer);
    }
    admin_reply_fini(&reply);
    return ok ? EXIT_DONE : EXIT_REFUSED;
}

int config_rollback(int argc, char **argv)
{
    struct change c = {.method = "POST", .path = {"/config/rollback", false, false}};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){0, 1, "to one revision, or to the one before"},
              &status))
        return status;
    if (a.n_words == 1)
        path_query(&c.path, "to", a.words[0]);
    return run_change(&a, &c);
}

static void show_history(json_t *answer)
{
    const json_t *r;
    struct table t;
    size_t i;

    table_init(&t, ">revision|time|>uid|>pid||comment");
    json_array_foreach(json_object_get(answer, "revisions"), i, r)
    {
        bool waits = json_object_get(r, "confirm_by") != NULL;
        const char *mark = !json_is_true(json_object_get(r, "current")) ? ""
                           : waits                                      ? "unconfirmed"
                                                                        : "current";

        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(r, "revision")));
        table_cell(&t, "%s", json_string_value(json_object_get(r, "time")));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(r, "uid")));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(r, "pid")));
        table_cell(&t, "%s", mark);
        table_cell(&t, "%s", json_string_value(json_object_get(r, "comment")));
    }
    table_print(&t, stdout);
}

int config_history(int argc, char **argv)
{
    const struct path p = {"/revisions", false, false};
    struct asking a;
    int status;

    if (!take(&a, argc, argv, (struct wanted){0, 0, "takes no words"}, &status))
        return status;
    return get(&a, &p, show_history);
}
