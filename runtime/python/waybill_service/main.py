"""Starts and ends the service."""
import asyncio
import os
import signal
import sys
import threading

from waybill_service.answers import log
from waybill_service.loader import Model
from waybill_service.server import Server
from waybill_service.settings import BadSetting, read_settings


async def _serve(settings, model):
    server = Server(settings, model)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    # A thread of its own: a large model takes a while, and /health says meanwhile why it waits.
    threading.Thread(target=model.load, name="load", daemon=True).start()
    await stop.wait()
    log("stopping")
    await server.stop()


def main():
    try:
        settings = read_settings()
    except BadSetting as error:
        log("%s", error)
        return 2
    model = Model(settings.model_dir, settings.dynamic)
    try:
        asyncio.run(_serve(settings, model))
    except OSError as error:
        log("cannot listen on port %d: %s", settings.port, error)
        return 1
    log("stopped")
    sys.stdout.flush()
    os._exit(0)  # whatever threads a library started
