"""Where a package's bytes are: the largest files, and what inference does not need, as a rule."""
import json
import re

KIB = 1024
WASTE = {"model/optimizer.pt": 90 * KIB, "model/.git/objects/pack": 30 * KIB,
         "model/.git/x.tmp": 5 * KIB, "model/checkpoint-500/rng_state_0.pth": 20 * KIB,
         "model/checkpoint-500/weights.bin": 60 * KIB, "model/global_step500/zero.bin": 25 * KIB,
         "model/src/__pycache__/a.pyc": 3 * KIB, "model/runs/events.out.tfevents.17.host": 2 * KIB,
         "model/.ipynb_checkpoints/a-checkpoint.py": 1 * KIB}
LINES = {"optimizer.pt": 90, "checkpoint-[0-9]*/": 80, ".git/": 35, "global_step[0-9]*/": 25,
         "__pycache__/": 3, "events.out.tfevents.*": 2, ".ipynb_checkpoints/": 1}
NO_WASTE = {"model/checkpoint/weights.bin": 7 * KIB, "model/checkpoint-best/weights.bin": 6 * KIB,
            "model/my_optimizer.pt": 5 * KIB, "model/global_step": 4 * KIB, "model/wandb": KIB}


def looked_at(waybill, *arguments, status=0):
    result = waybill.run("check", *arguments, "--json")
    assert result.returncode == status, str(result)
    return json.loads(result.stdout)


def test_check_names_the_ten_largest(ready, package):
    where = package(files={f"model/part-{i:02}": i * KIB for i in range(1, 13)})
    top = looked_at(ready, where)["top"]
    assert top == [{"path": f"model/part-{i:02}", "size": i * KIB} for i in range(12, 2, -1)]


def test_the_lines_leave_out_what_is_claimed(ready, package):
    where = package(files=WASTE | NO_WASTE)
    before = looked_at(ready, where)
    assert before["findings"] == [], "waste is no finding"
    assert {one["path"]: one["size"] // KIB for one in before["waste"]} == LINES
    assert [one["size"] for one in before["waste"]] == sorted(
        (one["size"] for one in before["waste"]), reverse=True)
    (where / ".waybillignore").write_text("".join(one["path"] + "\n" for one in before["waste"]))
    after = looked_at(ready, where)
    assert after["waste"] == []
    assert after["bytes"] == before["bytes"] - sum(one["size"] for one in before["waste"])
    assert after["files"] == before["files"] - sum(one["files"] for one in before["waste"])


def test_the_table_ends_what_check_prints(ready, package):
    where = package(files={"model/weights.bin": 300 * KIB, "model/optimizer.pt": 100 * KIB})
    shown = ready.run("check", where, check=True).stdout
    assert shown[shown.index("largest files:"):].splitlines()[1:3] == [
        "   300 KiB   74%  model/weights.bin", "   100 KiB   24%  model/optimizer.pt"]
    assert shown.splitlines()[-2:] == [
        "inference does not need these, as a rule; the lines in .waybillignore save 100 KiB of "
        "400 KiB:", "   100 KiB   24%  optimizer.pt"]
    assert "最大的文件:" in ready.run("check", where, "--lang", "zh").stdout
    assert ready.run("check", where, "--quiet").stdout == ""


def test_no_waste_no_word_about_it(ready, package):
    where = package(files=NO_WASTE)
    assert ".waybillignore" not in ready.run("check", where, check=True).stdout
    assert looked_at(ready, where)["waste"] == []
    [found] = looked_at(ready, where, "--set", "limits.model_gib=0.00001", status=1)["findings"]
    assert "waste" not in found["evidence"] and "found" not in found["advice"][0]


def test_limits_say_what_is_large_and_what_is_waste(ready, package):
    where = package(files=WASTE)
    found = looked_at(ready, where, "--set", "limits.model_gib=0.0001", "--set",
                      "limits.model_file_gib=0.00006", status=1)["findings"]
    assert [one["reason"] for one in found] == ["ModelFileTooLarge", "SizeLimitExceeded"]
    for one in found:
        assert one["evidence"]["top"][0] == {"path": "model/optimizer.pt", "size": 90 * KIB}
        assert one["evidence"]["waste"][0] == {"path": "optimizer.pt", "size": 90 * KIB, "files": 1}
    assert found[0]["evidence"]["ignore_line"] == "optimizer.pt"
    assert f"`echo optimizer.pt >> {where}/.waybillignore`" in found[0]["advice"][0] and len(found[0]["advice"]) == 2
    assert "Largest: model/optimizer.pt (90 KiB), model/checkpoint-500/" in found[1]["summary"]
    assert "found: optimizer.pt (90 KiB), checkpoint-[0-9]*/ (80 KiB)" in found[1]["advice"][0]
    assert re.search(r"发现:optimizer\.pt \(90 KiB\)", found[1]["advice_cn"][0])


def test_names_that_would_harm_a_terminal_are_shown_as_text(ready, package):
    where = package(files={"model/bad\x1b[31m": "x"})
    shown = ready.run("check", where).stdout
    assert "\x1b" not in shown
