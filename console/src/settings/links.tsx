// Links that sign somebody in, once: for who shall not handle a token.
import { useSignal } from "@preact/signals";
import { ask, caller } from "../api";
import { dateAndTime, t } from "../text";
import { Command } from "../ui/parts";
import { Field, Form, ProjectAndRole, projectName, type Role } from "./form";

interface SignInLink {
    path: string;
    user: string;
    project: string;
    role: Role;
    expires_at: number;
}

export function LinksPart({ project }: { project: string }) {
    const user = useSignal(caller.value?.user ?? "");
    const where = useSignal(project);
    const role = useSignal<Role>("writer");
    const made = useSignal<SignInLink | null>(null);
    const send = async () => {
        const body = {
            user: user.value.trim(),
            project: where.value.trim(),
            role: where.value.trim() === "*" ? "admin" : role.value,
        };
        made.value = null;
        made.value = await ask<SignInLink>("POST", "v1/sign-in-links", { body });
    };
    return (
        <>
            <Form
                label={t("A link that signs in once", "一次性登录链接")}
                action={t("Make a link", "生成链接")}
                onSend={send}
            >
                <Field label={t("User", "用户")} hint={t("whom it signs in", "该链接登录的用户")}>
                    <input
                        value={user.value}
                        onInput={(event) => (user.value = event.currentTarget.value)}
                        required
                        maxLength={64}
                        spellcheck={false}
                        autocomplete="off"
                    />
                </Field>
                <ProjectAndRole
                    project={where.value}
                    role={role.value}
                    onProject={(value) => (where.value = value)}
                    onRole={(value) => (role.value = value)}
                />
            </Form>
            {made.value && <Made link={made.value} />}
        </>
    );
}

function Made({ link }: { link: SignInLink }) {
    const address = new URL(link.path.replace(/^\//, ""), document.baseURI.replace(/#.*$/, "")).href;
    return (
        <section class="card" aria-label={t("The link", "登录链接")}>
            <p role="status">
                {t(
                    `Signs ${link.user} in, once, until ${dateAndTime(link.expires_at)}. It is shown this once:`,
                    `供 ${link.user} 登录,仅可使用一次,有效期至 ${dateAndTime(link.expires_at)}。链接仅显示这一次:`,
                )}
            </p>
            <Command text={address} />
            <p class="quiet">
                {projectName(link.project)} · {link.role}
            </p>
        </section>
    );
}
