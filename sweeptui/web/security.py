"""Who may see the page, and what the page may do.

A web page that the user happens to have open can send requests to 127.0.0.1, too. So every request needs a cookie that
only the holder of the printed URL gets, comes with a `Host` that is ours (a name that was rebound to this machine is
not), and from a page of our own (`Origin`).
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler

WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to tell them, not to bind to them
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer; the page itself has a policy that lets its own files in."""

ASK_AGAIN = "Open the URL that `sweeptui serve` printed in its terminal."
STEP_IN = """\
<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>sweeptui</title><a href="/">Go on to the cockpit</a>
"""


def is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def page_policy(host: str, nonce: str) -> str:
    """What the page at `host` may load: its own files, and its own websocket.

    xterm.js makes <style> elements, which the page gives the nonce. Scripts inside the page do not run at all.
    """
    # Not every browser counts a websocket to the page's own host as 'self'.
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "font-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' ws://{host} wss://{host}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


class Hosts:
    """The values of `Host` under which a server that listens on `host` and `port` is meant to be reached."""

    def __init__(self, host: str, port: int, more: Iterable[str] = ()) -> None:
        """`more` are names, with or without a port, that lead here through a tunnel or a proxy."""
        self._port = port
        self._any_address = host in WILDCARDS
        names = {host}
        if is_loopback(host):
            names |= {"localhost", "127.0.0.1"}
        if self._any_address:
            names |= {"localhost", socket.gethostname()}
        self._known = {_with_port(name, port) for name in names} | {name.lower() for name in more}
        self._known |= {_with_port(name, port) for name in more if _port_of(name) is None}

    def __contains__(self, host: str) -> bool:
        if not self._any_address or host.lower() in self._known:
            return host.lower() in self._known
        # A name can be made to point here; an address cannot.
        name = host.removesuffix(f":{self._port}").removeprefix("[").removesuffix("]")
        return _address(name) is not None and host.lower() == _with_port(name, self._port)


class Gate:
    """Lets in who has the token: once for a cookie, from then on by the cookie."""

    def __init__(self, hosts: Hosts, port: int) -> None:
        self.token: Final = secrets.token_urlsafe(32)
        # What the browser keeps is not what stands in the terminal's scrollback and in shell histories.
        self._pass: Final = secrets.token_urlsafe(32)
        self._tickets: set[str] = set()
        self._hosts = hosts
        # A browser sends a host's cookies to all of its ports: each server's has a name of its own.
        self.cookie: Final = f"sweeptui_{port}"

    def ticket(self) -> str:
        """A token that is good for one use: others on this machine can read the command line of a starting browser."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return ticket

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer who may not come in, and who just did; leave the others to `handler`."""
        host = self._host(request)
        self._check_origin(request, host)
        if request.path == "/" and "token" in request.query:
            return self._let_in(request.query["token"])
        if not _same(request.cookies.get(self.cookie, ""), self._pass):
            if request.path == "/" and _comes_from_elsewhere(request):
                return web.Response(text=STEP_IN, content_type="text/html")
            raise web.HTTPForbidden(text=f"This browser has not been let in. {ASK_AGAIN}\n")
        return await handler(request)

    def _host(self, request: web.Request) -> str:
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            named = hosts[0] if hosts else ""
            raise web.HTTPForbidden(
                text=f"This is not {named!r}: `sweeptui serve --allow-host {named}` would make it so. {ASK_AGAIN}\n"
            )
        return hosts[0]

    @staticmethod
    def _check_origin(request: web.Request, host: str) -> None:
        """A websocket always says where it comes from; a page that is opened by hand comes from nowhere."""
        origins = request.headers.getall(hdrs.ORIGIN, [])
        needed = hdrs.UPGRADE in request.headers
        ours = (f"http://{host}".lower(), f"https://{host}".lower())
        if (needed and not origins) or any(origin.lower() not in ours for origin in origins):
            raise web.HTTPForbidden(text="This request comes from a page that is not ours.\n")

    def _let_in(self, token: str) -> web.Response:
        known = _same(token, self.token)
        if not known and token in self._tickets:
            self._tickets.discard(token)
            known = True
        if not known:
            raise web.HTTPForbidden(text=f"The token in this URL is not the one of this server. {ASK_AGAIN}\n")
        response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
        response.set_cookie(self.cookie, self._pass, path="/", httponly=True, samesite="Strict")
        return response


def _comes_from_elsewhere(request: web.Request) -> bool:
    """A link on another page led here: the browser keeps the cookie back until a page of our own asks."""
    return (
        request.headers.get("Sec-Fetch-Site") == "cross-site"
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _port_of(host: str) -> int | None:
    try:
        return urlsplit(f"//{host}").port
    except ValueError:
        return None


def _with_port(host: str, port: int) -> str:
    """As a browser writes it: an IPv6 address in brackets, the ordinary port left out."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return (name if port == 80 else f"{name}:{port}").lower()
