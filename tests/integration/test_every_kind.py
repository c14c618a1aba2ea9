"""Every kind of diagnosis that the program has occurs in a test, from its real cause, and is answered
whole: by a corpus case that expects it by name (the corpus holds every event's texts against its
kind's row), or, where no package can show the fault, by the test that is named here."""
import pathlib
import re
import sqlite3

import pytest

from corpus_runner import assert_answered, kind_rows, load_cases
from oci_layout import image_blobs

HERE = pathlib.Path(__file__).parent

# The fault is in time, in the machine or in the service's own files, not in a package.
ELSEWHERE = {
    ("RomaImageShareFailed", ""): "test_copy.py::test_a_target_that_refuses_is_32_and_the_import_stays",
    ("ModelFilesCopyFailed", "changed"): "test_full_disk.py::test_file_that_changes_while_it_is_read",
    ("ModelFilesCopyFailed", "gone"): "test_every_kind.py::test_source_that_is_gone",
    ("ModelFilesCopyFailed", "denied"): "test_bucket.py::test_who_may_not",
    ("ModelFilesCopyFailed", "no_bucket"): "test_bucket.py::test_no_such_bucket",
    ("ModelFilesCopyFailed", "server_error"):
        "test_bucket_faults.py::test_what_stays_is_named_with_what_the_service_said",
    ("ModelFilesCopyFailed", "short_body"):
        "test_bucket_faults.py::test_what_stays_is_named_with_what_the_service_said",
    ("ModelFilesCopyFailed", "checksum"): "test_bucket_faults.py::test_other_bytes_than_the_checksum_says",
    ("PutObjectAclDenied", ""): "test_own_bucket.py::test_an_acl_that_may_not_be_set_is_event_11",
    ("BucketCreateFailed", "denied"): "test_own_bucket.py::test_a_bucket_that_cannot_be_created_is_event_42",
    ("BucketCreateFailed", "too_many"):
        "test_own_bucket.py::test_an_account_with_too_many_buckets_is_event_42",
    ("BucketCreateFailed", "taken"): "test_own_bucket.py::test_a_name_that_another_account_has_is_event_42",
    ("BucketCreateFailed", "region"): "test_own_bucket.py::test_a_region_that_is_none_is_event_42",
    ("BucketCreateFailed", "other"): "test_own_bucket_faults.py::test_a_store_that_fails_to_create_it",
    ("ModelFilesCopyFailed", "upload_gone"):
        "test_uploads.py::test_a_failed_import_keeps_its_upload_for_a_retry_and_names_no_path",
    ("ModelFilesCopyFailed", "upload_elsewhere"):
        "test_nodes.py::test_an_upload_whose_server_is_gone_ends",
    ("SourceChanged", ""): "test_every_kind.py::test_source_that_was_mended",
    ("SourceImageShareFailed", "broken"): "test_full_disk.py::test_image_whose_layer_cannot_be_read",
    ("ImageTagListFailed", "bad_answer"): "test_registry_faults.py::test_what_is_no_answer_of_a_registry",
    ("ImageTagListFailed", "dns"): "test_registry_faults.py::test_a_name_that_nobody_knows",
    ("ImageTagListFailed", "tls"): "test_registry_source.py::test_a_certificate_of_a_ca_that_is_set",
    ("ImageTagListFailed", "timeout"): "test_registry_patience.py::test_a_registry_that_is_silent",
    ("ImageTagListFailed", "broken"): "test_registry_faults.py::test_an_answer_of_too_many_headers",
    ("ImageTagListFailed", "server_error"): "test_registry_faults.py::test_an_answer_that_stays",
    ("ImageTagListFailed", "denied"):
        "test_registry_faults.py::test_a_tag_list_that_is_forbidden_leaves_it_to_the_manifest",
    ("RegistryThrottled", ""): "test_registry_patience.py::test_a_wait_that_is_too_long_is_said",
    ("SourceImageTokenExpired", "denied"): "test_registry_faults.py::test_a_login_that_is_wrong",
    ("SourceImageTokenExpired", "anonymous"): "test_registry_source.py::test_the_login_of_the_project",
    ("SourceImageTokenExpired", "login_unread"):
        "test_registry_source.py::test_logins_that_cannot_be_read_are_named",
    ("SourceImageTokenExpired", "clock"): "test_registry_faults.py::test_clocks_that_differ",
    ("BuildRequestFailed", "store_busy"):
        "test_attempts.py::test_build_that_the_store_does_not_take_is_event_23",
    ("ImageBuildSystemError", "disk_full"):
        "test_full_disk.py::test_import_that_does_not_fit_says_how_much_is_free_and_needed",
    ("ImageBuildSystemError", "io"): "test_every_kind.py::test_index_of_the_images_that_is_a_folder",
    ("ImageBuildSystemError", "store_lost"): "test_every_kind.py::test_store_without_a_table",
    ("ImageBuildSystemError", "internal"): "../unit/test_pipeline.c::every_error_has_its_kind",
    ("ImageBuildTimeout", ""): "test_build_failures.py::test_a_build_that_takes_too_long",
    ("ImageBuildFailed", "push_denied"): "test_image_store_faults.py::test_a_push_that_is_refused_is_event_2",
    ("ImageBuildFailed", "push_quota"): "test_image_store_faults.py::test_a_push_that_is_refused_is_event_2",
    ("ImageBuildFailed", "push_broken"): "test_image_store_faults.py::test_a_push_that_is_refused_is_event_2",
    ("ImageBuildFailed", "login_unread"):
        "test_image_store_faults.py::test_logins_that_cannot_be_read_are_event_2",
    ("SourceImageShareFailed", "target_denied"):
        "test_image_store_faults.py::test_a_custom_image_that_is_not_taken_is_event_24",
    ("SourceImageShareFailed", "target_broken"):
        "test_image_store_faults.py::test_a_custom_image_that_is_not_taken_is_event_24",
    ("ImageBuildThrottled", "registry_429"):
        "test_image_store_faults.py::test_a_push_that_is_throttled_is_event_22",
    ("ImageBuildThrottled", "project_limit"):
        "test_unscheduled.py::test_a_project_with_too_many_builds",
    ("ImageBuildThrottled", "project_storage"):
        "test_space.py::test_a_project_whose_images_take_its_storage_gets_no_new_import",
    ("ImageBuildThrottled", "disk_watermark"):
        "test_space.py::test_below_the_free_space_that_is_kept_no_import_begins",
    ("BuildSchedulingFailed", "no_worker"):
        "test_unscheduled.py::test_a_build_that_no_worker_takes_ends_and_a_retry_builds_it",
    ("BuildSchedulingFailed", "lease_lost"):
        "test_build_failures.py::test_workers_that_die_again_and_again",
    ("BuildStartFailed", "no_rootfs"):
        "test_build_failures.py::test_a_root_file_system_that_cannot_be_mounted",
    ("ImageBuildSystemError", "sandbox_crashed"):
        "test_build_failures.py::test_a_sandbox_that_crashes",
    ("ImageBuildFailedSeeLog", "no_network"):
        "test_build_failures.py::test_no_network",
    ("ImageBuildFailedSeeLog", "no_version"):
        "test_build_failures.py::test_no_version",
    ("ImageBuildFailedSeeLog", "unsupported"):
        "test_build_failures.py::test_a_wheel_for_another_platform",
    ("ImageBuildFailedSeeLog", "compile"):
        "test_build_failures.py::test_what_cannot_be_compiled",
    ("ImageBuildFailedSeeLog", "conflict"):
        "test_build_failures.py::test_two_that_do_not_agree",
    ("ImageBuildFailedSeeLog", "order"):
        "test_build_failures.py::test_a_package_that_needs_another_before_it",
    ("ImageBuildFailedSeeLog", "memory"):
        "test_build_failures.py::test_memory_is_limited",
    ("ImageBuildFailedSeeLog", "memory_refused"):
        "test_rootless.py::test_memory_is_limited",
    ("ImageBuildFailedSeeLog", "disk"):
        "test_build_failures.py::test_disk_is_limited",
    ("ImageBuildFailedSeeLog", "index_tls"):
        "test_build_failures.py::test_an_index_whose_certificate_is_not_trusted",
    ("ImageBuildFailedSeeLog", "index_auth"):
        "test_build_failures.py::test_an_index_that_refuses_the_login",
    ("ImageBuildFailedSeeLog", "index_away"):
        "test_build_failures.py::test_an_index_that_is_away",
    ("ImageBuildFailedSeeLog", "no_installer"):
        "test_build_failures.py::test_a_base_without_the_installer",
    ("ImageBuildFailedSeeLog", "command"):
        "test_build_failures.py::test_a_wheel_that_is_none",
    ("ImageVerifyFailed", "exited"): "test_try.py::test_an_image_whose_command_ends",
    ("ImageVerifyFailed", "unhealthy"): "test_try.py::test_an_image_whose_health_is_bad",
    ("ImageVerifyFailed", "silent"): "test_try.py::test_an_image_that_does_not_listen",
    ("PickleImportsFound", "dangerous"): "test_scan.py::test_what_a_pickle_imports_is_named",
    ("PickleImportsFound", "unlisted"): "test_scan.py::test_classes_of_ones_own_are_unlisted",
    ("PickleImportsDenied", "dangerous"): "test_scan.py::test_deny_ends_the_import",
    ("PickleImportsDenied", "unlisted"): "test_scan.py::test_deny_ends_the_import",
    ("PickleImportsDenied", "unread"): "test_scan.py::test_deny_ends_the_import",
    ("PickleNotRead", ""): "test_scan.py::test_what_could_not_be_looked_through_is_said",
    ("ModelFileTruncated", ""): "test_scan.py::test_a_file_shorter_than_its_header_says",
    ("ModelFormatBroken", ""): "test_scan.py::test_files_that_are_not_what_their_name_says",
    ("OnnxExternalDataMissing", "missing"): "test_scan.py::test_external_data_that_is_not_there",
    ("OnnxExternalDataMissing", "outside"): "test_scan.py::test_external_data_that_is_not_there",
    ("OnnxExternalDataMissing", "short"): "test_scan.py::test_external_data_that_is_not_there",
    ("ImportCancelled", ""): "test_attempts.py::test_cancel_from_another_process",
}


def kinds_of_cases():
    """{(reason, kind)} that a case expects by its name; "kind": null is the row without one."""
    return {(wanted["reason"], wanted["kind"] or "")
            for case in load_cases().values() if not {"registry"} & set(case.get("needs", []))
            for wanted in case["expect"].get("has", []) if "kind" in wanted}


def test_every_kind_has_a_case_or_a_named_test(waybill):
    rows, cases = set(kind_rows(waybill)), kinds_of_cases()
    assert len(rows) > 40
    assert not cases - rows, "cases of kinds that there are not"
    assert not set(ELSEWHERE) - rows, "named tests of kinds that there are not"
    assert not rows - cases - set(ELSEWHERE), "kinds that no test makes occur"


@pytest.mark.parametrize("kind", ELSEWHERE, ids="/".join)
def test_the_named_test_is_there_and_looks_at_the_answer(kind):
    name, test = ELSEWHERE[kind].split("::")
    body = re.search(r"^(?:def|static void) %s\(.*?(?=^[^\s{]|\Z)" % test, (HERE / name).read_text(), re.M | re.S)
    assert body and "assert_answered(" in body[0], ELSEWHERE[kind]


def failed(waybill, *arguments):
    """The event that ended the import."""
    result = waybill.run(*arguments, "--json")
    assert result.returncode == 1, str(result)
    last = result.events[-1]
    [cause] = [event for event in result.events if event["seq"] == last["cause"]]
    assert_answered(waybill, cause)
    assert_answered_by_its_cause(last, cause)
    return cause


def assert_answered_by_its_cause(last, cause):
    assert last["summary"].startswith(cause["summary"])
    assert last["summary_cn"].startswith(cause["summary_cn"])
    assert set(last["advice"]) <= set(cause["advice"])


def test_source_that_is_gone(ready, package):
    source = package(config={"model_type": "Nonsense"})
    failed(ready, "import", source, "--name", "m")
    source.rename(source.with_name("elsewhere"))
    gone = failed(ready, "retry", "m")
    assert (gone["reason"], gone["kind"]) == ("ModelFilesCopyFailed", "gone")
    assert_answered(ready, gone)


def test_source_that_was_mended(waybill, base_layout, package):
    """The base is lost, so that the attempt ends after its check."""
    waybill.run("runtime", "add", "base", "--image", f"oci:{base_layout}:latest", check=True)
    source = package()
    layer = pathlib.Path(image_blobs(base_layout)["layer"]).name
    [kept] = waybill.data.rglob(layer)
    kept.unlink()
    failed(waybill, "import", source, "--name", "m")
    (source / "model/weights.bin").write_text("other weights")
    result = waybill.run("retry", "m", "--json")
    [changed] = [event for event in result.events if event["reason"] == "SourceChanged"]
    assert changed["evidence"]["path"] == "model/weights.bin"
    assert_answered(waybill, changed)


def test_index_of_the_images_that_is_a_folder(ready, package):
    index = ready.data / "images/index.json"
    index.unlink()
    index.mkdir()
    event = failed(ready, "import", package(), "--name", "m")
    assert (event["reason"], event["kind"]) == ("ImageBuildSystemError", "io")
    assert_answered(ready, event)


def test_store_without_a_table(ready, package):
    with sqlite3.connect(ready.data / "waybill.db") as store:
        store.execute("DROP TABLE file_digests")
    store.close()
    event = failed(ready, "import", package(), "--name", "m")
    assert (event["reason"], event["kind"]) == ("ImageBuildSystemError", "store_lost")
    assert_answered(ready, event)
