// The projects, and who may use them: whoever has a token or an access key of worth there.
import { ask } from "../api";
import { href } from "../route";
import { plural, t } from "../text";
import { useLoad } from "../ui/load";
import { Loading, Problem, Time } from "../ui/parts";
import type { Role } from "./form";

interface Member {
    user: string;
    role: Role;
    tokens: number;
    access_keys: number;
    last_used_at: number | null;
}

interface Project {
    project: string;
    created_at: number;
    models: number;
    members: Member[];
}

interface Projects {
    projects: Project[];
    operators: Member[];
}

export function MembersPart() {
    const loaded = useLoad((signal) => ask<Projects>("GET", "v1/projects", { signal }), []);
    const answer = loaded.data.value;
    if (loaded.error.value !== null) return <Problem error={loaded.error.value} again={() => void loaded.again()} />;
    if (!answer) return <Loading />;
    return (
        <>
            <p class="quiet">
                {t(
                    "A project is made when it is first named. Its members are those with a token or an access key that is good now.",
                    "项目在首次使用其名称时自动创建。成员为当前持有有效令牌或访问密钥的用户。",
                )}
            </p>
            {answer.operators.length > 0 && (
                <MemberTable title={t("Operators: every project", "管理员:所有项目")} members={answer.operators} />
            )}
            {answer.projects.map((project) => (
                <MemberTable
                    key={project.project}
                    title={project.project}
                    link={href([project.project, "models"])}
                    note={t(plural(project.models, "model", "models"), `${project.models} 个模型`)}
                    members={project.members}
                />
            ))}
        </>
    );
}

function MemberTable({
    title,
    link,
    note,
    members,
}: {
    title: string;
    link?: string;
    note?: string;
    members: Member[];
}) {
    return (
        <section class="card">
            <h2>
                {link ? <a href={link}>{title}</a> : title} {note && <small class="quiet">{note}</small>}
            </h2>
            {members.length === 0 && (
                <p class="quiet">{t("Nobody has a token of this project.", "没有人持有该项目的令牌。")}</p>
            )}
            {members.length > 0 && (
                <table class="cards" aria-label={title}>
                    <thead>
                        <tr>
                            <th scope="col">{t("User", "用户")}</th>
                            <th scope="col">{t("Role", "角色")}</th>
                            <th scope="col" class="number">
                                {t("Tokens", "令牌")}
                            </th>
                            <th scope="col" class="number">
                                {t("Access keys", "访问密钥")}
                            </th>
                            <th scope="col">{t("Last used", "最近使用")}</th>
                        </tr>
                    </thead>
                    <tbody>
                        {members.map((member) => (
                            <tr>
                                <th scope="row">{member.user}</th>
                                <td data-label={t("Role", "角色")}>{member.role}</td>
                                <td class="number" data-label={t("Tokens", "令牌")}>
                                    {member.tokens}
                                </td>
                                <td class="number" data-label={t("Access keys", "访问密钥")}>
                                    {member.access_keys}
                                </td>
                                <td data-label={t("Last used", "最近使用")}>
                                    {member.last_used_at ? <Time at={member.last_used_at} /> : "–"}
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            )}
        </section>
    );
}
