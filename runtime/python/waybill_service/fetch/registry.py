"""A registry (OCI distribution-spec): the files are blobs of the model's repository."""
import threading

from waybill_service.fetch.challenge import get_token, parse_challenges
from waybill_service.fetch.failure import Refused
from waybill_service.fetch.ranged import range_header, stream_of
from waybill_service.fetch.web import host_text

LOGIN_HINT = ("set WAYBILL_MODEL_USER and WAYBILL_MODEL_PASSWORD, or mount a file of logins and "
              "set WAYBILL_MODEL_AUTH_FILE")


class RegistrySource:
    """Its authorization is shared by all threads, and made anew when the registry refuses it."""

    def __init__(self, base, host, repository, login):
        self.base, self.name, self.repository, self.login = base, host, repository, login
        self._authorization = None
        self._lock = threading.Lock()

    def _url(self, file):
        return "%s/v2/%s/blobs/%s" % (self.base, self.repository, file.digest)

    def _authorize(self, client, header, refused):
        """refused: the authorization that was answered 401, or None."""
        with self._lock:
            if self._authorization != refused:
                return  # another thread was faster
            challenges = parse_challenges(header)
            bearer = challenges.get("bearer", {})
            if bearer.get("realm"):
                scope = bearer.get("scope") or "repository:%s:pull" % self.repository
                self._authorization = get_token(client, bearer, scope, self.login, self.base)
            elif "basic" in challenges and self.login and self.login.user and refused is None:
                self._authorization = self.login.basic()
            else:
                raise self._no_login()

    def _no_login(self):
        if self.login:
            return Refused("%s refused the login of %s (401); check it: %s" % (
                self.name, self.login.user or "an identity token", LOGIN_HINT), whole=True)
        return Refused("%s wants a login (401): %s" % (self.name, LOGIN_HINT), whole=True)

    def open(self, client, file, begin, end):
        for _ in range(2):
            used = self._authorization
            headers = range_header(file, begin, end)
            if used:
                headers["authorization"] = used
            reply = client.ask(self._url(file), headers, follow=True)
            if reply.status != 401 or reply.redirected:
                break
            header = reply.header("WWW-Authenticate")
            reply.body(64 << 10)
            reply.finish()
            self._authorize(client, header, used)
        try:
            return stream_of(reply, file, begin, end, self)
        except BaseException:
            reply.finish()
            raise

    def refusal(self, reply, file):
        if reply.redirected:
            return Refused("%s, where %s redirects to, answered %d to %s" % (
                host_text(reply.origin), self.name, reply.status, file.digest))
        if reply.status == 401:
            return self._no_login()
        if reply.status == 403:
            return Refused("%s does not let %s read %s (403)" % (
                self.name, self.login.user or "the identity token" if self.login else "anybody",
                self.repository))
        if reply.status == 404:
            return Refused("%s has no blob %s in %s (404)"
                           % (self.name, file.digest, self.repository))
        return Refused("%s answered %d" % (self.name, reply.status))
