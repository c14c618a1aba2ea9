// Tokens: made, shown once, revoked. The first one closes a server that was open to this machine, so
// that whoever makes it is signed in with it before anything else is asked.
import { useSignal, type Signal } from "@preact/signals";
import { ask, caller, isOperator, signIn } from "../api";
import { dateAndTime, t } from "../text";
import { announce } from "../ui/announce";
import { useLoad } from "../ui/load";
import { Command, Confirm, Empty, Loading, Problem, Time } from "../ui/parts";
import { Field, Form, ProjectAndRole, projectName, type Role } from "./form";

interface Token {
    id: string;
    user: string;
    project: string;
    role: Role;
    created_at: number;
    expires_at: number | null;
    last_used_at: number | null;
    revoked_at: number | null;
}

interface NewToken extends Token {
    token: string;
}

export function TokensPart({ project }: { project: string }) {
    const list = useLoad((signal) => ask<{ tokens: Token[] }>("GET", "v1/tokens", { signal }), []);
    const made = useSignal<NewToken | null>(null);
    const revoking = useSignal<Token | null>(null);
    const tokens = list.data.value?.tokens;
    return (
        <>
            {made.value && <ShownOnce token={made.value} onClose={() => (made.value = null)} />}
            {caller.value?.open ? (
                <FirstToken made={made} again={list.again} />
            ) : (
                <NewTokenForm project={project} made={made} again={list.again} />
            )}
            {list.error.value !== null && <Problem error={list.error.value} again={() => void list.again()} />}
            {!tokens && list.error.value === null && <Loading />}
            {tokens && tokens.length === 0 && <Empty>{t("There is no token yet.", "还没有令牌。")}</Empty>}
            {tokens && tokens.length > 0 && <TokenTable tokens={tokens} revoking={revoking} />}
            {revoking.value && (
                <Revoke token={revoking.value} onClose={() => (revoking.value = null)} again={list.again} />
            )}
        </>
    );
}

/** On an open server: an administrator's of every project, lest who makes it locks itself out. */
function FirstToken({ made, again }: { made: Signal<NewToken | null>; again: () => Promise<void> }) {
    const user = useSignal("");
    const send = async () => {
        const token = await ask<NewToken>("POST", "v1/tokens", {
            body: { user: user.value.trim(), project: "*", role: "admin" },
        });
        made.value = token;
        await signIn(token.token);
        await again();
    };
    return (
        <Form
            label={t("The first token", "第一个令牌")}
            action={t("Create, and close the open access", "创建并关闭开放访问")}
            onSend={send}
        >
            <p>
                {t(
                    "Whoever is on this machine may do everything now. The first token ends that at once and for good: it is an administrator's of every project, and this page is signed in with it.",
                    "目前本机上的任何人都拥有全部权限。创建第一个令牌后,开放访问会立即永久关闭。该令牌为所有项目的管理员令牌,本页面会自动用它登录。",
                )}
            </p>
            <UserField value={user} />
        </Form>
    );
}

function UserField({ value }: { value: Signal<string> }) {
    return (
        <Field
            label={t("User", "用户")}
            hint={t("who uses it: stands on events as who did it", "使用者,会作为操作人显示在事件中")}
        >
            <input
                value={value.value}
                onInput={(event) => (value.value = event.currentTarget.value)}
                required
                maxLength={64}
                spellcheck={false}
                autocomplete="off"
            />
        </Field>
    );
}

function NewTokenForm({
    project,
    made,
    again,
}: {
    project: string;
    made: Signal<NewToken | null>;
    again: () => Promise<void>;
}) {
    const user = useSignal("");
    const where = useSignal(project);
    const role = useSignal<Role>("writer");
    const expires = useSignal("90d");
    const send = async () => {
        const body = {
            user: user.value.trim(),
            project: where.value.trim(),
            role: where.value.trim() === "*" ? "admin" : role.value,
            expires: expires.value || null,
        };
        made.value = await ask<NewToken>("POST", "v1/tokens", { body });
        user.value = "";
        await again();
    };
    return (
        <Form label={t("New token", "新建令牌")} action={t("Create", "创建")} onSend={send}>
            <UserField value={user} />
            <ProjectAndRole
                project={where.value}
                role={role.value}
                onProject={(value) => (where.value = value)}
                onRole={(value) => (role.value = value)}
            />
            <Field label={t("Expires", "有效期")}>
                <select value={expires.value} onChange={(event) => (expires.value = event.currentTarget.value)}>
                    <option value="24h">{t("in a day", "1 天")}</option>
                    <option value="30d">{t("in 30 days", "30 天")}</option>
                    <option value="90d">{t("in 90 days", "90 天")}</option>
                    <option value="365d">{t("in a year", "1 年")}</option>
                    <option value="">{t("never", "永不过期")}</option>
                </select>
            </Field>
        </Form>
    );
}

/** On the page, not in a dialog, which a key or a click beside it would close for good. */
function ShownOnce({ token, onClose }: { token: NewToken; onClose: () => void }) {
    return (
        <section class="card new-secret" role="status" aria-label={t("The new token", "新令牌")}>
            <h2>{t(`The token of ${token.user}`, `${token.user} 的令牌`)}</h2>
            <p>{t("It is shown this once. Copy it now:", "令牌仅显示这一次,请立即复制:")}</p>
            <Command text={token.token} />
            <p class="quiet">
                {projectName(token.project)} · {token.role} ·{" "}
                {token.expires_at
                    ? t(`until ${dateAndTime(token.expires_at)}`, `有效期至 ${dateAndTime(token.expires_at)}`)
                    : t("never expires", "永不过期")}
            </p>
            <button type="button" onClick={onClose}>
                {t("I have copied it", "我已复制")}
            </button>
        </section>
    );
}

function stateOf(token: Token): { text: string; ended: boolean } {
    if (token.revoked_at) return { text: t("revoked", "已吊销"), ended: true };
    if (token.expires_at && token.expires_at <= Date.now()) return { text: t("expired", "已过期"), ended: true };
    return {
        text: token.expires_at
            ? t(`until ${dateAndTime(token.expires_at)}`, `至 ${dateAndTime(token.expires_at)}`)
            : t("without an end", "永久有效"),
        ended: false,
    };
}

function TokenTable({ tokens, revoking }: { tokens: Token[]; revoking: Signal<Token | null> }) {
    return (
        <table class="cards card-table">
            <thead>
                <tr>
                    <th scope="col">{t("User", "用户")}</th>
                    <th scope="col">{t("Project", "项目")}</th>
                    <th scope="col">{t("Role", "角色")}</th>
                    <th scope="col">{t("Id", "编号")}</th>
                    <th scope="col">{t("Last used", "最近使用")}</th>
                    <th scope="col">{t("Valid", "有效期")}</th>
                    <th scope="col">
                        <span class="offscreen">{t("Revoke", "吊销")}</span>
                    </th>
                </tr>
            </thead>
            <tbody>
                {[...tokens].reverse().map((token) => (
                    <TokenRow key={token.id} token={token} revoking={revoking} />
                ))}
            </tbody>
        </table>
    );
}

function TokenRow({ token, revoking }: { token: Token; revoking: Signal<Token | null> }) {
    const state = stateOf(token);
    return (
        <tr class={state.ended ? "ended" : undefined}>
            <th scope="row">{token.user}</th>
            <td data-label={t("Project", "项目")}>{projectName(token.project)}</td>
            <td data-label={t("Role", "角色")}>{token.role}</td>
            <td data-label={t("Id", "编号")}>
                <code>{token.id}</code>
            </td>
            <td data-label={t("Last used", "最近使用")}>
                {token.last_used_at ? <Time at={token.last_used_at} /> : "–"}
            </td>
            <td data-label={t("Valid", "有效期")}>{state.text}</td>
            <td>
                {!token.revoked_at && (
                    <button
                        type="button"
                        class="small"
                        onClick={() => (revoking.value = token)}
                        aria-label={t(`Revoke ${token.id} of ${token.user}`, `吊销 ${token.user} 的 ${token.id}`)}
                    >
                        {t("Revoke", "吊销")}
                    </button>
                )}
            </td>
        </tr>
    );
}

function Revoke({ token, onClose, again }: { token: Token; onClose: () => void; again: () => Promise<void> }) {
    const revoke = async () => {
        await ask("DELETE", `v1/tokens/${encodeURIComponent(token.id)}`);
        announce(t(`${token.id} is revoked.`, `${token.id} 已吊销。`));
        await again();
    };
    return (
        <Confirm
            title={t(`Revoke the token of ${token.user}?`, `吊销 ${token.user} 的令牌?`)}
            action={t("Revoke", "吊销")}
            danger
            onConfirm={revoke}
            onClose={onClose}
        >
            <p>
                {t(
                    "What uses it, and who signed in with it, is refused at once. This is not undone.",
                    "使用该令牌的程序和用它登录的会话会立即失效,且无法恢复。",
                )}
            </p>
            <p class="quiet">
                <code>{token.id}</code> · {projectName(token.project)} · {token.role}
            </p>
            {isOperator() && token.project === "*" && (
                <p>
                    {t(
                        "It is an operator's. Without any, `waybill token create` on the server makes another.",
                        "这是所有项目的管理员令牌。若没有其他管理员令牌,可在服务器上执行 waybill token create 重新创建。",
                    )}
                </p>
            )}
        </Confirm>
    );
}
