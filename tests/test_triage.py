"""Failed trials by their error: which messages are the same error, and the traceback in a log."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sweeptui.core.analysis.triage import (
    MAX_TRACEBACK_LINES,
    essence,
    groups,
    last_traceback,
    normalised,
    telling,
)
from sweeptui.core.trial import FailureKind, Trial, TrialStatus


def trial(number: int, reason: str = "", failure: FailureKind = FailureKind.CRASHED, **params: object) -> Trial:
    failed = bool(reason)
    return Trial(
        number=number,
        params=params,
        seed=0,
        created_at=0.0,
        status=TrialStatus.FAILED if failed else TrialStatus.COMPLETED,
        failure=failure if failed else None,
        reason=reason,
    )


def test_numbers_addresses_and_paths_do_not_make_another_error() -> None:
    messages = [
        "train exited with code 1: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has 79.10 GiB",
        "train exited with code 1: CUDA out of memory. Tried to allocate 512.00 GiB. GPU 3 has 9 GiB",
    ]
    assert len({normalised(message) for message in messages}) == 1
    for one, other in (
        ("no such file: /home/ada/run_1/a.pt", "no such file: /tmp/x/b-2.pt"),
        ("segfault at 0x7ffe12 in 0xdeadBEEF", "segfault at 0x0 in 0x1"),
        ("run 3f2b8c1e-0000-4000-8000-1234567890ab died", "run 00000000-0000-4000-8000-1234567890ff died"),
        ("commit 3f2b8c1e77aa0 is gone", "commit 00aa8c1e77aa9 is gone"),
        ("loss is 1e-5 at step 1,000", "loss is -3.25E+8 at step 20"),
        ("trial_0007 failed", "trial_0123 failed"),
        ("GET http://host:80/a?b=1 failed", "GET https://other/c failed"),
    ):
        assert normalised(one) == normalised(other), one


def test_what_tells_errors_apart_stays() -> None:
    assert normalised("expected float32 but got float64") != normalised("expected float32 but got float16")
    assert normalised("train exited with code 1") != normalised("train exited with code 2")
    assert normalised("ValueError: lr") != normalised("KeyError: lr")
    assert "and/or" in normalised("this and/or that")


def test_what_the_engine_adds_is_no_part_of_the_error() -> None:
    said = "train exited with code 1: ValueError: bad lr (3 report lines were skipped, the first: not JSON)"
    assert essence(said) == "ValueError: bad lr"
    assert essence("eval was ended by SIGKILL: MemoryError") == "MemoryError"


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert "\n" not in once


def test_groups_are_by_kind_and_error_and_the_most_frequent_comes_first() -> None:
    trials = [
        trial(1, "train exited with code 1: ValueError: lr 0.5 is bad"),
        trial(2, "train exited with code 1: MemoryError", FailureKind.OUT_OF_MEMORY),
        trial(3),
        trial(4, "train exited with code 1: ValueError: lr 0.7 is bad"),
        trial(5, "train exited with code 1: MemoryError", FailureKind.CRASHED),
    ]
    found = groups(trials)
    assert [(group.error, [t.number for t in group.trials]) for group in found] == [
        ("ValueError: lr … is bad", [1, 4]),
        ("MemoryError", [5]),
        ("MemoryError", [2]),
    ]
    assert groups([trial(3)]) == []


def test_a_single_message_keeps_its_numbers() -> None:
    assert (
        groups([trial(1, "train exited with code 1: ValueError: lr 0.5 is bad")])[0].error
        == "ValueError: lr 0.5 is bad"
    )


def test_a_parameter_that_sets_failures_apart() -> None:
    bad = [trial(1, "boom", batch=4096, lr=0.1), trial(2, "boom", batch=8192, lr=0.001)]
    good = [trial(3, batch=512, lr=0.01), trial(4, batch=1024, lr=0.05)]
    (group,) = groups([*bad, *good])
    (found,) = telling(group, [*bad, *good])
    assert (found.name, found.low, found.high, found.bound) == ("batch", 4096, 8192, 1024)
    assert telling(group, bad) == [], "nothing to compare with"
    (lonely,) = groups([bad[0], *good])
    assert telling(lonely, [bad[0], *good]) == [], "one point is apart from anything"


def test_parameters_that_are_no_numbers_tell_nothing() -> None:
    bad = [trial(1, "boom", act="relu", on=True), trial(2, "boom", act="relu", on=True)]
    good = [trial(3, act="tanh", on=False), trial(4, act="tanh", on=False)]
    assert telling(groups(bad)[0], [*bad, *good]) == []


TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
  File "train.py", line 2, in main
    raise ValueError("bad lr")
ValueError: bad lr"""


def test_the_last_traceback_is_found_between_other_lines() -> None:
    log = f"epoch 1\n{TRACEBACK.replace('bad lr', 'an earlier one')}\nretrying\n{TRACEBACK}\nwandb: bye\n"
    assert last_traceback(log) == TRACEBACK.splitlines()


def test_what_an_exception_was_raised_from_belongs_to_it() -> None:
    chain = (
        f"{TRACEBACK.replace('ValueError', 'KeyError')}\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        f"{TRACEBACK}"
    )
    assert last_traceback(f"hello\n{chain}\nbye") == chain.splitlines()
    other = chain.replace(
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    )
    assert last_traceback(other) == other.splitlines()


def test_a_prefix_on_each_line_is_taken_off() -> None:
    log = "\n".join(f"[rank0]: {line}" for line in TRACEBACK.splitlines())
    assert last_traceback(f"x\n{log}\n[rank0]: bye") == TRACEBACK.splitlines()


def test_a_message_of_several_lines_and_exception_groups_and_drawn_ones() -> None:
    torch = "RuntimeError: Error(s) in loading:\n\tsize mismatch for a\n\tsize mismatch for b"
    log = TRACEBACK.replace("ValueError: bad lr", torch)
    assert last_traceback(f"{log}\nbye") == log.splitlines()
    group = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "a.py", line 1, in <module>\n'
        "  | ExceptionGroup: two (2 sub-exceptions)\n"
        "  +-+---------------- 1 ----------------\n"
        "    | ValueError: one\n"
        "    +------------------------------------"
    )
    assert len(last_traceback(f"x\n{group}\nbye")) == 6
    drawn = "╭───── Traceback (most recent call last) ─────╮\n│ a.py:3 │\n╰──────────────╯\nValueError: bad lr"
    assert last_traceback(f"x\n{drawn}\nbye") == drawn.splitlines()


def test_no_traceback_and_one_that_is_cut_off() -> None:
    assert last_traceback("") == []
    assert last_traceback("Killed\nTraceback is a word\n") == []
    assert last_traceback("Traceback (most recent call last):\n  File") == [
        "Traceback (most recent call last):",
        "  File",
    ]


def test_a_deep_recursion_is_shortened_in_its_middle() -> None:
    frames = '  File "a.py", line 1, in f\n    f()\n' * 1000
    found = last_traceback(f"Traceback (most recent call last):\n{frames}RecursionError: too deep\n")
    assert len(found) == MAX_TRACEBACK_LINES + 1
    assert found[-1] == "RecursionError: too deep"
    assert any(re.match(r"… \d+ lines …", line) for line in found)


@given(
    st.lists(
        st.sampled_from([*TRACEBACK.splitlines(), "", "x", "  y", *TRACEBACK.replace("File", "| File").splitlines()])
    )
)
def test_whatever_is_printed_the_traceback_is_a_part_of_it(lines: list[str]) -> None:
    found = last_traceback("\n".join(lines))
    assert len(found) <= len(lines)
    assert all(line in lines for line in found)
