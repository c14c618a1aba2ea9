/* What a folder holds, recognised by the files that frameworks write: for `waybill init`. */
#pragma once

#include "model/package.h"

/* A guess and its reason. Texts that are not freed are static. */
typedef struct {
    const char *type;            /* a model type; NULL: nothing was recognised */
    char *directory;             /* of the model files, beneath the source; "" is the source */
    char *file;                  /* what it was recognised by, beneath the source; NULL: --type */
    const char *why_en, *why_zh; /* what that file is */
    GPtrArray *others;           /* of char *: further directories that look alike */
    GPtrArray *also;             /* of char *: files of other types in the same directory */
    bool huggingface;            /* the config.json there is Hugging Face's */
    char *algorithm;             /* as that config.json says; NULL: it does not */
    char *requirements;   /* MLflow's requirements.txt, beneath the source; NULL: there is none */
    json_t *dependencies; /* what it says, in config.json's words; NULL: nothing */
    GPtrArray *unsaid;    /* of char *: its lines that config.json has no words for */
} Recognition;

/* package: a whole source, listed with the child ".". type: what is known of it, or NULL. */
Recognition *recognise(Package *package, const char *type);
void recognition_free(Recognition *recognition);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recognition, recognition_free)

/* A text that keeps the rule of model_algorithm, made from this one. The caller frees it. */
char *recognise_algorithm(const char *text);
