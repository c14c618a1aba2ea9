// Whether what is shown is what is: the state of the connection, and how old the page is.
import type { LinkState } from "../live";
import { ago, t } from "../text";
import { now } from "./now";

export function linkName(state: LinkState): string {
    switch (state) {
        case "live":
            return t("live", "实时");
        case "connecting":
            return t("connecting…", "连接中…");
        case "waiting":
            return t("not connected; trying again", "连接中断,正在重连");
        case "off":
            return t("not live", "未实时更新");
    }
}

export function ConnectionState({ link, at }: { link: LinkState; at: number }) {
    return (
        <span class={`connection connection-${link}`}>
            <span class="dot" aria-hidden="true" /> <span role="status">{linkName(link)}</span>
            {at > 0 && (
                <span class="quiet">
                    {" "}
                    · {t(`updated ${ago(Math.max(0, now.value - at))}`, `更新于 ${ago(Math.max(0, now.value - at))}`)}
                </span>
            )}
        </span>
    );
}
