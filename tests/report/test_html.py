"""The HTML page as text: complete, self-contained, small, and deaf to what a server under test may have said."""

import functools
import re

import pytest

from harness.check.verdict import Counterexample, Violation
from harness.report.html import MOST_BYTES, run_page, violation_page
from harness.report.html.drawing import LABELS, draw
from harness.report.summary import failures
from harness.report.timeline import timeline
from harness.scenario import Mark
from tests.report.builders import Book, herd, known_race, result, run_of, scenario, table, unsure, violated


def whole_run():
    return run_of(violated(), herd(), known_race(), unsure(), *table())


@pytest.mark.parametrize(
    "part",
    [
        "LOCK-3 in two_lockers",
        "A and B were both granted the lock of c1 with no unlock between",
        "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock",
        "scenarios/races/two_lockers.race.yaml:14:10",
        "req-00000000000000000001",
        "<code>stolen_lock</code>",
        "the requests overlapped in none of 200 runs",
        "transition_table",
        "DUR-1",
        "not exercised",
        "<td>jobs</td>",
    ],
)
def test_a_page_of_a_run_has(part):
    assert part in run_page(whole_run())


def test_a_page_of_one_violation_has_nothing_else():
    run = whole_run()
    page = violation_page(run, failures(run.results)[1])
    assert "D[0] and D[3] were both granted" in page
    assert "two_lockers" not in page
    assert 'id="scenarios"' not in page


def test_a_page_names_no_outside_address():
    page = run_page(whole_run())
    assert re.findall(r"""(?:src|href|action)=["']([^"'#]+)""", page) == ["data:,"]
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(http" not in page


def test_what_a_server_says_is_text():
    bad = violated()
    second = bad.history.operations[2]
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    bad.history.operations[2] = type(second)(
        **{name: getattr(second, name) for name in second.__struct_fields__} | {"errors": [evil], "request_id": evil}
    )
    page = run_page(run_of(bad))
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def big_violation(operations=100_000):
    book = Book()
    book.did("A", "create", phase="setup", state="Queued")
    for _ in range(operations // 4):
        for name in "AB":
            book.did(name, "lock", state="Locked", auth_uuid=f"t{len(book.operations)}")
            book.did(name, "unlock", state="Queued")
    last = len(book.operations) - 1
    found = Violation("invariant", "lock_only_queued", "LOCK-2", "seen", 0, (last - 1, last), "c1", Mark(1, 1))
    return result("violation", scenario("big"), book.operations, violations=[found])


@functools.cache
def big_page():
    return run_page(run_of(big_violation()))


def test_a_huge_violation_is_windowed_and_says_so():
    page = big_page()
    assert len(page.encode()) <= MOST_BYTES / 4
    assert "80 of 100000 operations are drawn" in page
    assert "99700 operations left out" in page


def test_a_huge_run_stays_within_the_limit():
    long_text = "x" * 900
    bad = [violated(f"case_{number}") for number in range(400)]
    for one in bad:
        one.verdict.violations[0] = Violation("clause", long_text, "LOCK-3", long_text, 0, (1, 2), "c1", Mark(1, 1))
    rows = [result("conforms", scenario(f"family_{number // 50}[{number}-{long_text}]")) for number in range(3000)]
    page = run_page(run_of(*bad, *rows))
    assert len(page.encode()) <= MOST_BYTES
    assert "more failures" in page
    assert "more are left out here" in page


def drawing_of(one, **more):
    return draw(timeline(one.history.operations, one.verdict.violations[0]), **more)


def test_bars_stand_in_their_process_lane_from_invocation_to_return():
    drawing = drawing_of(violated())
    assert [lane.name for lane in drawing.lanes] == ["A", "B"]
    (a_lock, a_auth), (b_lock, _) = drawing.lanes[0].bars, drawing.lanes[1].bars
    assert a_lock.x < b_lock.x < a_lock.x + a_lock.width < b_lock.x + b_lock.width <= a_auth.x
    assert a_lock.row.violating
    assert not a_auth.row.violating


def test_bands_show_the_state_and_whose_lock_it_is():
    bands = {band.name: band.segments for band in drawing_of(violated()).bands}
    assert [one.text for one in bands["state"]] == ["Queued", "Locked"]
    assert [(one.text, one.alarm) for one in bands["lock of"]] == [("A", False), ("A and B", True)]
    assert [one.text for one in bands["live tokens"]] == ["1", "1, 2", "1 (A), 2", "1 (A), 2 (B)"]


def test_the_longest_legal_order_is_numbered_and_the_illegal_step_marked():
    drawing = drawing_of(herd(5, rounds=2))
    bars = [bar for lane in drawing.lanes for bar in lane.bars]
    assert [(bar.row.dispatcher, bar.number) for bar in bars if bar.number] == [("D[0]", 1)]
    assert [bar.row.dispatcher for bar in bars if bar.stuck] == ["D[3]"]
    assert "longest legal order" in drawing.order


def test_the_order_of_what_did_not_overlap_is_drawn():
    book = Book()
    book.did("A", "lock", state="Locked", auth_uuid="t1")
    book.did("B", "lock", state="Locked", auth_uuid="t1")
    found = Violation("invariant", "lock_only_queued", "LOCK-2", "seen", 0, (1,), "c1", Mark(1, 1))
    one = result("violation", scenario("lock_noop"), book.operations, violations=[found])
    bars = [bar for lane in drawing_of(one).lanes for bar in lane.bars]
    assert [bar.number for bar in bars] == [1, 2]
    assert bars[0].dot < bars[1].dot


def test_no_order_is_claimed_where_something_may_have_happened_at_any_time():
    book = Book()
    book.did("A", "lock", "indeterminate")
    book.did("A#2", "lock", state="Locked", auth_uuid="t1")
    found = Violation("invariant", "owner_recorded", "LOCK-1", "seen", 0, (1,), "c1", Mark(1, 1))
    drawing = drawing_of(result("violation", scenario("lost"), book.operations, violations=[found]))
    assert [lane.name for lane in drawing.lanes] == ["A", "A#2"]
    assert all(bar.number is None for lane in drawing.lanes for bar in lane.bars)
    assert "at any time" in drawing.order
    never = drawing.lanes[0].bars[0]
    assert never.look == "unknown"
    assert never.x + never.width > drawing.lanes[1].bars[0].x + drawing.lanes[1].bars[0].width


def test_dots_of_a_legal_order_go_to_the_right():
    book = Book()
    book.did("A", "create", phase="setup", state="Queued")
    start = book.now
    first = book.did("A", "lock", at=start, took=9, state="Locked", auth_uuid="t1")
    second = book.did("B", "get", at=start + 1, took=1, state="Queued")
    third = book.did("B", "get", at=start + 3, took=1, state="Locked")
    case = Counterexample((first, second, third), prefix=(second, first), stuck=third)
    found = Violation("invariant", "linearizable", "GET-1", "seen", 0, (third,), "c1", Mark(1, 1), case)
    drawing = drawing_of(result("violation", scenario("reads"), book.operations, violations=[found]))
    dots = {bar.number: bar.dot for lane in drawing.lanes for bar in lane.bars if bar.number}
    assert dots[1] < dots[2]
    assert all(dot > LABELS for dot in dots.values())


def test_labels_of_one_lane_do_not_cover_each_other():
    book = Book()
    for number in range(30):
        book.did("A", "auth", took=0.001, auth_uuid=f"t{number}", secret_shown=f"s{number}")
    found = Violation("invariant", "fresh_auth_per_lock", "AUTH-4", "seen", 0, (3,), "c1", Mark(1, 1))
    (lane,) = drawing_of(result("violation", scenario("fast"), book.operations, violations=[found])).lanes
    for left, right in zip(lane.bars, lane.bars[1:], strict=False):
        assert right.x - left.x > 6 * len(left.label)


def test_containers_of_one_run_are_told_apart():
    book = Book()
    book.did("A", "lock", state="Locked", auth_uuid="t1", container="c1")
    book.did("A", "lock", state="Locked", auth_uuid="t2", container="c2")
    book.did("A", "unlock", state="Queued", container="c1")
    found = Violation("expect", "a_unlock", "UNLOCK-1", "seen", 0, (0, 1, 2), None, Mark(1, 1))
    rows = timeline(book.operations, found).rows
    assert [(row.where, row.state, row.live) for row in rows] == [
        ("c1", "Locked", ("1",)),
        ("c2", "Locked", ("1",)),
        ("c1", "Queued", ()),
    ]


def test_the_scenario_file_is_shown_around_the_place_as_it_is_written():
    bad = violated()
    lines = ["format: 1", *[f"  - {{id: step_{number}}}" for number in range(2, 30)]]
    bad.scenario = scenario("two_lockers", text="\n".join(lines))
    page = run_page(run_of(bad))
    assert '<span class="here">  14 ▶   - {id: step_14}</span>' in page
    assert "step_8}" in page
    assert "step_7}" not in page


def test_numbers_are_explained_only_where_some_are_drawn():
    book = Book()
    create = book.did("given", "create", phase="setup", state="Queued")
    lock = book.did("A", "lock", state="Locked", auth_uuid="t1")
    case = Counterexample((create, lock), prefix=(create,), stuck=lock)
    found = Violation("invariant", "linearizable", "GET-1", "seen", 0, (lock,), "c1", Mark(1, 1), case)
    drawing = drawing_of(result("violation", scenario("x"), book.operations, violations=[found]))
    assert drawing.order == "With the operation marked ✗ next, the legal order so far cannot be completed."
