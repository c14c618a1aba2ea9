/* What the house that runs the service adds to the answers: whom to ask, and steps of its own.
 *
 * A part of the catalogue: handed in once, before the first event is rendered, and the same for all
 * that show answers. The settings:
 *
 *   [support] contact, contact_zh     text or a URL: {support.contact} of the steps
 *   [advice]  REASON = TEXT           a step for every kind of the reason
 *             REASON.KIND = TEXT      for that kind alone, which then has no other of the house's
 *             …_zh = TEXT             the same in Chinese; without it TEXT is for both languages
 *
 * TEXT is a template (event/template.h) over the fields that the kinds' examples have, {model} and
 * {support.contact}; a line break in it (\n) begins another step. Before a last step that says to
 * retry, or behind all, it is added to our own steps; after "replace:" it stands for them. */
#pragma once

#include "base/settings.h"
#include "event/kinds.h"

/* Takes over what the settings say, instead of what was there. False: a key or a text is none
 * (SETTINGS_ERROR; the message says where it stands), and nothing was changed. */
bool advice_set(const Settings *settings, GError **error);

/* Whom to ask in that language; NULL: nobody is named. Borrowed. */
const char *advice_contact(Language language);

/* The steps of a kind, as templates, ours and the house's in their order. own (may be NULL) is set
 * to those of the house alone, NULL where it has none. The caller frees both. */
char **advice_steps(const KindRow *row, Language language, char ***own);
