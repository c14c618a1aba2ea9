#include "upkeep/gc_schedule.h"

#include "base/clock.h"

#include "command/command.h"

static json_t *result_json(const GcResult *result, bool dry_run)
{
    return json_pack(
        "{s:b, s:i, s:I, s:i, s:I, s:i, s:I, s:i, s:i, s:I, s:i, s:i, s:b, s:b, s:i, s:I, s:i}",
        "dry_run", dry_run, "blobs", result->blobs, "blob_bytes", (json_int_t)result->blob_bytes,
        "temporary_files", result->temporary, "temporary_bytes",
        (json_int_t)result->temporary_bytes, "uploads", result->uploads, "upload_bytes",
        (json_int_t)result->upload_bytes, "forgotten_files", result->digests, "kept_blobs",
        result->kept, "kept_bytes", (json_int_t)result->kept_bytes, "forgotten_models",
        result->models, "images", result->images, "images_refused", result->refused, "busy",
        result->busy, "copies", result->copies, "copy_bytes", (json_int_t)result->copy_bytes,
        "forgotten_attempts", result->attempts);
}

static void print_count(const Terminal *terminal, bool dry_run, int count, const char *what,
                        const char *what_zh)
{
    if (count && terminal->language == LANGUAGE_ZH)
        fprintf(terminal->out, "%s %d 个%s\n", dry_run ? "将删除" : "已删除", count, what_zh);
    else if (count)
        fprintf(terminal->out, "%s %s: %d\n", dry_run ? "would remove" : "removed", what, count);
}

static void result_print(const Terminal *terminal, const GcResult *result, bool dry_run)
{
    g_autofree char *blobs = format_bytes(result->blob_bytes);
    g_autofree char *temporary = format_bytes(result->temporary_bytes);
    g_autofree char *kept = format_bytes(result->kept_bytes);
    if (terminal->language == LANGUAGE_ZH)
        fprintf(terminal->out, "%s %d 个 blob(%s)、%d 个遗留文件(%s);保留 %d 个 blob(%s)\n",
                dry_run ? "将删除" : "已删除", result->blobs, blobs, result->temporary, temporary,
                result->kept, kept);
    else
        fprintf(terminal->out, "%s blobs: %d (%s), left-over files: %d (%s); kept blobs: %d (%s)\n",
                dry_run ? "would remove" : "removed", result->blobs, blobs, result->temporary,
                temporary, result->kept, kept);
    print_count(terminal, dry_run, result->models, "timelines of versions deleted long ago",
                "早已删除的模型版本的事件记录");
    print_count(terminal, dry_run, result->attempts, "old events of attempts", "旧尝试的事件记录");
    print_count(terminal, dry_run, result->images, "images of deleted models in the registry",
                "镜像仓库中已删除模型的镜像");
    print_count(terminal, dry_run, result->copies, "copies of deleted models in the own bucket",
                "自有桶中已删除模型的副本");
    if (result->refused)
        complain("the registry that keeps the images does not let us delete there: what deleted "
                 "models had stays");
    if (result->busy)
        fprintf(terminal->out, terminal->language == LANGUAGE_ZH
                                   ? "正在构建或试运行镜像,其文件保留到下次清理\n"
                                   : "an image is being built or tried: its files are left to the "
                                     "next gc\n");
    if (result->uploads == 0)
        return;
    g_autofree char *uploads = format_bytes(result->upload_bytes);
    if (terminal->language == LANGUAGE_ZH)
        fprintf(terminal->out, "%s %d 个过期的上传(%s)\n", dry_run ? "将删除" : "已删除",
                result->uploads, uploads);
    else
        fprintf(terminal->out, "%s uploads: %d (%s)\n", dry_run ? "would remove" : "removed",
                result->uploads, uploads);
}

int command_gc(Session *session, int argc, char **argv)
{
    gboolean json = FALSE, dry_run = FALSE;
    const GOptionEntry entries[] = {{"dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run,
                                     "Count, and remove nothing", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("gc"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    GcResult result;
    const int64_t began = clock_now_ms();
    if (!gc_run(session->service, dry_run, &result, &error) ||
        (!dry_run && !gc_schedule_note(session->service, began, &result, &error)))
        return complain_of(error);
    if (json)
        print_json_line(result_json(&result, dry_run));
    else if (!session->quiet)
        result_print(&session->out, &result, dry_run);
    return EXIT_DONE;
}
