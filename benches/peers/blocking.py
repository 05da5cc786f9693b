"""The cases on an API that blocks."""

from __future__ import annotations

from .contract import EVERY, QUESTION, Flow, OpenBlocking, Trips, clock


def trips(open_connection: OpenBlocking, url: str, trips: Trips) -> None:
    """One message there and one back at a time."""
    connection = open_connection(url, False)
    send, recv, content, message, took = (
        connection.send,
        connection.recv,
        connection.content,
        trips.message,
        trips.took,
    )
    began = trips.begin()
    until = trips.until
    if content is None:
        while began < until:
            send(message)
            recv()
            now = clock()
            took.append(now - began)
            began = now
    else:
        while began < until:
            send(message)
            content(recv())
            now = clock()
            took.append(now - began)
            began = now


def receive(open_connection: OpenBlocking, url: str, flow: Flow) -> None:
    """Counts what the server floods with."""
    connection = open_connection(url, False)
    recv, content = connection.recv, connection.content
    count, until = 0, flow.begin()
    connection.send(flow.message)
    if content is None:
        while True:
            recv()
            count += 1
            if not count & EVERY and clock() >= until:
                break
    else:
        while True:
            content(recv())
            count += 1
            if not count & EVERY and clock() >= until:
                break
    flow.end(count)


def send(open_connection: OpenBlocking, url: str, flow: Flow) -> None:
    """Sends as fast as the server takes it; the time ends when everything has arrived."""
    connection = open_connection(url, False)
    send, message = connection.send, flow.message
    count, until = 0, flow.begin()
    while count & EVERY or clock() < until:
        send(message)
        count += 1
    send(QUESTION)
    answer = connection.recv()
    arrived = int(answer if connection.content is None else connection.content(answer))
    assert arrived == count, (arrived, count)
    flow.end(arrived)
