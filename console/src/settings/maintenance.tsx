// Maintenance: while it is on, imports that would start wait, and their timelines say why.
import { useSignal } from "@preact/signals";
import { ask, isOperator } from "../api";
import { dateAndTime, plural, t } from "../text";
import { announce } from "../ui/announce";
import { useLoad } from "../ui/load";
import { Confirm, Loading, Problem, Time } from "../ui/parts";
import { Field, Form, useEvery } from "./form";

const LOOK_MS = 5000;

interface Maintenance {
    on: boolean;
    message?: string | null;
    until?: number | null;
    actor?: string;
    since?: number;
    waiting?: number;
}

export function MaintenancePart() {
    const loaded = useLoad((signal) => ask<Maintenance>("GET", "v1/maintenance", { signal }), []);
    useEvery(LOOK_MS, () => void loaded.again());
    const state = loaded.data.value;
    if (!state)
        return loaded.error.value === null ? (
            <Loading />
        ) : (
            <Problem error={loaded.error.value} again={() => void loaded.again()} />
        );
    const taken = (answer: Maintenance) => {
        loaded.data.value = answer;
        announce(
            answer.on ? t("Maintenance is on.", "维护模式已开启。") : t("Maintenance is off.", "维护模式已关闭。"),
        );
    };
    return (
        <>
            {loaded.error.value !== null && <Problem error={loaded.error.value} />}
            <State state={state} taken={taken} />
            {isOperator() && !state.on && <SwitchOn taken={taken} />}
            {!isOperator() && (
                <p class="quiet">
                    {t("Operators, who have every project, switch it.", "仅所有项目的管理员可以切换。")}
                </p>
            )}
        </>
    );
}

function State({ state, taken }: { state: Maintenance; taken: (answer: Maintenance) => void }) {
    const asking = useSignal(false);
    const off = async () => taken(await ask<Maintenance>("POST", "v1/maintenance", { body: { on: false } }));
    if (!state.on)
        return (
            <section class="card">
                <p>✓ {t("Maintenance is off: imports start as they come.", "维护模式已关闭:导入正常开始。")}</p>
            </section>
        );
    return (
        <section class="card">
            <p>
                <strong>
                    ! {t("Maintenance is on: imports that would start wait.", "维护模式已开启:新的导入会等待。")}
                </strong>
            </p>
            <dl class="facts">
                <dt>{t("By", "开启者")}</dt>
                <dd>
                    {state.actor} · {state.since !== undefined && <Time at={state.since} />}
                </dd>
                <dt>{t("Until", "结束时间")}</dt>
                <dd>{state.until ? dateAndTime(state.until) : t("it is switched off", "手动关闭为止")}</dd>
                <dt>{t("Message", "说明")}</dt>
                <dd>{state.message || "–"}</dd>
                <dt>{t("Waiting", "等待中")}</dt>
                <dd>{t(plural(state.waiting ?? 0, "import", "imports"), `${state.waiting ?? 0} 个导入`)}</dd>
            </dl>
            {isOperator() && (
                <p class="actions">
                    <button type="button" class="primary" onClick={() => (asking.value = true)}>
                        {t("Switch it off", "关闭维护模式")}
                    </button>
                </p>
            )}
            {asking.value && (
                <Confirm
                    title={t("Switch maintenance off?", "关闭维护模式?")}
                    action={t("Switch it off", "关闭维护模式")}
                    onConfirm={off}
                    onClose={() => (asking.value = false)}
                >
                    <p>{t("The imports that wait start at once.", "等待中的导入会立即开始。")}</p>
                </Confirm>
            )}
        </section>
    );
}

function SwitchOn({ taken }: { taken: (answer: Maintenance) => void }) {
    const message = useSignal("");
    const until = useSignal("");
    const moment = useSignal("");
    const send = async () => {
        const end = until.value === "at" ? Date.parse(moment.value) : until.value || null;
        taken(
            await ask<Maintenance>("POST", "v1/maintenance", {
                body: { on: true, message: message.value.trim() || null, until: end },
            }),
        );
    };
    return (
        <Form label={t("Switch maintenance on", "开启维护模式")} action={t("Switch it on", "开启")} onSend={send}>
            <Field
                label={t("Message", "说明")}
                hint={t("stands in the timelines of the imports that wait", "会显示在等待中的导入的时间线里")}
            >
                <input
                    value={message.value}
                    onInput={(event) => (message.value = event.currentTarget.value)}
                    maxLength={200}
                />
            </Field>
            <Field label={t("Until", "结束时间")}>
                <select value={until.value} onChange={(event) => (until.value = event.currentTarget.value)}>
                    <option value="">{t("it is switched off", "手动关闭为止")}</option>
                    <option value="30m">{t("in 30 minutes", "30 分钟后")}</option>
                    <option value="2h">{t("in 2 hours", "2 小时后")}</option>
                    <option value="8h">{t("in 8 hours", "8 小时后")}</option>
                    <option value="at">{t("a time…", "指定时间…")}</option>
                </select>
            </Field>
            {until.value === "at" && (
                <Field label={t("Time", "时间")}>
                    <input
                        type="datetime-local"
                        value={moment.value}
                        onInput={(event) => (moment.value = event.currentTarget.value)}
                        required
                    />
                </Field>
            )}
        </Form>
    );
}
