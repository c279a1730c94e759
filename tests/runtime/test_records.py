"""The records of a batch: taken apart and put together again."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cdk_ml_release.runtime.records import Piece, Refusal, assemble

RECORDS = st.lists(st.binary(max_size=5).filter(lambda record: b"\n" not in record), min_size=1, max_size=50)


def test_the_line_break_at_the_end_begins_no_further_record():
    assert Piece.whole("a", b"1\n2\n").records == Piece.whole("a", b"1\n2").records == (b"1", b"2")


def test_an_empty_object_has_no_record():
    assert Piece.whole("a", b"").records == ()


@given(RECORDS, st.integers(1, 20))
def test_pieces_are_all_records_in_order_and_no_more_than_asked_for(records, most):
    whole = Piece(path="a", first=1, records=tuple(records))

    pieces = whole.split(most)

    assert [record for piece in pieces for record in piece.records] == records
    assert len(pieces) <= most
    assert [piece.first for piece in pieces] == [
        1 + sum(len(piece.records) for piece in pieces[:index]) for index in range(len(pieces))
    ]


@given(RECORDS, st.integers(2, 20))
def test_cut_again_and_again_every_record_ends_alone(records, most):
    pieces = [Piece(path="a", first=1, records=tuple(records))]

    while any(len(piece.records) > 1 for piece in pieces):
        pieces = [part for piece in pieces for part in piece.split(most)]

    assert [(piece.first, piece.records[0]) for piece in pieces] == list(enumerate(records, start=1))


def test_answers_stand_in_the_lines_of_their_records_whatever_was_refused():
    pieces = Piece.whole("a", b"1\n2\n3\n4\n").split(4)

    answers = [(pieces[3], b"four\n"), (pieces[0], b"one"), (pieces[1], None), (pieces[2], b"three")]

    assert assemble(answers) == b"one\n\nthree\nfour\n"


def test_a_refusal_says_which_record_and_why():
    refusal = Refusal(path="a.csv", number=3, content="x,y", reason="400")

    assert str(refusal) == "record 3 of a.csv: 400"
    assert json.loads(refusal.line) == {"record": 3, "reason": "400", "content": "x,y"}
