/* The changes of a project's models as frames of its stream, made once for all who follow it.
 *
 * A frame is one change: the model as it was then, or that it was deleted. What is kept are the
 * newest ones without a gap; who is further behind reads the store, which has of each model the
 * newest change only, so that nobody has a backlog. */
#pragma once

#include "import/service.h"

typedef struct ModelFrames ModelFrames;
ModelFrames *model_frames_new(void);
void model_frames_free(ModelFrames *frames);

typedef struct {
    int64_t number; /* of the change */
    GBytes *bytes;
} ModelFrame;
void model_frame_free(ModelFrame *frame);

/* As long as somebody has joined, what was read of a project is kept. */
void model_frames_join(ModelFrames *frames, const char *project);
void model_frames_leave(ModelFrames *frames, const char *project);

/* The frames after that number, the oldest first, as many as fit a step; none: there is nothing
 * newer. What was deleted before `known` is left out. Array of ModelFrame; NULL: *error. */
GPtrArray *model_frames_after(ModelFrames *frames, Service *service, const char *project,
                              const char *epoch, int64_t after, int64_t known, GError **error);
