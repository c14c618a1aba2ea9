"""How long a registry is waited for, by one that is slow, busy or silent: what is outlasted, what is
said instead of waited for, and that nobody waits any longer who does not want to."""
import email.utils
import json
import signal
import time

import pytest

from conftest import finish
from corpus_runner import assert_answered
from faulty_registry import USER, changed, refusal, silence, status
from registry_import import (BUSY, SHARE, TAGS, arguments, assert_evidence, failed, imported, log_in,
                             lone, path_of, registry)  # noqa: F401
from wholeness import assert_store


def after(seconds, number=429):
    return lambda asked: refusal(number, "TOOMANYREQUESTS", {"Retry-After": seconds() if callable(seconds)
                                                             else str(seconds)})


def in_a_second():
    return email.utils.formatdate(time.time() + 1, usegmt=True)


@pytest.mark.parametrize("answer", [status(503), status(500), status(429), after(1), after(in_a_second),
                                    after(1, 503)])
@pytest.mark.parametrize("part", ["tags", "layer"])
def test_a_burst_is_outlasted(lone, registry, part, answer):
    registry.fault(part, answer, times=1)
    result = imported(lone, registry)
    assert result.reasons[0] == "ImportStarted" and "RegistryThrottled" not in result.reasons


@pytest.mark.parametrize("seconds", [3600, lambda: email.utils.formatdate(time.time() + 3600, usegmt=True)])
@pytest.mark.parametrize("part", ["tags", "manifest", "layer"])
def test_a_wait_that_is_too_long_is_said(lone, registry, part, seconds):
    registry.fault(part, after(seconds))
    event = failed(lone, registry, BUSY, "")
    assert_answered(lone, event)
    assert_evidence(event, registry, path_of(registry, part), 429, 1, "TOOMANYREQUESTS")
    assert 3590 < event["retry_at"] / 1000 - time.time() < 3610
    assert event["fix_by"] == "wait" and any("credential add" in step for step in event["advice"])


def test_retries_wait_as_long_as_the_registry_wants(lone, registry):
    registry.fault("tags", after(2), times=1)
    result = lone.run(*arguments(registry.reference, "--retries", "1"))
    assert result.returncode == 0 and result.reasons[-1] == "ModelImported", str(result)
    throttled, again = [event["occur_time"] for event in result.events
                        if event["reason"] == "RegistryThrottled" or event["attempt"] == 2][:2]
    assert again - throttled >= 1900


def test_who_has_logged_in_is_not_told_to(lone, registry):
    registry.login = 300
    log_in(lone, registry)
    registry.fault("layer", status(429))
    event = failed(lone, registry, BUSY, "")
    assert USER in event["summary"] and not any("credential add" in step for step in event["advice"])


@pytest.mark.parametrize("part, reason, kind", [("tags", TAGS, "timeout"), ("manifest", TAGS, "timeout"),
                                                ("layer", SHARE, "broken")])
def test_a_registry_that_is_silent(lone, registry, part, reason, kind):
    registry.fault(part, silence)
    began = time.monotonic()
    event = failed(lone, registry, reason, kind)
    assert time.monotonic() - began < 6
    assert_evidence(event, registry, path_of(registry, part), None, 2)
    assert_answered(lone, event)


def test_a_retry_goes_on_where_the_copy_stopped(lone, registry):
    """The config is read to look at the image, twice, before it is copied."""
    asked = registry.asked
    registry.fault("config", lambda _: refusal(500, "X") if len(asked("config")) > 2 else None)
    failed_event = lone.run(*arguments(registry.reference)).events[-2]
    assert (failed_event["reason"], failed_event["kind"]) == (SHARE, "broken")
    assert any("goes on from there" in step for step in failed_event["advice"])
    registry.faults.clear()
    assert lone.run("retry", "m", "--json").reasons[-1] == "ModelImported"
    assert len(asked("layer")) == 1
    assert_store(lone)


# -- who no longer wants it --

def waits(registry):
    registry.fault("tags", after(50))


def waits_for_a_token(registry):
    registry.login = 300
    registry.fault("token", after(50))


def is_silent(registry):
    registry.fault("tags", silence)


def stops_within_a_blob(registry):
    registry.fault("layer", changed(registry, sent=200_000, silent=True))


def start_and_reach(waybill, registry, stop_at):
    waybill.environment["WAYBILL_REGISTRY_TIMEOUT_SECONDS"] = "60"
    process = waybill.start(*arguments(registry.reference))
    end = time.monotonic() + 10
    while not registry.asked(stop_at):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("how", ["interrupt", "cancel"])
@pytest.mark.parametrize("fault, part", [(waits, "tags"), (waits_for_a_token, "token"), (is_silent, "tags"),
                                         (stops_within_a_blob, "layer")])
def test_a_wait_and_a_download_are_stopped_at_once(lone, registry, fault, part, how):
    fault(registry)
    process = start_and_reach(lone, registry, part)
    began = time.monotonic()
    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        lone.run("cancel", "m", check=True)
    code, shown, errors = finish(process, 20)
    assert time.monotonic() - began < 2.5, errors
    last = json.loads(shown.splitlines()[-1])
    if how == "cancel":
        assert code == 1 and last["reason"] == "ImportFailed", shown
        assert "ImportCancelled" in shown
    else:
        assert code == 130, (code, errors)
    if how == "cancel":
        assert_store(lone)
