"""The thread that reads a log: carries out what is asked of it and posts pages."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeptui.app.log import scan
from sweeptui.app.log.file import LogFile
from sweeptui.app.log.marks import Marks
from sweeptui.app.log.page import Page
from sweeptui.app.log.pattern import Filter, Pattern, Span, TooSlowError
from sweeptui.app.log.scan import Place, below, passing
from sweeptui.app.log.search import Search
from sweeptui.app.log.viewport import Viewport

POLL_S = 0.1
RUSH_S = 0.33
"""How often a log is looked at of which nothing stays on the page until then: faster, nobody could read it either."""
TURN_S = 0.02
"""After so long requests are looked for, and what was found is shown."""
POST_S = 0.05
"""While a log is being looked through, pages are posted no closer than this."""
COUNT_BYTES = 1 << 23
"""New lines are counted over at most so many bytes at a time."""
ABOVE_HIT = 3
"""One part in so many of the page is above a line that was jumped to."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the page was when something began to be written."""

    top: int | None = None
    """None while the end is followed."""
    hit: Place | None = None
    """The line that the search had come to, where it was on screen, and in which row."""
    row: int = 0


class LogReader:
    """Reads pages on a thread of its own and posts each one that differs from the last.

    All methods but `run` may be called from any thread and return at once; `run` returns after `close`. Whatever is
    looked for takes as many turns as it needs, and what is asked for in between comes first.
    """

    def __init__(self, post: Callable[[Page], object]) -> None:
        self._post = post
        self._requests: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._height = 1
        self._poll_s = POLL_S
        self._log: LogFile | None = None
        self._view: Viewport | None = None
        self._filter: Filter | None = None
        self._pattern: Pattern | None = None
        self._search: Search | None = None
        self._origin = Origin()
        self._counted_to: int | None = None
        self._new = 0
        self._problem = ""
        self._shown: dict[Place, str] = {}
        self._marks = Marks()
        self._posted: Page | None = None
        self._posted_at = 0.0
        self._seen: tuple[object, ...] | None = None
        self.idle = threading.Event()
        """Set while every request so far has been answered."""

    # -- what may be asked of it

    def open(self, path: Path | None) -> None:
        """Follow another log. The search and the filter stay."""
        self._ask(lambda: self._open(path))

    def resize(self, height: int) -> None:
        self._ask(lambda: self._resize(max(1, height)))

    def scroll(self, lines: int) -> None:
        """Down by `lines`, up where negative. Reaching the end follows it again."""
        self._ask_view(lambda view: view.scroll(lines))

    def page(self, pages: int) -> None:
        self._ask_view(lambda view: view.scroll(pages * max(1, self._height - 1)))

    def to_start(self) -> None:
        self._ask_view(lambda view: view.go_to(0))

    def to_end(self) -> None:
        """Show the end, and keep showing it."""
        self._ask_view(lambda view: view.follow())

    def filter(self, wanted: Filter | None, *, back: bool = False) -> None:
        """Show only those lines that pass; all where it is None. What is on screen stays there as far as it passes.

        With `back`, that is what was there at `remember`.
        """
        self._ask(lambda: self._keep(wanted, back))

    def remember(self) -> None:
        """Searches start where the page is now, until the next `remember`, and may come back to it."""
        self._ask(self._remember)

    def search(self, pattern: Pattern | None, *, back: bool = False) -> None:
        """Go to the next line that has it: down from the page, or up from the end while that is followed.

        Without a pattern nothing is marked any more; with `back` the page is again where it was at `remember`.
        """
        self._ask(lambda: self._search_for(pattern, back))

    def find(self, *, forward: bool) -> None:
        """Go to the next line that the search is found in, or to the one before."""
        self._ask(lambda: self._find(forward))

    def stop(self) -> None:
        """Give up what is being searched for."""
        self._ask(self._stop)

    def close(self) -> None:
        self._requests.put(None)

    def _ask(self, request: Callable[[], object]) -> None:
        with self._lock:
            self.idle.clear()
            self._requests.put(request)

    def _ask_view(self, request: Callable[[Viewport], None]) -> None:
        self._ask(lambda: None if self._view is None else request(self._view))

    # -- the thread

    def run(self) -> None:
        try:
            busy = False
            while self._serve(0.0 if busy else self._poll_s):
                busy = self._turn()
        finally:
            if self._log is not None:
                self._log.close()

    def _serve(self, wait_s: float) -> bool:
        """Wait a moment for requests and carry out all that are there; False once closed."""
        try:
            request = self._requests.get(timeout=wait_s) if wait_s else self._requests.get_nowait()
            while True:
                if request is None:
                    return False
                request()
                self._seen, self._posted_at = None, 0.0  # what was asked for is shown at once
                request = self._requests.get_nowait()
        except queue.Empty:
            return True

    def _turn(self) -> bool:
        """Look at the log and read on for a moment; False once there is nothing more to do."""
        if self._log is not None and not self._log.look():
            self._begin(self._log)  # it was written anew
            self._seen = None
        seen = None if self._log is None else (self._log.size, self._log.problem)
        busy = False
        if seen is None or seen != self._seen:
            busy = self._read_on()
            self._seen = None if busy else seen
        if not busy:
            with self._lock:
                if self._requests.empty():
                    self.idle.set()
        return busy

    def _read_on(self) -> bool:
        deadline = time.monotonic() + TURN_S
        busy = True
        while busy and self._requests.empty() and time.monotonic() < deadline:
            busy = self._step()
        now = time.monotonic()
        if not busy or now - self._posted_at >= POST_S:
            page = self._page()
            if page != self._posted:
                self._poll_s = RUSH_S if _rushes(self._posted, page) else POLL_S
                self._post(page)
                self._posted, self._posted_at = page, now
        return busy

    def _step(self) -> bool:
        """Read a slice for each thing that needs one; False once nothing does."""
        view, search = self._view, self._search
        if view is None:
            return False
        try:
            self._count_from(view)
            busy = view.step()
            self._count_from(view)
            if search is not None and search.hunt is not None:
                if search.step():
                    self._show(view, search.hit)
                busy = True
            if self._counted_to is not None and self._counted_to < view.log.done:
                self._count(view, self._counted_to)
                busy = True
            if not busy and search is not None and search.tally.due:
                search.tally.step()
                busy = True
        except TooSlowError as error:
            self._give_up(error)
            busy = True
        return busy

    # -- requests

    def _open(self, path: Path | None) -> None:
        if self._log is not None:
            self._log.close()
        self._log = None if path is None else LogFile(path)
        self._posted = None  # whoever asks has thrown away what was posted of it before
        if self._log is None:
            self._view, self._search = None, None
        else:
            self._log.look()
            self._begin(self._log)

    def _begin(self, log: LogFile) -> None:
        """Show the end of a log that was not shown before."""
        self._view = Viewport(log, self._height, self._filter)
        self._counted_to, self._new = None, 0
        self._origin = Origin()
        self._shown.clear()
        self._problem = ""
        self._search = None if self._pattern is None else Search(log, self._pattern, self._filter)

    def _resize(self, height: int) -> None:
        self._height = height
        view = self._view
        if view is None:
            return
        page = view.page()
        row = self._row(page)
        view.height = height
        if row is not None and row >= height and not view.following:
            view.go_to(page[row - height + 1][0])

    def _keep(self, wanted: Filter | None, back: bool) -> None:
        if wanted == self._filter:
            return
        self._filter = wanted
        self._problem = ""
        log, old = self._log, self._search
        if self._view is None or log is None:
            return
        if not back:
            self._remember()
        origin = self._origin
        view = self._view = Viewport(log, self._height, wanted)
        search = self._search = None if old is None else Search(log, old.pattern, wanted)
        if origin.top is None:
            return
        view.go_to(origin.top)
        self._counted_to, self._new = log.done, 0
        if search is not None and origin.hit is not None and _passes(wanted, log, origin.hit):
            search.hit = origin.hit
            view.go_to(origin.hit[0], origin.row)

    def _remember(self) -> None:
        view = self._view
        if view is None:
            self._origin = Origin()
            return
        page = view.page()
        row = self._row(page)
        top = None if view.following else page[0][0] if page else view.top
        self._origin = Origin(top) if row is None else Origin(top, page[row], row)

    def _search_for(self, pattern: Pattern | None, back: bool) -> None:
        self._pattern = pattern
        self._problem = ""
        view, log = self._view, self._log
        if view is None or log is None:
            return
        if pattern is None:
            self._search = None
            if back:
                self._go_back(view, self._origin.top)
            return
        old = self._search
        if old is not None and old.pattern == pattern and (old.hit is not None or old.hunt is not None):
            return
        self._search = Search(log, pattern, self._filter)
        self._search.go(self._origin.top, forward=self._origin.top is not None)

    def _go_back(self, view: Viewport, top: int | None) -> None:
        if top is None:
            view.follow()
        else:
            view.go_to(top)

    def _find(self, forward: bool) -> None:
        search, view = self._search, self._view
        if search is None or view is None or (search.hunt is not None and search.hunt.forward == forward):
            return
        page = view.page()
        if search.hit is not None and self._row(page) is not None:
            start = search.hit[0]
            search.go(view.log.next(start, view.log.size) if forward else start, forward=forward)
        elif view.following or not page or (not forward and page[-1][1] > view.log.done):
            search.go(None, forward=False)  # the newest first
        else:
            search.go(page[0][0] if forward else page[-1][1], forward=forward)

    def _stop(self) -> None:
        if self._search is not None:
            self._search.stop()

    def _give_up(self, error: TooSlowError) -> None:
        """Do without the expression that is too slow."""
        self._problem = str(error)
        log = self._log
        slow_search = self._pattern is not None and self._pattern.text == error.text
        self._pattern = self._search = None
        if not slow_search and log is not None:
            self._filter = None
            self._view = Viewport(log, self._height)
        self._requests.put(lambda: None)  # for another turn

    # -- the page

    def _row(self, page: list[Place]) -> int | None:
        """Where on a page the line is that the search has come to."""
        hit = None if self._search is None else self._search.hit
        return None if hit is None else next((row for row, place in enumerate(page) if place[0] == hit[0]), None)

    def _show(self, view: Viewport, hit: Place | None) -> None:
        """Bring a line on screen, and keep it there."""
        if self._row(view.page()) is not None:
            view.stay()
        elif hit is not None:
            view.go_to(hit[0], self._height // ABOVE_HIT)

    def _count_from(self, view: Viewport) -> None:
        """New lines count from when the end was left."""
        if view.following:
            self._counted_to, self._new = None, 0
        elif self._counted_to is None:
            self._counted_to = view.log.done

    def _count(self, view: Viewport, start: int) -> None:
        log = view.log
        if self._filter is None:
            stop = min(log.done, start + COUNT_BYTES)
            self._new += log.count(start, stop)
        else:
            lines = below(log, start, log.done, scan.MOST_BYTES)
            stop = lines[1]
            self._new += len(passing(log, lines, self._filter))
        self._counted_to = stop

    def _page(self) -> Page:
        log, view, search = self._log, self._view, self._search
        if log is None or view is None:
            return Page(None, filter=self._filter.text if self._filter else "", problem=self._problem)
        places = view.page()
        lines = self._lines(log, places)
        low, high = view.looked_through
        share = max(1, log.size)
        whole = view.whole or not places
        full = len(places) >= self._height or (low <= 0 and high >= log.done)
        return Page(
            path=log.path,
            lines=lines,
            following=view.following,
            new_lines=self._new,
            start=0.0 if whole else places[0][0] / share,
            stop=1.0 if whole else places[-1][1] / share,
            size=log.size,
            marks=self._spans(lines),
            current=self._row(places),
            search=None if search is None else search.found(),
            filter=self._filter.text if self._filter is not None else "",
            filling=None if full else (high - low) / share,
            problem=self._problem or log.problem,
        )

    def _spans(self, lines: Sequence[str]) -> tuple[tuple[Span, ...], ...]:
        if self._search is None:
            return ()
        try:
            return self._marks.of(lines, self._search.pattern)
        except TooSlowError as error:
            self._give_up(error)
            return ((),) * len(lines)

    def _lines(self, log: LogFile, places: list[Place]) -> tuple[str, ...]:
        self._shown = {place: self._shown[place] if place in self._shown else log.line(*place) for place in places}
        return tuple(self._shown.values())


def _passes(wanted: Filter | None, log: LogFile, place: Place) -> bool:
    try:
        return wanted is None or wanted.test(log.line(*place, colour=False))
    except TooSlowError:
        return False


def _rushes(before: Page | None, page: Page) -> bool:
    """Whether a log is followed that grew by more than a page at once. Of a progress bar only the last line is new."""
    if before is None or before.path != page.path or not (before.following and page.following):
        return False
    return len(before.lines) > 1 and set(before.lines).isdisjoint(page.lines)
