// What the forms of the settings share.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isOperator } from "../api";
import { t } from "../text";
import { Problem } from "../ui/parts";

export const ROLES = ["reader", "writer", "admin"] as const;
export type Role = (typeof ROLES)[number];

export function roleName(role: Role): string {
    switch (role) {
        case "reader":
            return t("reader: sees", "只读(reader)");
        case "writer":
            return t("writer: imports, too", "可导入(writer)");
        case "admin":
            return t("admin: tokens and settings, too", "管理员(admin)");
    }
}

export function projectName(project: string): string {
    return project === "*" ? t("every project", "所有项目") : project;
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ComponentChildren }) {
    return (
        <label class="field">
            <span>{label}</span>
            {children}
            {hint && <small class="quiet">{hint}</small>}
        </label>
    );
}

/** Sends once at a time, and shows what was wrong. */
export function Form(props: {
    label: string;
    action: string;
    onSend: () => Promise<void>;
    children: ComponentChildren;
}) {
    const busy = useSignal(false);
    const error = useSignal<unknown>(null);
    const send = async (event: SubmitEvent) => {
        event.preventDefault();
        busy.value = true;
        error.value = null;
        try {
            await props.onSend();
        } catch (failed) {
            error.value = failed;
        }
        busy.value = false;
    };
    return (
        <form class="card settings-form" aria-label={props.label} onSubmit={send}>
            <h2>{props.label}</h2>
            <div class="fields">{props.children}</div>
            {error.value !== null && <Problem error={error.value} />}
            <button type="submit" class="primary" disabled={busy.value}>
                {props.action}
            </button>
        </form>
    );
}

/** Whom something is for: project and role. Operators name any project; the others have their own. */
export function ProjectAndRole(props: {
    project: string;
    role: Role;
    onProject: (project: string) => void;
    onRole: (role: Role) => void;
}) {
    const everywhere = props.project === "*";
    return (
        <>
            <Field
                label={t("Project", "项目")}
                hint={
                    isOperator() ? t("* is every project, for administrators", "* 表示所有项目,仅限管理员") : undefined
                }
            >
                <input
                    value={props.project}
                    onInput={(event) => props.onProject(event.currentTarget.value)}
                    required
                    readOnly={!isOperator()}
                    spellcheck={false}
                />
            </Field>
            <Field label={t("Role", "角色")}>
                <select
                    value={everywhere ? "admin" : props.role}
                    onChange={(event) => props.onRole(event.currentTarget.value as Role)}
                >
                    {ROLES.map((role) => (
                        <option value={role} disabled={everywhere && role !== "admin"}>
                            {roleName(role)}
                        </option>
                    ))}
                </select>
            </Field>
        </>
    );
}

/** Looks again every so often while the page is seen. */
export function useEvery(ms: number, look: () => void): void {
    const latest = useRef(look);
    latest.current = look;
    useEffect(() => {
        const timer = setInterval(() => {
            if (!document.hidden) latest.current();
        }, ms);
        return () => clearInterval(timer);
    }, [ms]);
}
