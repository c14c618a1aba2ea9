#include "command/package_view.h"

#include "model/waste.h"

#define COLUMN_SIZE  10
#define COLUMN_SHARE 5

/* "   1.2 GiB  38%  model/weights.bin": the name last, since it may be of any width. */
static void print_row(const Terminal *terminal, int64_t bytes, int64_t whole, const char *name)
{
    g_autofree char *size = format_bytes(bytes);
    g_autofree char *share = g_strdup_printf("%d%%", (int)((double)bytes / (double)whole * 100));
    g_autofree char *text = event_text(name);
    int room = terminal->width - COLUMN_SIZE - COLUMN_SHARE - 4;
    bool cut = terminal->width && text_width(text) > room;
    g_autofree char *shown = cut ? text_fit(text, room) : g_strdup(text);
    fprintf(terminal->out, "%*s %*s  %s\n", COLUMN_SIZE, size, COLUMN_SHARE, share, shown);
}

static void print_top(const Terminal *terminal, const Package *package)
{
    g_autoptr(GPtrArray) top = package_top(package);
    fputs(terminal->language == LANGUAGE_ZH ? "最大的文件:\n" : "largest files:\n", terminal->out);
    for (guint i = 0; i < top->len; i++) {
        const PackageFile *file = top->pdata[i];
        g_autofree char *path = package_path_in_source(package->child, file->path);
        print_row(terminal, file->identity.size, package->bytes, path);
    }
}

static void print_waste(const Terminal *terminal, const Package *package)
{
    g_autoptr(GPtrArray) all = package_waste(package);
    int64_t bytes = 0;
    for (guint i = 0; i < all->len; i++)
        bytes += ((const Waste *)all->pdata[i])->bytes;
    if (all->len == 0)
        return;
    g_autofree char *saved = format_bytes(bytes), *whole = format_bytes(package->bytes);
    g_autofree char *heading =
        g_strdup_printf(terminal->language == LANGUAGE_ZH
                            ? "推理通常不需要以下内容;将这些行写入 .waybillignore 可减少 %s(共 %s):"
                            : "inference does not need these, as a rule; the lines in "
                              ".waybillignore save %s of %s:",
                        saved, whole);
    terminal_wrap(terminal, heading, 0);
    for (guint i = 0; i < all->len; i++) {
        const Waste *waste = all->pdata[i];
        print_row(terminal, waste->bytes, package->bytes, waste->line);
    }
}

void package_view_print(const Terminal *terminal, const Package *package)
{
    if (package->bytes == 0)
        return;
    print_top(terminal, package);
    print_waste(terminal, package);
}
