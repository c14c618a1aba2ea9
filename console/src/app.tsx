// The frame of every page: who is signed in, where one can go, what is new, what the keys do.
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { caller, isAdmin, mayWrite, newVersion, signOut, whoami } from "./api";
import { CatalogPage } from "./catalog/page";
import { DetailsPage } from "./details/page";
import { ImportPage } from "./import/page";
import { HelpDialog, useKeys } from "./keys";
import { ModelsPage } from "./models/page";
import { OverviewPage } from "./overview/page";
import { href, replace, route } from "./route";
import { SettingsPage } from "./settings/page";
import { SignIn } from "./sign-in";
import { t } from "./text";
import { LiveRegion } from "./ui/announce";
import { Looks } from "./ui/looks";
import { Empty, Loading, Problem } from "./ui/parts";
import { favicon } from "./ui/tab-state";

const PAGES = ["models", "import", "overview", "catalog", "settings"] as const;
type PageName = (typeof PAGES)[number];

/** The project of the address, else the caller's own. */
function projectOf(): string {
    const named = route.value.path[0];
    if (named) return named;
    const own = caller.value?.project;
    return own && own !== "*" ? own : "default";
}

function Page({ project }: { project: string }) {
    const path = route.value.path;
    const page = path[1] as PageName | undefined;
    switch (page) {
        case "models":
            return path[2] ? (
                <DetailsPage key={path[2]} project={project} id={path[2]} />
            ) : (
                <ModelsPage key={project} project={project} />
            );
        case "import":
            return <ImportPage key={project} project={project} />;
        case "overview":
            return <OverviewPage key={project} project={project} />;
        case "catalog":
            return <CatalogPage project={project} reason={path[2]} />;
        case "settings":
            return <SettingsPage project={project} part={path[2]} />;
        default:
            return (
                <Empty>
                    <h1>{t("There is no such page.", "没有这个页面。")}</h1>
                    <a href={href([project, "models"])}>{t("To the models", "前往模型列表")}</a>
                </Empty>
            );
    }
}

function Navigation({ project }: { project: string }) {
    const current = route.value.path[1];
    const entries: [PageName, string, boolean][] = [
        ["models", t("Models", "模型"), true],
        ["import", t("Import", "导入"), mayWrite()],
        ["overview", t("Overview", "概览"), true],
        ["catalog", t("Events & FAQ", "事件与 FAQ"), true],
        ["settings", t("Settings", "设置"), isAdmin()],
    ];
    return (
        <nav aria-label={t("Pages", "页面")}>
            {entries
                .filter(([, , shown]) => shown)
                .map(([name, label]) => (
                    <a href={href([project, name])} aria-current={current === name ? "page" : undefined}>
                        {label}
                    </a>
                ))}
        </nav>
    );
}

function Header({ project, onHelp }: { project: string; onHelp: () => void }) {
    const who = caller.value!;
    return (
        <header class="top">
            <a class="brand" href={href([project, "models"])}>
                <img src={favicon.value} alt="" width="20" height="20" /> Waybill
            </a>
            <Navigation project={project} />
            <span class="grow" />
            <span class="who" title={`${who.user} · ${project} · ${who.role}`}>
                {project} · {who.user}
            </span>
            <Looks />
            <button type="button" class="small" onClick={onHelp} aria-label={t("Keys", "快捷键")}>
                ?
            </button>
            {!who.open && (
                <button type="button" class="small" onClick={() => void signOut()}>
                    {t("Sign out", "退出")}
                </button>
            )}
        </header>
    );
}

function Upgrade() {
    if (!newVersion.value) return null;
    return (
        <div class="notice" role="status">
            {t(
                `The server is now version ${newVersion.value}; this page is older.`,
                `服务器已升级到 ${newVersion.value},当前页面是旧版本。`,
            )}{" "}
            <button type="button" class="small" onClick={() => location.reload()}>
                {t("Reload", "重新加载")}
            </button>
        </div>
    );
}

export function App() {
    const error = useSignal<unknown>(null);
    const help = useSignal(false);
    const look = async () => {
        try {
            await whoami();
            error.value = null;
        } catch (failed) {
            error.value = failed;
            setTimeout(() => void look(), 2000);
        }
    };
    useEffect(() => void look(), []);
    useKeys({ "?": () => (help.value = true) });

    const who = caller.value;
    const project = projectOf();
    useEffect(() => {
        if (who && route.value.path.length < 2) replace([project, "models"]);
    });
    if (error.value) return <Problem error={error.value} />;
    if (who === undefined) return <Loading />;
    if (who === null) return <SignIn />;
    return (
        <>
            <a
                class="skip"
                href="#main"
                onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}
            >
                {t("To the content", "跳到正文")}
            </a>
            <Header project={project} onHelp={() => (help.value = true)} />
            <Upgrade />
            <main id="main" tabIndex={-1}>
                <Page project={project} />
            </main>
            <LiveRegion />
            {help.value && <HelpDialog onClose={() => (help.value = false)} />}
        </>
    );
}
