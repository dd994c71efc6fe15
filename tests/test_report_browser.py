"""The report in a real browser: it is drawn without asking anybody, on a phone too, and in both schemes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import BINARY, Chromium, Page
from test_report import HOSTILE
from written_sweeps import PARAMETERS, Written, some_params, usual

from sweeptui.cli import main

pytestmark = pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (Debian: apt-get install chromium)")

DRAWN = "document.documentElement?.dataset.drawn === 'yes'"
SKETCHED = "[...document.querySelectorAll('.plot')].filter(p => p.querySelector('svg.main-svg .trace')).length"
CHARTS = 9
"""History, curves, cost, importance, parallel coordinates, and four parameters."""
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: Any) -> Iterator[Chromium]:
    # No name leads anywhere: a page that asked somebody would complain.
    browser = Chromium(tmp_path_factory.mktemp("chromium") / "profile", "--host-resolver-rules=MAP * ~NOTFOUND")
    yield browser
    browser.close()


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    async with Page(chromium) as page:
        yield page


def report_of(sweep: Written) -> str:
    assert main(["report", sweep.name, "--root", str(sweep.root)]) == 0
    return (sweep.folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def url(tmp_path_factory: Any) -> str:
    return report_of(usual(tmp_path_factory.mktemp("sweep")))


def quiet(page: Page, url: str) -> None:
    """It has asked for nothing but itself, and has had nothing to complain of."""
    assert [request for request in page.requests if not request.startswith(("data:", "blob:"))] == [url]
    assert page.complaints == []


async def test_it_is_drawn_copies_and_follows_the_reader_to_a_phone_the_dark_and_paper(page: Page, url: str) -> None:
    """All on one page: a browser takes a while to read plotly.js."""
    await page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    await page.go(url)
    await page.until(DRAWN)
    charts = await page.evaluate("document.querySelectorAll('.plot').length")
    assert charts == CHARTS
    assert await page.evaluate(SKETCHED) == charts
    assert await page.evaluate("document.querySelectorAll('#plot-history .point').length") >= 16

    await page.call("Page.bringToFront")
    await page.evaluate("document.querySelector('[data-copies=best-1]').click()")
    await page.until("document.getElementById('told').textContent === 'Copied'")
    shown = await page.evaluate("document.getElementById('best-1').textContent")
    assert "python train.py model.lr=" in shown
    assert await page.evaluate("navigator.clipboard.readText()") == shown

    colour = "getComputedStyle(document.querySelector('#plot-history .js-line')).stroke"
    light = [await page.evaluate("getComputedStyle(document.body).backgroundColor"), await page.evaluate(colour)]
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    await page.call("Emulation.setEmulatedMedia", **dark)
    await page.until(f"{colour} !== '{light[1]}'")
    await page.until(DRAWN)
    assert light == ["rgb(255, 255, 255)", "rgb(198, 81, 2)"]
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 28)"
    assert await page.evaluate(colour) == "rgb(255, 169, 77)"

    await page.call("Emulation.setEmulatedMedia", media="print", **dark)
    await page.until(f"{colour} === '{light[1]}'")
    assert await page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"

    await page.call("Emulation.setEmulatedMedia", media="screen")
    await page.call("Emulation.setDeviceMetricsOverride", **PHONE)
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    await page.until("document.querySelector('#plot-history svg').clientWidth < 390")
    assert await page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    # What is wide is scrolled in a frame of its own.
    assert await page.evaluate("document.querySelector('.wide .frame').scrollWidth") > 390
    quiet(page, url)


async def test_what_a_trial_has_put_into_it_is_only_text(page: Page, tmp_path: Path) -> None:
    metrics = [{"name": "acc<b>", "goal": "maximize"}, {"name": "loss", "goal": "minimize"}]
    parameters = {"p.<b>x</b>": {"distribution": "categorical", "values": [HOSTILE, "plain"]}}
    search = {"metrics": metrics, "parameters": parameters, "method": "random"}
    sweep = Written(tmp_path, "hostile", protein_config=search)
    for score, value in enumerate((HOSTILE, "plain", HOSTILE)):
        sweep.done({"p.<b>x</b>": value}, float(score), metrics={"acc<b>": float(score), "loss": float(score)})
    sweep.failed({"p.<b>x</b>": "plain"}, f"train exited with code 1: {HOSTILE}", HOSTILE)
    url = report_of(sweep.end(reason=HOSTILE))
    await page.go(url)
    await page.until(DRAWN)
    assert await page.evaluate("window.owned") is None
    assert await page.evaluate("document.querySelectorAll('img, a[href^=javascript], main b').length") == 0
    assert "<img src=x onerror=owned()>" in await page.evaluate("document.querySelector('.failure h3').textContent")
    assert "<b>x</b>" in await page.evaluate("document.querySelector('#plot-parallel').textContent")
    assert await page.evaluate("document.querySelectorAll('#plot-front-0-1 .point').length") >= 3
    quiet(page, url)
    # The policy holds even where something got in: neither a script nor a request comes through.
    await page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=http://evil.example/x onerror=owned=1>')"
    )
    await page.until(lambda: any("Content Security Policy" in said for said in page.complaints))
    assert await page.evaluate("window.owned") is None


async def test_ten_thousand_trials_are_drawn_and_the_page_answers(page: Page, tmp_path: Path) -> None:
    sweep, rng = Written(tmp_path, "large", {"parameters": PARAMETERS}), random.Random(1)
    with sweep.store.transaction() as tx:
        for _ in range(10_000):
            number = tx.create_trial(some_params(rng), 1).number
            tx.set_trial(number, status="training")
            tx.set_trial(
                number, status="completed", end_order=number, score=rng.random(), cost=1 + rng.random(), spent=1.0
            )
    url = report_of(sweep.end())
    assert (sweep.folder / "report.html").stat().st_size < 10e6
    await page.go(url)
    await page.until(DRAWN)
    assert await page.evaluate(SKETCHED) == await page.evaluate("document.querySelectorAll('.plot').length")
    quiet(page, url)
