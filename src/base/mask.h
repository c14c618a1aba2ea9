/* Text that may be sent on: what is secret in it becomes ***.
 *
 * Secret is
 *   - user and password in any URL,
 *   - the value that follows a name of a secret (password, secret, token, key, …; 密码, 密钥, …):
 *     name=value, "name": "value", name: value, --name value, ?name=value,
 *   - Authorization and Cookie headers, Bearer and Basic credentials,
 *   - what is known by its form: AKIA…, ghp_…, hf_…, glpat-…, sk-…, JWTs, private keys in PEM.
 * A line stays a line: none is joined with the next. Masking twice changes nothing more. When in
 * doubt more is masked, not less. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define MASK "***"

/* The caller frees it. Bytes that are no UTF-8 are replaced. */
char *mask_text(const char *text);

/* The same of every string in a JSON value, keys too; the members of a secret name are masked
 * whatever they hold. A new value. */
json_t *mask_json(const json_t *value);

/* Whether what is called so is secret: "objects.secret_key". */
bool mask_is_secret_name(const char *name);

/* A directory as `shown` ("~"), wherever the text names it or something in it. The caller frees
 * it. */
char *mask_path(const char *text, const char *directory, const char *shown);
