import { useSignal } from "@preact/signals";
import { signIn } from "./api";
import { t } from "./text";
import { Looks } from "./ui/looks";
import { Command, Problem } from "./ui/parts";

export function SignIn() {
    const token = useSignal("");
    const busy = useSignal(false);
    const error = useSignal<unknown>(null);
    const submit = async (event: SubmitEvent) => {
        event.preventDefault();
        busy.value = true;
        error.value = null;
        try {
            await signIn(token.value.trim());
        } catch (failed) {
            error.value = failed;
        }
        busy.value = false;
    };
    return (
        <main class="sign-in">
            <h1>Waybill</h1>
            <form onSubmit={submit}>
                <label class="field">
                    <span>{t("Token", "令牌")}</span>
                    <input
                        type="password"
                        autocomplete="current-password"
                        value={token.value}
                        onInput={(event) => (token.value = event.currentTarget.value)}
                        placeholder="wb_…"
                        required
                        autofocus
                    />
                </label>
                <button type="submit" class="primary" disabled={busy.value}>
                    {t("Sign in", "登录")}
                </button>
            </form>
            {error.value !== null && <Problem error={error.value} />}
            <p class="quiet">
                {t(
                    "No token? An administrator makes one, or a link that signs you in once:",
                    "没有令牌?管理员可以创建令牌,或生成一次性登录链接:",
                )}
            </p>
            <Command text="waybill token create --project default --user ME --role writer" />
            <Command text="waybill token link" />
            <div class="row">
                <Looks />
            </div>
        </main>
    );
}
