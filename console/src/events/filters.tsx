// What of the timeline is shown; all of it stands in the address.
import type { RefObject } from "preact";
import { useMemo } from "preact/hooks";
import { order, refresh, REFRESHES, times } from "../preferences";
import { setQuery } from "../route";
import { t } from "../text";
import { Choice, Search, Select, typeName } from "../ui/parts";
import { STAGES, stageName } from "../ui/stages";
import type { Filter } from "./timeline";

export function filterOf(query: URLSearchParams): Filter {
    return {
        type: query.get("type") ?? "",
        stage: query.get("stage") ?? "",
        reason: query.get("reason") ?? "",
        text: query.get("text") ?? "",
        attempt: Number(query.get("attempt")) || 0,
    };
}

export function refreshName(value: (typeof REFRESHES)[number]): string {
    if (value === "live") return t("live", "实时");
    if (value === "off") return t("only when asked", "手动刷新");
    return t(`every ${value} s`, `每 ${value} 秒`);
}

interface Props {
    filter: Filter;
    reasons: string[];
    attempts: number;
    problems: number;
    total: number;
    search: RefObject<HTMLInputElement | null>;
}

export function EventFilters({ filter, reasons, attempts, problems, total, search }: Props) {
    const typing = useMemo<{ timer?: ReturnType<typeof setTimeout> }>(() => ({}), []);
    const onText = (text: string) => {
        clearTimeout(typing.timer);
        typing.timer = setTimeout(() => setQuery({ text }), 200);
    };
    const all = t("all", "全部");
    const listed = filter.reason && !reasons.includes(filter.reason) ? [...reasons, filter.reason] : reasons;
    return (
        <div class="row filters" role="search">
            <Choice
                label={t("Type", "类型")}
                value={filter.type}
                options={[
                    {
                        value: "problems",
                        label: problems >= 0 ? `${t("Problems", "问题")} ${problems}` : t("Problems", "问题"),
                    },
                    { value: "", label: total >= 0 ? `${t("All", "全部")} ${total}` : t("All", "全部") },
                    ...(["normal", "abnormal", "hint"] as const).map((value) => ({
                        value: value as string,
                        label: typeName(value),
                    })),
                ]}
                onChange={(type) => setQuery({ type })}
            />
            <Select
                label={t("Stage", "阶段")}
                value={filter.stage}
                options={[
                    { value: "", label: `${t("stage", "阶段")}: ${all}` },
                    ...STAGES.map((value) => ({ value: value as string, label: stageName(value) })),
                ]}
                onChange={(stage) => setQuery({ stage })}
            />
            <Select
                label={t("Reason", "事件代码")}
                value={filter.reason}
                options={[
                    { value: "", label: `${t("reason", "事件代码")}: ${all}` },
                    ...listed.map((value) => ({ value, label: value })),
                ]}
                onChange={(reason) => setQuery({ reason })}
            />
            {attempts > 1 && (
                <Select
                    label={t("Attempt", "尝试")}
                    value={filter.attempt ? String(filter.attempt) : ""}
                    options={[
                        { value: "", label: `${t("attempt", "尝试")}: ${all}` },
                        ...Array.from({ length: attempts }, (_, i) => ({
                            value: String(attempts - i),
                            label: t(`attempt ${attempts - i}`, `第 ${attempts - i} 次尝试`),
                        })),
                    ]}
                    onChange={(attempt) => setQuery({ attempt })}
                />
            )}
            <Search
                label={t("Text in the message", "消息中的文字")}
                placeholder={t("Text", "文字")}
                value={filter.text}
                input={search}
                onInput={onText}
            />
        </div>
    );
}

export function ViewChoices() {
    return (
        <>
            <Select
                label={t("Order", "顺序")}
                value={order.value}
                options={[
                    { value: "newest", label: t("newest first", "最新在前") },
                    { value: "oldest", label: t("oldest first", "最早在前") },
                ]}
                onChange={(value) => (order.value = value)}
            />
            <Select
                label={t("Times", "时间")}
                value={times.value}
                options={[
                    { value: "absolute", label: t("times of day", "绝对时间") },
                    { value: "relative", label: t("how long ago", "相对时间") },
                ]}
                onChange={(value) => (times.value = value)}
            />
            <Select
                label={t("Auto refresh", "自动刷新")}
                value={refresh.value}
                options={REFRESHES.map((value) => ({ value, label: refreshName(value) }))}
                onChange={(value) => (refresh.value = value)}
            />
        </>
    );
}
