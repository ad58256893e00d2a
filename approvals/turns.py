"""How many requests a web process works on at the same time, in lanes that cannot hold each other up.

Django gives each request a thread of its own, and that thread a connection to the database: without a bound, who sends
150 requests at once takes every connection there is. A request takes its turn in the thread that works on it, so a
caller who hangs up frees nothing before that thread is done; and the connection is closed before the turn ends.
"""

import logging
from collections.abc import Callable
from threading import BoundedSemaphore, Lock
from time import monotonic

from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
TOLD_EVERY_SECONDS = 60.0
COME_BACK_SECONDS = 2


class Lane:
    """`at_once` requests are worked on, and `waiting` more wait for their turn, up to PATIENCE_SECONDS."""

    def __init__(self, name: str, at_once: int, waiting: int) -> None:
        self.name, self.at_once, self.waiting = name, at_once, waiting
        self._turns = BoundedSemaphore(at_once)
        self._places = BoundedSemaphore(at_once + waiting)
        self._lock, self._untold, self._told_at = Lock(), 0, -TOLD_EVERY_SECONDS

    def enter(self) -> bool:
        """True when it is this thread's turn, which it has to `leave`; False when there is none to be had."""
        if not self._places.acquire(blocking=False):
            return False
        if self._turns.acquire(timeout=PATIENCE_SECONDS):
            return True
        self._places.release()
        return False

    def leave(self) -> None:
        self._turns.release()
        self._places.release()

    def turned_away(self) -> None:
        """One line a minute, with their number: knocking must not fill the log."""
        with self._lock:
            self._untold += 1
            if monotonic() - self._told_at < TOLD_EVERY_SECONDS:
                return
            times, self._untold, self._told_at = self._untold, 0, monotonic()
        logger.warning("too many requests at once", extra={"lane": self.name, "status": 503, "times": times})


# What hashes secrets, anybody may ask for, and it is slow on purpose: few, and apart from the pages, where a person
# turns a switch. A proof beside a decision is typed by who is signed in: among the pages, or whoever knocks at sign-in
# would keep people from deciding.
# What a process may have open in all is the sum; its role has more than twice as much (roles.py).
PAGES = Lane("pages", 7, 64)
API = Lane("api", 2, 32)  # of programs, which do not get tired
CONSENT = Lane("consent", 2, 16)  # fetches a program's document from its own address
TOKENS = Lane("tokens", 2, 32)
SIGN_IN = Lane("sign-in", 2, 16)
HEALTH = Lane("health", 2, 8)
PASSWORDS = ("/accounts/login/", "/accounts/reauthenticate/")
LANES = (PAGES, API, CONSENT, TOKENS, SIGN_IN, HEALTH)


def lane_of(request: HttpRequest) -> Lane:
    path = request.path_info
    if path == "/healthz":
        return HEALTH
    if path.startswith("/o/"):
        return CONSENT if path == "/o/authorize/" else TOKENS
    if path.startswith("/api/"):
        return API
    if path in PASSWORDS and request.method == "POST":
        return SIGN_IN
    return PAGES


class TurnMiddleware:
    """Answers 503 with Retry-After where a request gets no turn; nothing of it was looked at then."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        lane = lane_of(request)
        if not lane.enter():
            lane.turned_away()
            return _busy(lane)
        try:
            return self.get_response(request)
        finally:
            close_old_connections()
            lane.leave()


def _busy(lane: Lane) -> HttpResponse:
    sentence = f"Too many requests came at once. Nothing was done. Come back in {COME_BACK_SECONDS} seconds."
    headers = {"Cache-Control": "no-store", "Retry-After": str(COME_BACK_SECONDS)}
    answer: HttpResponse
    if lane is TOKENS:
        told = {"error": "temporarily_unavailable", "error_description": sentence}
        answer = JsonResponse(told, status=503, headers=headers)
    elif lane is API:
        # RFC 9457, as everything of the API that is refused (api/problems.py, which is above this floor).
        problem = {"title": "Too many requests", "status": 503, "detail": sentence, "code": "busy"}
        answer = JsonResponse(problem, status=503, headers=headers, content_type="application/problem+json")
    else:
        answer = HttpResponse(sentence, content_type="text/plain", status=503, headers=headers)
    answer._has_been_logged = True  # type: ignore[attr-defined] # Django would write a line for each
    return answer
