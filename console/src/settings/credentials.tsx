// The project's logins at registries and object stores. A secret goes in, and never comes out again.
import { useSignal, type Signal } from "@preact/signals";
import { ask, projectPath, withQuery } from "../api";
import { t } from "../text";
import { announce } from "../ui/announce";
import { useLoad } from "../ui/load";
import { Confirm, Empty, Loading, Problem, Time } from "../ui/parts";
import { Field, Form } from "./form";

interface Credential {
    for: "registry" | "s3";
    host: string;
    user: string;
    created_at: number;
}

function kindName(kind: Credential["for"]): string {
    return kind === "registry" ? t("registry", "镜像仓库") : t("object store (S3)", "对象存储(S3)");
}

export function CredentialsPart({ project }: { project: string }) {
    const path = projectPath(project, "credentials");
    const list = useLoad((signal) => ask<{ credentials: Credential[] }>("GET", path, { signal }), [path]);
    const removing = useSignal<Credential | null>(null);
    const rows = list.data.value?.credentials;
    return (
        <>
            <NewCredential project={project} path={path} again={list.again} />
            {list.error.value !== null && <Problem error={list.error.value} again={() => void list.again()} />}
            {!rows && list.error.value === null && <Loading />}
            {rows && rows.length === 0 && (
                <Empty>{t(`Project ${project} has no credentials.`, `项目 ${project} 没有凭据。`)}</Empty>
            )}
            {rows && rows.length > 0 && <CredentialTable rows={rows} removing={removing} />}
            {removing.value && (
                <Remove
                    path={path}
                    credential={removing.value}
                    onClose={() => (removing.value = null)}
                    again={list.again}
                />
            )}
        </>
    );
}

function NewCredential({ project, path, again }: { project: string; path: string; again: () => Promise<void> }) {
    const kind = useSignal<Credential["for"]>("registry");
    const [host, user, secret] = [useSignal(""), useSignal(""), useSignal("")];
    const send = async () => {
        await ask("POST", path, {
            body: { for: kind.value, host: host.value.trim(), user: user.value.trim(), secret: secret.value },
        });
        announce(t(`The credential for ${host.value} is saved.`, `已保存 ${host.value} 的凭据。`));
        for (const field of [host, user, secret]) field.value = "";
        await again();
    };
    const isRegistry = kind.value === "registry";
    return (
        <Form
            label={t(`A login of project ${project}`, `项目 ${project} 的登录凭据`)}
            action={t("Save", "保存")}
            onSend={send}
        >
            <Field label={t("For", "用途")}>
                <select
                    value={kind.value}
                    onChange={(event) => (kind.value = event.currentTarget.value as Credential["for"])}
                >
                    <option value="registry">{kindName("registry")}</option>
                    <option value="s3">{kindName("s3")}</option>
                </select>
            </Field>
            <Text
                label={t("Host", "主机")}
                hint={t("HOST or HOST:PORT; replaces what there is for it", "主机名或 主机名:端口;会替换已有的凭据")}
                value={host}
            />
            <Text
                label={isRegistry ? t("User", "用户") : t("Access key", "访问密钥(AK)")}
                value={user}
                optional={isRegistry}
            />
            <Field
                label={isRegistry ? t("Password or token", "密码或令牌") : t("Secret key", "私有密钥(SK)")}
                hint={t("kept sealed, never shown again", "加密保存,不会再次显示")}
            >
                <input
                    type="password"
                    autocomplete="new-password"
                    value={secret.value}
                    onInput={(event) => (secret.value = event.currentTarget.value)}
                    required
                />
            </Field>
        </Form>
    );
}

function Text({
    label,
    hint,
    value,
    optional,
}: {
    label: string;
    hint?: string;
    value: Signal<string>;
    optional?: boolean;
}) {
    return (
        <Field label={label} hint={hint}>
            <input
                value={value.value}
                onInput={(event) => (value.value = event.currentTarget.value)}
                required={!optional}
                spellcheck={false}
                autocomplete="off"
            />
        </Field>
    );
}

function CredentialTable({ rows, removing }: { rows: Credential[]; removing: Signal<Credential | null> }) {
    return (
        <table class="cards card-table">
            <thead>
                <tr>
                    <th scope="col">{t("Host", "主机")}</th>
                    <th scope="col">{t("For", "用途")}</th>
                    <th scope="col">{t("User", "用户")}</th>
                    <th scope="col">{t("Saved", "保存时间")}</th>
                    <th scope="col">
                        <span class="offscreen">{t("Remove", "删除")}</span>
                    </th>
                </tr>
            </thead>
            <tbody>
                {rows.map((row) => (
                    <tr>
                        <th scope="row">{row.host}</th>
                        <td data-label={t("For", "用途")}>{kindName(row.for)}</td>
                        <td data-label={t("User", "用户")}>{row.user || "–"}</td>
                        <td data-label={t("Saved", "保存时间")}>
                            <Time at={row.created_at} />
                        </td>
                        <td>
                            <button
                                type="button"
                                class="small"
                                onClick={() => (removing.value = row)}
                                aria-label={t(`Remove ${row.host}`, `删除 ${row.host}`)}
                            >
                                {t("Remove", "删除")}
                            </button>
                        </td>
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

function Remove(props: { path: string; credential: Credential; onClose: () => void; again: () => Promise<void> }) {
    const { credential } = props;
    const remove = async () => {
        await ask("DELETE", withQuery(props.path, { for: credential.for, host: credential.host }));
        await props.again();
    };
    return (
        <Confirm
            title={t(`Remove the login at ${credential.host}?`, `删除 ${credential.host} 的凭据?`)}
            action={t("Remove", "删除")}
            danger
            onConfirm={remove}
            onClose={props.onClose}
        >
            <p>{t("Imports that need it fail from now on.", "之后需要该凭据的导入将会失败。")}</p>
        </Confirm>
    );
}
