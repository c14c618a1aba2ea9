// Keys: those of the page that is shown, and those of every page.
import { useEffect } from "preact/hooks";
import { t } from "./text";
import { Dialog } from "./ui/parts";

type Keys = Record<string, () => void>;

const stack: Keys[] = [];

function isTyping(target: EventTarget | null): boolean {
    return (
        target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
    );
}

addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    for (let i = stack.length - 1; i >= 0; i--) {
        const run = stack[i]![event.key];
        if (!run) continue;
        event.preventDefault();
        run();
        return;
    }
});

/** The keys hold as long as the component stands; the innermost component's count first. */
export function useKeys(keys: Keys): void {
    useEffect(() => {
        stack.push(keys);
        return () => {
            stack.splice(stack.indexOf(keys), 1);
        };
    });
}

export function HelpDialog({ onClose }: { onClose: () => void }) {
    const rows: [string, string][] = [
        ["j / k", t("next, previous row", "下一行、上一行")],
        ["Enter", t("open the row", "打开该行")],
        ["/", t("search", "搜索")],
        ["e", t("problems only, or all", "仅看问题 / 全部")],
        ["f", t("follow: live, or off", "实时跟随 / 关闭")],
        ["r", t("refresh", "刷新")],
        ["?", t("these keys", "快捷键说明")],
        ["Esc", t("close", "关闭")],
    ];
    return (
        <Dialog title={t("Keys", "快捷键")} onClose={onClose}>
            <table class="keys">
                <tbody>
                    {rows.map(([key, what]) => (
                        <tr>
                            <th scope="row">
                                <kbd>{key}</kbd>
                            </th>
                            <td>{what}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
            <div class="actions">
                <button type="button" onClick={onClose}>
                    {t("Close", "关闭")}
                </button>
            </div>
        </Dialog>
    );
}
