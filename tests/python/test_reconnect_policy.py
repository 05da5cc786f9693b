"""When a lost connection is made again: `Backoff`, and how losses are counted. Pure: no socket, no clock, no chance."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime
from typing import Any

import pytest

import voxwire
from voxwire import Backoff, ConnectionLoss, ReconnectPolicy
from voxwire.outage import Outage
from voxwire.reconnect import retry_after

LOSS = ConnectionLoss(attempt=1, elapsed=0.0, code=1006, reason="", was_clean=False, error=None, was_open=True)


def loss(**fields: Any) -> ConnectionLoss:
    return dataclasses.replace(LOSS, **fields)


def refused(status: int) -> ConnectionLoss:
    return loss(error=voxwire.HandshakeError("no", status=status), status=status)


def hung_up(error: OSError) -> OSError:
    error.errno = 104
    return error


def test_the_wait_grows_up_to_its_maximum() -> None:
    backoff = Backoff(initial=1, factor=3, maximum=20, jitter=0)
    assert [backoff(loss(attempt=n)) for n in (1, 2, 3, 4, 5, 10_000_000)] == [1, 3, 9, 20, 20, 20]


@pytest.mark.parametrize(("jitter", "chance", "expected"), [(1, 0, 8), (1, 1, 0), (1, 0.25, 6), (0.5, 1, 4), (0, 1, 8)])
def test_jitter_takes_a_share_away(jitter: float, chance: float, expected: float) -> None:
    assert Backoff(initial=8, jitter=jitter, random=lambda: chance)(LOSS) == expected


def test_many_clients_do_not_come_back_together() -> None:
    chance = random.Random(1)
    delays = [Backoff(initial=10, random=chance.random)(LOSS) or 0.0 for _ in range(1000)]
    busiest = max(sum(1 for delay in delays if second <= delay < second + 1) for second in range(10))
    assert min(delays) < 0.5
    assert max(delays) > 9.5
    assert busiest < 150  # of 1000, in each of 10 s


def test_retry_after_is_waited_for_and_the_random_wait_comes_on_top() -> None:
    backoff = Backoff(initial=4, random=lambda: 0.5)
    assert backoff(dataclasses.replace(refused(503), retry_after=7.0)) == 9


@pytest.mark.parametrize(
    "lost",
    [
        loss(),
        *(loss(code=code) for code in (1001, 1006, 1011, 1012, 1013, 1014)),
        *(refused(status) for status in (408, 425, 429, 500, 502, 503, 504)),
        loss(error=voxwire.ConnectError("refused")),
        loss(error=voxwire.NameResolutionError("unknown")),
        loss(error=voxwire.ConnectTimeout("late")),
        loss(error=voxwire.TransportError("reset")),
        loss(error=voxwire.KeepaliveTimeout("silent")),
        loss(error=hung_up(voxwire.TLSError("gone"))),
        loss(error=hung_up(voxwire.HandshakeError("gone"))),
        loss(error=hung_up(voxwire.ProxyError("gone"))),
        loss(error=voxwire.ProxyError("busy", status=502), status=502),
    ],
    ids=str,
)
def test_what_may_get_better_is_tried_again(lost: ConnectionLoss) -> None:
    assert Backoff(jitter=0)(lost) == 0.5


@pytest.mark.parametrize(
    "lost",
    [
        *(loss(code=code, was_clean=True) for code in (1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 3000, 4001)),
        *(refused(status) for status in (200, 301, 400, 401, 403, 404, 410, 426)),
        loss(error=voxwire.RedirectError("round and round", status=503), status=503),
        loss(error=voxwire.TLSError("certificate")),
        loss(error=voxwire.HandshakeError("not HTTP")),
        loss(error=voxwire.ProxyError("password", status=407), status=407),
        loss(error=voxwire.ProxyError("SOCKS refused")),
        loss(error=voxwire.ProtocolError("masked", close_code=1002)),
        loss(error=voxwire.MessageTooBig("long", close_code=1009)),
        loss(error=voxwire.InvalidParameter("header")),
        loss(error=ValueError("ours")),
    ],
    ids=str,
)
def test_what_stays_wrong_is_not(lost: ConnectionLoss) -> None:
    assert Backoff()(lost) is None


def test_codes_are_the_callers_to_choose() -> None:
    assert Backoff(codes=frozenset((4001,)), jitter=0)(loss(code=4001, was_clean=True)) == 0.5
    assert Backoff(codes=frozenset((4001,)))(loss(code=1012)) is None


def test_it_gives_up() -> None:
    backoff = Backoff(initial=1, jitter=0, attempts=2, give_up_after=10)
    assert backoff(loss(attempt=2, elapsed=8)) == 2
    assert backoff(loss(attempt=3, elapsed=0)) is None
    assert backoff(loss(attempt=2, elapsed=8.5)) is None
    assert Backoff(attempts=0)(LOSS) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("initial", -1),
        ("initial", float("nan")),
        ("factor", 0.5),
        ("maximum", "30"),
        ("jitter", 1.1),
        ("jitter", True),
        ("attempts", -1),
        ("attempts", 1.5),
        ("give_up_after", -1),
        ("stable_after", float("inf")),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(voxwire.InvalidParameter) as caught:
        Backoff(**{field: value})  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.value) == (field, value) or value != value
    assert str(caught.value).startswith(f"{field}: ")


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("99999999999999999999999", 3600.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 3600.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after([("X", "1"), ("retry-AFTER", value)], NOW) == seconds
    assert retry_after([], NOW) is None


def test_an_attempt_counts_anew_only_after_a_stable_connection() -> None:
    seen: list[ConnectionLoss] = []

    class Policy:
        stable_after = 5.0

        def __call__(self, lost: ConnectionLoss, /) -> float:
            seen.append(lost)
            return 1.0

    outage = Outage(Policy())
    outage.opened(0.0)
    outage.lost(100.0, 1006, "", None, was_clean=False)  # stable: the first loss
    outage.lost(101.0, 1006, "", OSError("refused"), was_clean=False)  # the attempt failed
    outage.opened(103.0)
    outage.lost(107.9, 1012, "x", None, was_clean=True)  # open, not for long
    outage.opened(110.0)
    outage.lost(115.0, 1001, "", None, was_clean=True)  # long enough
    assert [(lost.attempt, lost.elapsed, lost.was_open, lost.code) for lost in seen] == [
        (1, 0.0, True, 1006),
        (2, 1.0, False, 1006),
        (3, pytest.approx(7.9), True, 1012),
        (1, 0.0, True, 1001),
    ]
    assert (outage.attempt, outage.reconnects) == (1, 2)


def test_the_policy_is_told_what_a_refusal_said() -> None:
    seen: list[ConnectionLoss] = []
    outage = Outage(lambda lost: seen.append(lost))
    busy = voxwire.HandshakeError("busy", status=503, headers=[("Retry-After", "3")])
    missing = voxwire.HandshakeError("missing", status=404, headers=[("Retry-After", "3")])
    assert outage.lost(0.0, 1006, "", busy, was_clean=False) is None
    assert outage.lost(0.0, 1006, "", missing, was_clean=False) is None
    assert [(lost.status, lost.retry_after, lost.error) for lost in seen] == [(503, 3.0, busy), (404, None, missing)]


@pytest.mark.parametrize("answer", [-1, float("nan"), float("inf"), "1", True], ids=repr)
def test_an_answer_of_a_policy_that_is_none_is_refused(answer: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="reconnect policy answered") as caught:
        Outage(lambda _lost: answer).lost(0.0, 1006, "", None, was_clean=False)
    assert caught.value.field == "reconnect"


def test_what_is_a_policy() -> None:
    assert isinstance(Backoff(), ReconnectPolicy)
    backoff = Backoff(initial=2)
    assert dataclasses.replace(backoff, maximum=9) == Backoff(initial=2, maximum=9)
