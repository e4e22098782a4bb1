/* The catalogue of providers, for people and programs. Nothing is asked of the vault. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "provider/shape.h"
#include "table.h"

static const struct column list_columns[] = {
    { "NAME", "name", COLUMN_TEXT },
    { "PROVIDER", "title", COLUMN_TEXT },
    { "FIELDS", "field_names", COLUMN_TEXT },
    { "VARIABLES", "variable_names", COLUMN_TEXT },
};
static const struct column field_columns[] = {
    { "FIELD", "name", COLUMN_TEXT },
    { "WHAT", "title", COLUMN_TEXT },
    { "SECRET", "secret", COLUMN_TEXT },
};
static const struct column text_columns[] = {
    { "NAME", "name", COLUMN_TEXT },
    { "VALUE", "template", COLUMN_TEXT },
};
static const struct column shape_columns[] = {
    { "FIELD", "field", COLUMN_TEXT },
    { "SCOPE", "scope", COLUMN_TEXT },
    { "LOOKS LIKE", "text", COLUMN_TEXT },
};

static json_t *fields_json(const struct provider *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->field_count; i++) {
        const struct provider_field *f = &p->field[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", f->name, "title", f->title,
                                              "secret", f->secret));
    }
    return list;
}

/* Each form as the names of its fields, with "?" behind what may be left out. */
static json_t *forms_json(const struct provider *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->form_count; i++) {
        json_t *form = json_array();

        for (size_t k = 0; k < p->field_count; k++) {
            bool required = (p->form[i].required >> k & 1) != 0;
            bool optional = (p->form[i].optional >> k & 1) != 0;

            if (required || optional)
                json_array_append_new(form,
                                      json_sprintf("%s%s", p->field[k].name, required ? "" : "?"));
        }
        json_array_append_new(list, form);
    }
    return list;
}

static json_t *texts_json(const struct provider_text *texts, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", texts[i].name, "template", texts[i].text));
    return list;
}

static json_t *shapes_json(const struct provider *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->shape_count; i++) {
        const struct provider_shape *s = &p->shape[i];
        char text[SHAPE_TEXT];

        shape_format(s, text);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s}", "field",
                                              p->field[s->field].name, "scope",
                                              scope_name(s->scope), "prefix", s->prefix, "alphabet",
                                              alphabet_name(s->alphabet), "least", (int)s->least,
                                              "most", (int)s->most, "text", text));
    }
    return list;
}

static json_t *provider_json(const struct provider *p)
{
    const char *bare = p->bare >= 0 ? p->field[p->bare].name : NULL;

    return json_pack("{s:s, s:i, s:s, s:o, s:o, s:s?, s:o, s:o, s:o, s:s?, s:o}", "name", p->name,
                     "code", (int)p->code, "title", p->title, "fields", fields_json(p), "forms",
                     forms_json(p), "bare", bare, "headers", texts_json(p->header, p->header_count),
                     "envoy", texts_json(p->envoy, p->envoy_count), "variables",
                     texts_json(p->variable, p->variable_count), "file", p->file, "shapes",
                     shapes_json(p));
}

/* The names of a list, as one cell of a table. */
static void add_names(json_t *item, const char *list, const char *member)
{
    char text[256] = "";
    size_t used = 0, i;
    json_t *one;

    json_array_foreach(json_object_get(item, list), i, one)
    {
        int n = snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
                         json_string_value(json_object_get(one, "name")));

        if (n < 0 || (size_t)n >= sizeof(text) - used)
            break;
        used += (size_t)n;
    }
    json_object_set_new(item, member, json_string(used > 0 ? text : "-"));
}

int provider_list(struct cli *c)
{
    AUTO(json_t) *reply = json_pack("{s:[]}", "providers");
    json_t *list = json_object_get(reply, "providers");
    const struct provider *p;

    for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
        json_t *item = provider_json(p);

        if (!cli_json(c)) {
            add_names(item, "fields", "field_names");
            add_names(item, "variables", "variable_names");
        }
        if (json_array_append_new(list, item) != 0)
            return report(EXIT_OTHER, "no memory");
    }
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(list, COLUMNS(list_columns), "No providers are known.");
    return EXIT_DONE;
}

static void print_part(const json_t *item, const char *member, const char *title,
                       const struct column *columns, size_t count)
{
    const json_t *list = json_object_get(item, member);

    if (json_array_size(list) == 0)
        return;
    print("\n%s\n", title);
    table_print(list, columns, count, "");
}

static void print_forms(const json_t *item)
{
    size_t i, k;
    json_t *form, *name;

    json_array_foreach(json_object_get(item, "forms"), i, form)
    {
        print("%s", i == 0 ? "A credential is" : " or");
        json_array_foreach(form, k, name)
        {
            print(" %s", json_string_value(name));
        }
    }
    print("%s\n", json_is_string(json_object_get(item, "bare"))
                      ? ""
                      : ", as a JSON object on standard input");
}

int provider_show(struct cli *c)
{
    const char *name = cli_argument(c, 0);
    const struct provider *p = provider_of(provider_parse(name));

    if (p == NULL)
        return report(EXIT_ABSENT,
                      "no provider of that name is known; see 'strongroom provider list'");
    AUTO(json_t) *item = provider_json(p);

    if (item == NULL)
        return report(EXIT_OTHER, "no memory");
    if (cli_json(c)) {
        table_print_json(item);
        return EXIT_DONE;
    }
    print("%s: %s\n", p->name, p->title);
    print_forms(item);
    print_part(item, "fields", "Fields", COLUMNS(field_columns));
    print_part(item, "headers", "Headers of a request", COLUMNS(text_columns));
    print_part(item, "envoy", "Headers for Envoy AI Gateway", COLUMNS(text_columns));
    print_part(item, "variables", "Variables of 'exec'", COLUMNS(text_columns));
    if (p->file != NULL)
        print("\n'exec --file' names the file in %s\n", p->file);
    print_part(item, "shapes", "What they look like, so far", COLUMNS(shape_columns));
    return EXIT_DONE;
}
