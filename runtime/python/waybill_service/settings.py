"""What can be set, by WAYBILL_SERVICE_* variables of the container's environment."""
import os
from dataclasses import dataclass

PREFIX = "WAYBILL_SERVICE_"


class BadSetting(Exception):
    pass


@dataclass
class Settings:
    model_dir: str = "/home/mind/model"
    dynamic: str = "/home/mind/dynamic.json"  # of a dynamic model: which files are to be fetched
    port: int = 8080  # 0: any free one, which the log names
    threads: int = 4  # requests worked on at once
    queue: int = 16  # requests that wait for a thread; more are answered 503
    connections: int = 256  # open at once; more are answered 503
    max_body_mib: int = 32  # a request's body; more is answered 413
    head_seconds: int = 15  # for a request's line and headers
    body_seconds: int = 120  # for its body
    idle_seconds: int = 60  # between two requests of one connection
    stop_seconds: int = 8  # after SIGTERM, for the requests that are being worked on

    def body_limit(self):
        return self.max_body_mib << 20


def read_settings(environment=os.environ):
    values = {}
    for name, kind in Settings.__annotations__.items():
        variable = PREFIX + name.upper()
        text = environment.get(variable)
        if text is None:
            continue
        least = 0 if name in ("port", "queue") else 1
        if kind is int:
            if not (text.isascii() and text.isdigit() and least <= int(text) <= 1 << 20):
                raise BadSetting("%s is %r, expected a whole number, %d or more"
                                 % (variable, text, least))
            values[name] = int(text)
        else:
            values[name] = text
    return Settings(**values)
