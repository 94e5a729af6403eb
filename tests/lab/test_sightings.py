"""What follows from sightings, with made-up ones."""

from ipaddress import IPv4Address

import pytest

from fairlead.lab.probe import Answered, Claimed, Sightings

VIP = IPv4Address("192.0.2.10")
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def seen(*answers: tuple[float, str], claims: tuple[Claimed, ...] = ()) -> Sightings:
    found = Sightings(0.02)
    found.answers[VIP] = [Answered(*one) for one in answers]
    found.claims[VIP] = list(claims)
    return found


def test_an_outage_counts_from_the_last_answer_before() -> None:
    one = seen((1.00, A), (1.02, A), (1.36, B), (1.38, B))
    assert one.outage(VIP, since=1.03) == pytest.approx(0.34)
    assert one.dark(VIP, since=1.03) == pytest.approx(0.33)
    assert one.outage(VIP, since=1.37) == pytest.approx(0.02)


def test_an_outage_without_an_end_is_infinite() -> None:
    assert seen((1.0, A)).outage(VIP, since=1.1) == float("inf")
    assert seen().outage(VIP, since=1.1) == float("inf")
    assert seen((1.0, A), (2.0, A)).outage(VIP, since=1.1, until=1.9) == float("inf")
    assert seen((1.0, A)).dark(VIP, since=1.1) == float("inf")


def test_an_outage_before_anybody_answered_counts_from_since() -> None:
    assert seen((1.5, A)).outage(VIP, since=1.0) == pytest.approx(0.5)


def test_one_after_the_other_is_no_double() -> None:
    assert seen((1.00, A), (1.02, B), (1.04, A)).doubles(VIP) == 0.0


def test_two_that_answer_one_question_are_a_double_of_a_period() -> None:
    assert seen((1.0, A), (1.0001, B), (1.02, B)).doubles(VIP) == pytest.approx(0.02, abs=0.001)


def test_doubles_in_a_row_are_one_and_the_longest_counts() -> None:
    rows = [(1 + n / 50 + d, mac) for n in range(10) for d, mac in ((0, A), (0.0001, B))]
    rows += [(9.0, A), (9.0001, B)]
    assert seen(*rows).doubles(VIP) == pytest.approx(0.20, abs=0.001)
    assert seen(*rows).doubles(VIP, since=8.0) == pytest.approx(0.02, abs=0.001)


def test_moves_are_changes_of_hands() -> None:
    one = seen((1.0, A), (1.1, A), (1.2, B), (1.3, A))
    assert one.holders(VIP) == [A, B, A]
    assert one.moves(VIP) == 2
    assert one.moves(VIP, since=1.15) == 1
    assert one.moves(VIP, since=5.0) == 0
    assert one.holder(VIP) == A


def test_announcements_are_told_from_questions_in_the_name_of_a_vip() -> None:
    claims = (Claimed(1.0, A, "question"), Claimed(1.1, B, "announcement"))
    one = seen(claims=claims)
    assert one.announced(VIP, since=0.9) == 1.1
    assert one.announced(VIP, since=0.9, by=A) is None
    assert one.announced(VIP, since=1.2) is None
    assert one.impostors(VIP, allowed={B}, since=0.9) == [claims[0]]
    assert one.impostors(VIP, allowed={B}, since=0.9, until=0.95) == []
