"""HTTP: one thread reads requests and writes answers (asyncio), so that a slow client holds none of
the threads that run inference code, and /health answers while all of them are busy."""
import asyncio
import errno
import socket
import sys
import tempfile
import time
import traceback

from waybill_service.answers import Answer, HttpError, error_body, log, readable, result_body
from waybill_service.body import read_data
from waybill_service.loader import describe
from waybill_service.pool import Pool
from waybill_service.request import HEAD_LIMIT, body_length, parse_head, too_large

CHUNK = 64 << 10
IN_MEMORY = 1 << 20  # bytes of a body; more go to a file
LINGER_SECONDS = 2  # for a refused client to notice that it is answered


class Gone(Exception):
    """The client went away, or said nothing."""


def _store(body, data):
    try:
        body.write(data)
    except OSError as error:
        raise HttpError(503, "Service.NoSpace", "the body could not be kept in %s: %s"
                        % (tempfile.gettempdir(), error.strerror), close=True) from None


class Connection:
    def __init__(self, server, reader, writer):
        self.server, self.settings = server, server.settings
        self.reader, self.writer = reader, writer
        self.busy = False
        peer = writer.get_extra_info("peername")
        self.peer = peer[0].removeprefix("::ffff:") if peer else "-"  # IPv4's on IPv6's socket

    async def serve(self):
        try:
            while await self._serve_one():
                pass
        except (Gone, ConnectionError, TimeoutError, asyncio.TimeoutError):
            pass
        finally:
            self.writer.close()

    async def _serve_one(self):
        """Whether the connection goes on."""
        request, began = None, time.monotonic()
        try:
            head = await self._read_head()
            self.busy, began = True, time.monotonic()
            request = parse_head(head)
            answer = await self._answer(request)
        except HttpError as error:
            answer = error.answer()
        try:
            keep = request is not None and request.keep and not answer.close
            keep = keep and not self.server.stopping
            await self._send(request, answer, keep)
        finally:
            self._log(request, answer, time.monotonic() - began)
            self.busy = False
        if not keep:
            await self.linger(answer.close)
        return keep

    async def _read_head(self):
        try:
            first = await asyncio.wait_for(self.reader.read(1), self.settings.idle_seconds)
        except asyncio.TimeoutError:
            raise Gone from None
        if not first:
            raise Gone
        self.busy = True
        try:
            rest = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"),
                                          self.settings.head_seconds)
        except asyncio.IncompleteReadError:
            raise Gone from None
        except asyncio.LimitOverrunError:
            raise HttpError(431, "Service.HeadTooLarge", "the request's head is larger than %d "
                            "bytes" % HEAD_LIMIT, close=True) from None
        except asyncio.TimeoutError:
            raise HttpError(408, "Service.Timeout", "the request's head took longer than %d s"
                            % self.settings.head_seconds, close=True) from None
        return (first + rest)[:-4].lstrip(b"\r\n")

    # -- what is asked for --

    async def _answer(self, request):
        length = body_length(request, self.settings.body_limit())
        path = "/" + request.path.strip("/")
        if path == "/health" and "/health" not in (self.server.model.routes or ()):
            answer = self._health(request)
        else:
            if self.server.model.routes is not None:
                self._check_route(request, path)
            self._check_ready()
            answer = None
        body = await self._read_body(request, length)
        if answer:
            body.close()
            return answer
        return await self.server.infer(request, body)

    def _health(self, request):
        if request.method not in ("GET", "HEAD"):
            raise HttpError(405, "Service.MethodNotAllowed", "/health answers GET only", True,
                            [("Allow", "GET")])
        if self.server.model.service is None:
            error = self.server.model.not_ready()
            error.headers = ()
            return error.answer()
        return Answer(200, b'{"status": "ok"}\n')

    def _check_route(self, request, path):
        methods = self.server.model.routes.get(path)
        if methods is None:
            raise HttpError(404, "Service.NotFound", "there is no %s here; there are /health and %s"
                            % (readable(path)[:120], ", ".join(sorted(self.server.model.routes))),
                            close=True)
        if request.method not in methods:
            allowed = ", ".join(sorted(methods))
            raise HttpError(405, "Service.MethodNotAllowed", "%s answers %s only" % (path, allowed),
                            True, [("Allow", allowed)])

    def _check_ready(self):
        if self.server.model.service is None:
            error = self.server.model.not_ready()
            error.close = True
            raise error

    # -- the body --

    async def _read_body(self, request, length):
        if request.header("expect"):
            if request.header("expect").lower() != "100-continue":
                raise HttpError(417, "Service.Expectation", "Expect must be 100-continue", True)
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = tempfile.SpooledTemporaryFile(IN_MEMORY)
        try:
            reading = self._read_chunks(body) if length is None else self._read_sized(body, length)
            await asyncio.wait_for(reading, self.settings.body_seconds)
        except asyncio.IncompleteReadError:
            body.close()
            raise HttpError(400, "Service.BadRequest", "the body ended before its length",
                            close=True) from None
        except asyncio.TimeoutError:
            body.close()
            raise HttpError(408, "Service.Timeout", "the request's body took longer than %d s"
                            % self.settings.body_seconds, close=True) from None
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body

    async def _read_sized(self, body, length):
        while length > 0:
            data = await self.reader.read(min(length, CHUNK))
            if not data:
                raise asyncio.IncompleteReadError(b"", length)
            _store(body, data)
            length -= len(data)

    async def _read_line(self):
        """Without its end; the stream's own limit bounds it."""
        try:
            return (await self.reader.readuntil(b"\r\n"))[:-2]
        except asyncio.LimitOverrunError:
            raise HttpError(400, "Service.BadRequest", "a line between chunks is too long",
                            close=True) from None

    async def _read_chunks(self, body):
        """RFC 9112, section 7.1."""
        total, limit = 0, self.settings.body_limit()
        while True:
            text = (await self._read_line()).partition(b";")[0].strip()
            if not text or len(text) > 15 or text.strip(b"0123456789abcdefABCDEF"):
                raise HttpError(400, "Service.BadRequest", "a chunk's size is %r, expected a "
                                "hexadecimal number" % text[:40].decode("latin-1"), close=True)
            size = int(text, 16)
            total += size
            if total > limit:
                raise too_large(limit)
            if size == 0:
                break
            await self._read_sized(body, size)
            if await self._read_line():
                raise HttpError(400, "Service.BadRequest", "a chunk is longer than its size", True)
        for _ in range(100):
            if not await self._read_line():
                return
        raise HttpError(400, "Service.BadRequest", "the body has too many trailers", close=True)

    # -- the answer --

    async def _send(self, request, answer, keep):
        self.writer.write(answer.head(keep))
        if request is None or request.method != "HEAD":
            self.writer.write(answer.body)
        await asyncio.wait_for(self.writer.drain(), self.settings.body_seconds)

    async def linger(self, unread):
        """A connection that is closed while the client still sends is reset, and the answer with
        it: so what comes is taken for a while."""
        if not unread:
            return
        self.writer.write_eof()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while await self.reader.read(CHUNK):
                    pass
        except (TimeoutError, OSError):
            pass

    def _log(self, request, answer, seconds):
        what = "%s %s" % (request.method, readable(request.target)[:500]) if request else "-"
        log('%s "%s" %d %d %.3f s', self.peer, what, answer.status, len(answer.body), seconds)


def _listen(port):
    """On every address, IPv6's too where the machine has it."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=128,
                                        dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
    return socket.create_server(("", port), backlog=128)


class Server:
    def __init__(self, settings, model):
        self.settings, self.model = settings, model
        self.pool = Pool(settings.threads, settings.queue)
        self.connections, self.tasks = set(), set()
        self.turning_away = 0
        self.stopping = False
        self.listener = None

    async def start(self):
        sock = _listen(self.settings.port)
        self.listener = await asyncio.start_server(self._accept, sock=sock, limit=HEAD_LIMIT)
        log("listening on port %d", sock.getsockname()[1])

    async def _accept(self, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, reader, writer)
        if len(self.connections) >= self.settings.connections:
            await self._turn_away(connection)
            return
        self.connections.add(connection)
        self.tasks.add(asyncio.current_task())
        try:
            await connection.serve()
        except Exception:  # a fault of ours ends one connection, not the service
            log("%s", traceback.format_exc())
        finally:
            self.connections.discard(connection)
            self.tasks.discard(asyncio.current_task())

    async def _turn_away(self, connection):
        answer = HttpError(503, "Service.TooBusy", "%d connections are open already"
                           % self.settings.connections, True, [("Retry-After", "1")]).answer()
        connection.writer.write(answer.head(False) + answer.body)
        if self.turning_away < self.settings.connections:
            self.turning_away += 1
            try:
                await connection.linger(True)
            finally:
                self.turning_away -= 1
        connection.writer.close()

    async def infer(self, request, body):
        """Hands a whole request to the threads, and waits for their answer."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def finish(answer):
            if not done.done():
                done.set_result(answer)

        def work():
            answer = self._run(request, body)
            try:
                loop.call_soon_threadsafe(finish, answer)
            except RuntimeError:
                pass  # the service has ended

        if not self.pool.submit(work):
            body.close()
            raise HttpError(503, "Service.TooBusy", "%d requests are being worked on and %d wait"
                            % (self.settings.threads, self.settings.queue), False,
                            [("Retry-After", "1")])
        return await done

    def _run(self, request, body):
        """In one of the threads."""
        files = [body]
        try:
            service = self.model.service
            data = request.query if request.method == "GET" else read_data(
                request, body, service.TEXT, files)
            return Answer(200, result_body(service.inference(data)))
        except HttpError as error:
            return error.answer()
        except BaseException as error:  # whatever a package's code raises
            sys.stdout.write(traceback.format_exc())
            sys.stdout.flush()
            return Answer(500, error_body("Service.InferenceFailed", describe(error)))
        finally:
            for file in files:
                file.close()

    async def stop(self):
        """No new requests; those that are being worked on have stop_seconds."""
        self.stopping = True
        self.listener.close()
        deadline = time.monotonic() + self.settings.stop_seconds
        while any(connection.busy for connection in self.connections):
            if time.monotonic() > deadline:
                log("stopped before %d requests were answered",
                    sum(connection.busy for connection in self.connections))
                break
            await asyncio.sleep(0.02)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
