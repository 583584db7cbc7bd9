"""The HTML page in a real browser, opened from disk: no error, no request, and all that a reader does with it."""

import os
import shutil
from pathlib import Path

import pytest

from harness.report.html import run_page
from tests.limits import LIMIT_S
from tests.report.builders import herd, known_race, run_of, table, unsure, violated
from tests.report.test_html import big_page

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"), reason="no Chromium here; CI must have one"
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS, timeout=LIMIT_S * 1000)
        yield chromium
        chromium.close()


def patient(page):
    """The page, with time for everything that it is asked to do."""
    page.set_default_timeout(LIMIT_S * 1000)
    return page


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(run_page(run_of(violated(), herd(14, rounds=2), known_race(), unsure(), *table(4))))
    return path


@pytest.fixture
def page(browser, report):
    """The report, opened; at the end, nothing may have been said on the console or asked of anyone."""
    context = browser.new_context(
        permissions=["clipboard-read", "clipboard-write"], viewport={"width": 1200, "height": 900}
    )
    page = patient(context.new_page())
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def first_picture(page):
    return page.locator(".picture").first


def test_jump_to_violation_focuses_it_and_brings_it_into_sight(page):
    picture = page.locator(".picture").nth(1)
    picture.locator(".drawing").evaluate("element => { element.scrollLeft = 99999; element.scrollTop = 99999; }")
    picture.get_by_role("button", name="Jump to violation").click()
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("D[3]: D.lock, lock → 200 granted")
    assert "here the legal order ends" in label
    assert picture.locator(".bar.stuck rect").is_visible()
    box, frame = picture.locator(".bar.stuck .name").bounding_box(), picture.locator(".drawing").bounding_box()
    assert frame["x"] <= box["x"] <= frame["x"] + frame["width"]
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"]
    assert "req-00000000000000000019" in picture.locator(".panel").inner_text()


def test_a_lane_can_be_hidden_and_the_others_move_up(page):
    picture = first_picture(page)
    lane_of_b = picture.locator(".lane").nth(1)
    before = lane_of_b.bounding_box()["y"]
    height = picture.locator("svg").first.bounding_box()["height"]
    picture.get_by_label("A", exact=True).uncheck()
    assert not picture.locator(".lane").first.is_visible()
    assert lane_of_b.bounding_box()["y"] == pytest.approx(before - 46, abs=1)
    assert picture.locator("svg").first.bounding_box()["height"] == pytest.approx(height - 46, abs=1)
    picture.get_by_label("A", exact=True).check()
    assert picture.locator(".lane").first.is_visible()


def test_the_replay_command_is_copied(page):
    page.evaluate("window.setTimeout = () => 0")  # what is said would be gone after some seconds
    page.get_by_role("button", name="Copy replay").first.click()
    page.get_by_text("The replay command is copied.").wait_for()
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock"
    )


def test_the_picture_is_walked_by_keyboard_alone(page):
    picture = first_picture(page)
    picture.locator(".drawing").focus()
    seen = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(page.evaluate("document.activeElement.getAttribute('aria-label')").split(",")[0])
    assert seen == ["A: a_lock", "B: b_lock", "A: a_auth"]
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("B: b_lock")


def test_the_table_view_has_every_operation_and_says_which_violate(page):
    case = page.locator(".case").first
    case.locator("summary", has_text="Table view").click()
    rows = case.locator("details.table tbody tr")
    assert rows.count() == 4
    assert rows.first.is_visible()
    assert [("violation" in text) for text in rows.all_inner_texts()] == [True, True, False, False]


def test_links_lead_to_the_violation(page):
    page.get_by_role("link", name="LOCK-3 in thundering_herd").click()
    assert page.url.endswith("#violation-2")
    assert page.locator("#violation-2 h2").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_for_anyone(page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


def test_the_page_of_100_000_operations_is_light_enough_to_open_at_once(browser, tmp_path):
    path = tmp_path / "big.html"
    path.write_text(big_page())
    page = patient(browser.new_page())
    page.goto(path.as_uri())
    page.get_by_role("button", name="Jump to violation").click()
    assert page.evaluate("document.activeElement.classList.contains('violating')")
    assert page.evaluate("document.getElementsByTagName('*').length") < 5000
    page.close()
