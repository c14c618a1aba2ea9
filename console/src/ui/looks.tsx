// Language and colours: chosen on every page, before the sign-in too.
import { LANGUAGES, THEMES, language, theme } from "../preferences";
import { t } from "../text";
import { Choice, Select } from "./parts";

export function Looks() {
    const themes = { auto: t("as the system", "跟随系统"), light: t("light", "浅色"), dark: t("dark", "深色") };
    return (
        <>
            <Choice
                label={t("Language", "语言")}
                value={language.value}
                options={LANGUAGES.map((value) => ({ value, label: value === "zh" ? "中文" : "English" }))}
                onChange={(value) => (language.value = value)}
            />
            <Select
                label={t("Colours", "配色")}
                value={theme.value}
                options={THEMES.map((value) => ({ value, label: themes[value] }))}
                onChange={(value) => (theme.value = value)}
            />
        </>
    );
}
