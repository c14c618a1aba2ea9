/* Where packages come from, and whether it answers: asked as a build asks, with its certificates
 * and over the same proxies. Imports without dependencies need none of this: nothing here is a
 * failure. */
#include <curl/curl.h>
#include <string.h>

#include "base/mask.h"
#include "build/packages.h"
#include "upkeep/doctor_checks.h"

#define CONNECT_MS 4000
#define ANSWER_MS  8000

typedef struct {
    const Doctor *doctor;
    const PackageSources *sources;
    const char *pages[2];  /* beneath each URL; the second where the first is not there, or NULL */
    const char *place;     /* a URL as it should be */
    bool trusts;           /* pip's trusted hosts count */
    GString *good, *wrong; /* what was found, by URL */
    char *mend;            /* of the first that is wrong */
} Asking;

/* What an answer lacks. */
typedef struct {
    CURLcode code;
    long status;
    char words[CURL_ERROR_SIZE];
} Answer;

/* -- asking -- */

/* That it begins to answer is enough: some lists of packages are 30 MB. */
static size_t take_nothing(char *data G_GNUC_UNUSED, size_t one G_GNUC_UNUSED,
                           size_t size G_GNUC_UNUSED, void *user G_GNUC_UNUSED)
{
    return 0;
}

/* HOST or HOST:PORT, as pip has it. */
static bool is_trusted(const PackageSources *sources, const char *url)
{
    g_autofree char *host = package_host(url);
    for (guint i = 0; host && i < sources->trusted->len; i++) {
        const char *trusted = sources->trusted->pdata[i];
        size_t length = strlen(trusted);
        if (g_ascii_strncasecmp(host, trusted, length) == 0 &&
            (host[length] == '\0' || host[length] == ':'))
            return true;
    }
    return false;
}

static void set_way(CURL *curl, const Asking *asking, const char *url)
{
    const Settings *settings = asking->doctor->settings;
    const bool tls = g_str_has_prefix(url, "https:");
    curl_easy_setopt(curl, CURLOPT_PROXY,
                     package_proxy(settings, tls ? PACKAGE_PROXY_HTTPS : PACKAGE_PROXY_HTTP));
    curl_easy_setopt(curl, CURLOPT_NOPROXY, package_proxy(settings, PACKAGE_PROXY_NONE));
    if (asking->sources->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, asking->sources->ca_file);
    if (asking->trusts && is_trusted(asking->sources, url)) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

static void ask(const Asking *asking, const char *url, Answer *answer)
{
    CURL *curl = curl_easy_init();
    *answer = (Answer){.code = CURLE_FAILED_INIT};
    if (!curl)
        return;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "waybill");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_nothing);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->words);
    set_way(curl, asking, url);
    answer->code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (answer->code == CURLE_WRITE_ERROR)
        answer->code = CURLE_OK;
    if (answer->code == CURLE_RECV_ERROR && !answer->status) /* a tunnel that was refused */
        curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &answer->status);
    curl_easy_cleanup(curl);
}

/* -- what it means -- */

static char *what_is_wrong(const Answer *answer)
{
    if (answer->code == CURLE_OK && answer->status < 400)
        return NULL;
    if (answer->status >= 400)
        return g_strdup_printf("HTTP %ld", answer->status);
    return g_strdup(*answer->words ? answer->words : curl_easy_strerror(answer->code));
}

static char *mend_of(const Asking *asking, const Answer *answer)
{
    const bool zh = asking->doctor->zh;
    if (answer->code == CURLE_PEER_FAILED_VERIFICATION || answer->code == CURLE_SSL_CACERT_BADFILE)
        return g_strdup(zh ? "build.ca_file = 签发该证书的 CA 文件(PEM)"
                           : "build.ca_file = FILE, with the CA of that certificate (PEM)");
    if (answer->code == CURLE_COULDNT_RESOLVE_PROXY || answer->status == 407)
        return g_strdup(zh ? "检查 build.http_proxy 和 build.https_proxy"
                           : "see to build.http_proxy and build.https_proxy");
    if (answer->status == 401 || answer->status == 403)
        return g_strdup(zh ? "在地址中填写用户名和密码:https://用户:密码@主机/…"
                           : "put the login into the URL: https://USER:PASSWORD@HOST/…");
    if (answer->status == 404)
        return g_strdup_printf(zh ? "检查地址,例如 %s" : "see to the URL; it is one such as %s",
                               asking->place);
    return g_strdup(zh ? "检查本机能否访问该地址;如需代理,请设置 build.http_proxy 和 "
                         "build.https_proxy"
                       : "see that this machine reaches it; over a proxy: build.http_proxy, "
                         "build.https_proxy");
}

/* Links that are directories are not asked. */
static void ask_source(Asking *asking, const char *url)
{
    Answer answer;
    if (!url || !g_str_has_prefix(url, "http"))
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(asking->pages) && asking->pages[i]; i++) {
        g_autofree char *base = g_strndup(url, strlen(url) - (g_str_has_suffix(url, "/") ? 1 : 0));
        g_autofree char *page = g_strconcat(base, "/", asking->pages[i], NULL);
        ask(asking, page, &answer);
        if (answer.status != 404)
            break;
    }
    g_autofree char *wrong = what_is_wrong(&answer);
    g_autofree char *line = wrong ? g_strdup_printf("%s: %s", url, wrong) : g_strdup(url);
    g_autofree char *masked = mask_text(line);
    GString *found = wrong ? asking->wrong : asking->good;
    g_string_append_printf(found, "%s%s", found->len ? "; " : "", masked);
    if (wrong && !asking->mend)
        asking->mend = mend_of(asking, &answer);
}

/* The check of what was asked; none where nothing was. */
static void asking_end(Asking *asking, Doctor *doctor, const char *id)
{
    if (asking->wrong->len)
        doctor_add(doctor, id, DOCTOR_WARN, asking->mend, "%s", asking->wrong->str);
    else if (asking->good->len)
        doctor_add(doctor, id, DOCTOR_OK, NULL, doctor->zh ? "有应答:%s" : "answers: %s",
                   asking->good->str);
    g_string_free(asking->good, TRUE);
    g_string_free(asking->wrong, TRUE);
}

/* An index has a page for each package (PEP 503), and most have pip. */
static void ask_pip(Doctor *doctor, const PackageSources *sources)
{
    Asking asking = {.doctor = doctor,
                     .sources = sources,
                     .pages = {"pip/", ""},
                     .place = "https://pypi.org/simple",
                     .trusts = true,
                     .good = g_string_new(NULL),
                     .wrong = g_string_new(NULL)};
    ask_source(&asking, sources->index);
    for (guint i = 0; i < sources->extra->len; i++)
        ask_source(&asking, sources->extra->pdata[i]);
    asking.pages[0] = "";
    asking.pages[1] = NULL;
    for (guint i = 0; i < sources->links->len; i++)
        ask_source(&asking, sources->links->pdata[i]);
    asking_end(&asking, doctor, "pip-index");
}

/* Not every mirror lists its releases; then it is asked for this machine's, the likeliest one that
 * base images are of. */
static void ask_apt(Doctor *doctor, const PackageSources *sources)
{
    g_autofree char *name = g_get_os_info(G_OS_INFO_KEY_VERSION_CODENAME);
    const char *release = name ? name : "stable";
    g_autofree char *page = g_strdup_printf("dists/%s/InRelease", release);
    g_autofree char *security = g_strdup_printf("dists/%s-security/InRelease", release);
    Asking asking = {.doctor = doctor,
                     .sources = sources,
                     .pages = {"dists/", page},
                     .place = "http://deb.debian.org/debian",
                     .good = g_string_new(NULL),
                     .wrong = g_string_new(NULL)};
    ask_source(&asking, sources->mirror);
    asking.pages[1] = security;
    ask_source(&asking, sources->security);
    asking_end(&asking, doctor, "apt-mirror");
}

void doctor_sources(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PackageSources) sources = package_sources(doctor->settings, true, &error);
    if (!sources) {
        doctor_add(doctor, "package-sources", DOCTOR_FAIL, NULL, "%s", error->message);
        return;
    }
    g_autofree char *text = package_sources_text(sources);
    bool known = package_sources_pip(sources);
    const char *nothing = doctor->zh ? "未设置 pip 软件源:只能安装 model/ 中的 wheel"
                                     : "no pip index is known: only wheels in model/ can be "
                                       "installed";
    doctor_add(doctor, "package-sources", known ? DOCTOR_OK : DOCTOR_WARN,
               known ? NULL : g_strdup("build.pip_index_url = https://pypi.org/simple"), "%s%s%s",
               known ? "" : nothing, known || !*text ? "" : "; ", text);
    if (sources->network == SANDBOX_NETWORK_NONE)
        return; /* no build would ask them */
    ask_pip(doctor, sources);
    ask_apt(doctor, sources);
}
