// Who did what, the newest first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, isOperator, withQuery } from "../api";
import { href, route, setQuery } from "../route";
import { t } from "../text";
import { useLoad } from "../ui/load";
import { Empty, Loading, Problem, Time } from "../ui/parts";

interface Entry {
    id: number;
    time: number;
    actor: string;
    credential: string | null;
    project: string | null;
    action: string;
    object: string | null;
    model: string | null;
    outcome: string;
}

interface Page {
    next: number | null;
    entries: Entry[];
}

const FILTERS = ["actor", "action", "project"] as const;

export function AuditPart() {
    const query = route.value.query;
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
    const path = withQuery("v1/audit", wanted);
    const first = useLoad((signal) => ask<Page>("GET", path, { signal }), [path]);
    const page = first.data.value;
    return (
        <>
            <Filters />
            {first.error.value !== null && <Problem error={first.error.value} again={() => void first.again()} />}
            {!page && first.error.value === null && <Loading />}
            {page && page.entries.length === 0 && <Empty>{t("Nothing of that was done.", "没有相关记录。")}</Empty>}
            {page && page.entries.length > 0 && <Rows key={path} path={path} first={page} />}
        </>
    );
}

function Filters() {
    const names = {
        actor: t("Who", "操作人"),
        action: t("Action, such as model.delete", "操作,如 model.delete"),
        project: t("Project", "项目"),
    };
    return (
        <div class="row filters" role="search">
            {FILTERS.filter((name) => name !== "project" || isOperator()).map((name) => (
                <label class="field-bare">
                    <span class="offscreen">{names[name]}</span>
                    <input
                        type="search"
                        placeholder={names[name]}
                        value={route.value.query.get(name) ?? ""}
                        onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim() })}
                        spellcheck={false}
                    />
                </label>
            ))}
        </div>
    );
}

function Rows({ path, first }: { path: string; first: Page }) {
    const pages = useSignal<Page[]>([first]);
    const error = useSignal<unknown>(null);
    useEffect(() => {
        pages.value = [first];
    }, [first]);
    const next = pages.value[pages.value.length - 1]!.next;
    const more = async () => {
        try {
            const page = await ask<Page>("GET", `${path}${path.includes("?") ? "&" : "?"}before=${next}`);
            pages.value = [...pages.value, page];
            error.value = null;
        } catch (failed) {
            error.value = failed;
        }
    };
    return (
        <>
            <table class="cards card-table">
                <thead>
                    <tr>
                        <th scope="col">{t("Time", "时间")}</th>
                        <th scope="col">{t("Who", "操作人")}</th>
                        <th scope="col">{t("Did", "操作")}</th>
                        <th scope="col">{t("To", "对象")}</th>
                        <th scope="col">{t("Project", "项目")}</th>
                        <th scope="col">{t("With", "凭据")}</th>
                    </tr>
                </thead>
                <tbody>
                    {pages.value
                        .flatMap((page) => page.entries)
                        .map((entry) => (
                            <Row key={entry.id} entry={entry} />
                        ))}
                </tbody>
            </table>
            {error.value !== null && <Problem error={error.value} />}
            {next !== null && (
                <button type="button" onClick={() => void more()}>
                    {t("Older ones", "更早的记录")}
                </button>
            )}
        </>
    );
}

function outcomeName(outcome: string): string {
    if (outcome === "refused") return t("✗ refused", "✗ 被拒绝");
    return outcome === "failed" ? t("✗ failed", "✗ 失败") : "";
}

function Row({ entry }: { entry: Entry }) {
    return (
        <tr>
            <td>
                <Time at={entry.time} />
            </td>
            <th scope="row">{entry.actor}</th>
            <td data-label={t("Did", "操作")}>
                <code>{entry.action}</code> {outcomeName(entry.outcome)}
            </td>
            <td data-label={t("To", "对象")}>
                {entry.model && entry.project ? (
                    <a href={href([entry.project, "models", entry.object ?? ""])}>{entry.model}</a>
                ) : (
                    <code>{entry.object ?? "–"}</code>
                )}
            </td>
            <td data-label={t("Project", "项目")}>{entry.project ?? "–"}</td>
            <td data-label={t("With", "凭据")}>
                <code>{entry.credential ?? "–"}</code>
            </td>
        </tr>
    );
}
