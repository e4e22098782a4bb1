/* Options print in the order of their table, required ones first. */
#include "help.h"

#include <stdio.h>
#include <string.h>

size_t help_arguments(const struct command *command, size_t *ret_least)
{
    size_t most = 0;

    *ret_least = 0;
    for (const char *p = command->arguments; *p != '\0';) {
        size_t n = strcspn(p, " ");

        most++;
        if (*p != '[')
            (*ret_least)++;
        p += n;
        p += strspn(p, " ");
    }
    return most;
}

bool help_knows(const struct command *commands, size_t count, const char *noun)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) == 0)
            return true;
    }
    return false;
}

static void print_option_usage(enum option_id option, bool required)
{
    const struct option_row *row = option_row(option);

    print(" %s--%s%s%s%s", required ? "" : "[", row->name, row->argument != NULL ? " " : "",
          row->argument != NULL ? row->argument : "", required ? "" : "]");
    if (option == OPT_GRANT || option == OPT_TENANT)
        print("...");
}

static void print_usage(const struct command *command)
{
    print("  strongroom %s", command->noun);
    if (command->verb != NULL)
        print(" %s", command->verb);
    if (command->arguments[0] != '\0')
        print(" %s", command->arguments);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((command->required & BIT(i)) != 0)
            print_option_usage((enum option_id)i, true);
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((command->optional & ~command->required & BIT(i)) != 0)
            print_option_usage((enum option_id)i, false);
    }
    print("\n      %s\n", command->help);
}

static void print_options(const char *title, option_set options)
{
    if (options == 0)
        return;
    print("\n%s\n", title);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        char left[64];

        if ((options & BIT(i)) == 0)
            continue;
        snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument != NULL ? " " : "",
                 row->argument != NULL ? row->argument : "");
        print("  %-24s  %s\n", left, row->help);
    }
}

static void print_exits(void)
{
    print("\nexit codes\n");
    for (int i = 0; i < EXIT_CODE_COUNT; i++)
        print("  %2d  %s\n", i, exit_meaning((enum exit_code)i));
}

static void print_all(const struct command *commands, size_t count)
{
    print("usage: strongroom NOUN [VERB] [ARGUMENT...] [OPTION...]\n\ncommands\n");
    for (size_t i = 0; i < count; i++) {
        char left[64];

        snprintf(left, sizeof(left), "%s%s%s", commands[i].noun,
                 commands[i].verb != NULL ? " " : "",
                 commands[i].verb != NULL ? commands[i].verb : "");
        print("  %-20s  %s\n", left, commands[i].help);
    }
    print_options("options of all commands", GLOBAL_OPTIONS);
    print_exits();
    print("\n'strongroom help NOUN' has the options of one noun, strongroom(1) everything.\n");
}

int help_print(const struct command *commands, size_t count, const char *noun)
{
    option_set options = 0;

    if (noun == NULL) {
        print_all(commands, count);
        return EXIT_DONE;
    }
    if (!help_knows(commands, count, noun))
        return report(EXIT_USAGE, "there is no such noun; see 'strongroom help'");
    print("usage\n");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) != 0)
            continue;
        print_usage(&commands[i]);
        options |= commands[i].required | commands[i].optional;
    }
    print_options("options", options & ~GLOBAL_OPTIONS);
    print_options("options of all commands", GLOBAL_OPTIONS);
    print_exits();
    return EXIT_DONE;
}

/* " --name" of each option, or only of those that take a value. */
static void print_option_words(option_set options, bool only_valued)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        bool valued = option_row((enum option_id)i)->argument != NULL;

        if ((options & BIT(i)) != 0 && (valued || !only_valued))
            print(" --%s", option_row((enum option_id)i)->name);
    }
}

static void print_value_cases(void)
{
    static const char *const files[] = { "FILE", "PATH" };
    bool first = true;

    print("    case $previous in\n    ");
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);

        if (row->argument == NULL || (strcmp(row->argument, files[0]) != 0 &&
                                      strcmp(row->argument, files[1]) != 0 && i != OPT_KEY))
            continue;
        print("%s--%s", first ? "" : "|", row->name);
        first = false;
    }
    print(")\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n        return ;;\n");
    print("    --profile)\n        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n");
    print("        return ;;\n    --role)\n        mapfile -t COMPREPLY < <(compgen -W ");
    print("'operator admin tenant auditor' -- \"$word\")\n        return ;;\n    esac\n");
}

static bool noun_is_first(const struct command *commands, size_t i)
{
    return i == 0 || strcmp(commands[i - 1].noun, commands[i].noun) != 0;
}

void help_print_completion(const struct command *commands, size_t count)
{
    print("# bash completion for strongroom, as 'strongroom completion' prints it.\n\n");
    print("_strongroom()\n{\n    local word=${COMP_WORDS[COMP_CWORD]}\n");
    print("    local previous=${COMP_WORDS[COMP_CWORD-1]}\n");
    print("    local words=('' '') at=0 candidates='' i\n");
    print("    local valued='");
    print_option_words(BIT(OPTION_COUNT) - 1, true);
    print(" '\n");
    print("    for ((i = 1; i < COMP_CWORD && at < 2; i++)); do\n");
    print("        case ${COMP_WORDS[i]} in\n");
    print("        -*) [[ $valued == *\" ${COMP_WORDS[i]} \"* ]] && ((i++)) ;;\n");
    print("        *) words[at++]=${COMP_WORDS[i]} ;;\n        esac\n    done\n");
    print_value_cases();
    print("    case \"${words[0]} ${words[1]}\" in\n    ' ')\n        candidates='");
    for (size_t i = 0; i < count; i++) {
        if (noun_is_first(commands, i))
            print("%s%s", i == 0 ? "" : " ", commands[i].noun);
    }
    print("' ;;\n");
    for (size_t i = 0; i < count; i++) {
        if (commands[i].verb == NULL) {
            print("    '%s '*)\n        candidates='", commands[i].noun);
        } else {
            if (noun_is_first(commands, i)) {
                print("    '%s ')\n        candidates='", commands[i].noun);
                for (size_t k = i; k < count && commands[k].verb != NULL &&
                                   strcmp(commands[k].noun, commands[i].noun) == 0;
                     k++)
                    print("%s%s", k == i ? "" : " ", commands[k].verb);
                print("' ;;\n");
            }
            print("    '%s %s')\n        candidates='", commands[i].noun, commands[i].verb);
        }
        print_option_words(commands[i].required | (commands[i].optional & ~GLOBAL_OPTIONS), false);
        print("' ;;\n");
    }
    print("    esac\n    [[ $word == -* ]] && candidates+='");
    print_option_words(GLOBAL_OPTIONS, false);
    print("'\n    mapfile -t COMPREPLY < <(compgen -W \"$candidates\" -- \"$word\")\n}\n");
    print("complete -F _strongroom strongroom\n");
}
