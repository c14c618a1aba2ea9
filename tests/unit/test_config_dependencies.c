#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/config.h"

#define PIP(packages)    "[{\"installer\":\"pip\",\"packages\":[" packages "]}]"
#define PLAIN_NAME(name) "{\"package_name\":\"" name "\"}"
#define EXACT(name, version) \
    "{\"package_name\":\"" name "\",\"package_version\":\"" version "\",\"restraint\":\"EXACT\"}"

static char *normal_form(const char *text)
{
    const ConfigContext context = {0};
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Config) config =
        config_read_dependencies(text, strlen(text), "dependencies", &context, findings);
    assert_int_equal(findings->events->len, 0);
    json_auto_t *normal = config_dependencies_json(config->dependencies);
    return json_dumps(normal, JSON_COMPACT);
}

static void dependencies_are_equal_whatever_their_form(void **state)
{
    static const struct {
        const char *one, *other;
        bool equal;
    } CASES[] = {
        {PIP(PLAIN_NAME("numpy")), PIP(PLAIN_NAME("NumPy")), true},
        {PIP(PLAIN_NAME("a_b")), PIP(PLAIN_NAME("A.-b")), true},
        {PIP(PLAIN_NAME("x[b,a]")), PIP(PLAIN_NAME("X[A,b,a]")), true},
        {PIP(PLAIN_NAME("x[a]")), PIP(PLAIN_NAME("x")), false},
        {PIP(EXACT("a", "1.0")),
         "[{\"packages\":[{\"restraint\":\"EXACT\",\"package_version\":\"1.0\","
         "\"package_name\":\"A\"}],\"installer\":\"Pip\"}]",
         true},
        {PIP(EXACT("a", "1.0")), PIP(EXACT("a", "1.0.0")), false},
        {PIP(EXACT("a", "1.0")), PIP(PLAIN_NAME("a")), false},
        {PIP(PLAIN_NAME("a") "," PLAIN_NAME("b")), PIP(PLAIN_NAME("b") "," PLAIN_NAME("a")), false},
        {"[]", PIP(""), true},
        {"[{\"installer\":\"pip\",\"packages\":[" PLAIN_NAME(
             "a") "]},"
                  "{\"installer\":\"pip\",\"packages\":[" PLAIN_NAME("b") "]}]",
         PIP(PLAIN_NAME("a") "," PLAIN_NAME("b")), true},
        {"[{\"installer\":\"apt\",\"packages\":[" PLAIN_NAME("gcc") "]}]", PIP(PLAIN_NAME("gcc")),
         false},
        {PIP(PLAIN_NAME("Helper-1.0-py3-none-any.whl")),
         PIP(PLAIN_NAME("helper-1.0-py3-none-any.whl")), false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        char *one = normal_form(CASES[i].one), *other = normal_form(CASES[i].other);
        if ((strcmp(one, other) == 0) != CASES[i].equal)
            fail_msg("case %zu: %s and %s", i, one, other);
        free(one);
        free(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dependencies_are_equal_whatever_their_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
