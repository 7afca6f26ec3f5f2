import random

from engine.text.chunks import Layout, Markers, Piece

BEGIN, END, PAD, COMMA = 1, 2, 0, 3
MARKERS = Markers(BEGIN, END, PAD, COMMA)


def chunks_of(ids: list[int], weight: float = 1.0) -> list[list[int]]:
    """The ids of each chunk without begin, end and padding."""
    return [list(chunk.ids[1 : chunk.ids.index(END)]) for chunk in laid_out(ids, weight).finished()]


def laid_out(ids: list[int], weight: float = 1.0) -> Layout:
    layout = Layout(MARKERS)
    layout.add([Piece((each,), weight) for each in ids])
    return layout


def words(count: int, first: int = 100) -> list[int]:
    return list(range(first, first + count))


def test_nothing_at_all_is_one_chunk_of_padding():
    (chunk,) = Layout(MARKERS).finished()
    assert chunk.ids == (BEGIN, END, *[PAD] * 75)
    assert chunk.weights == (1.0,) * 77


def test_75_tokens_fill_a_chunk_and_the_76th_opens_the_next():
    assert chunks_of(words(75)) == [words(75)]
    assert chunks_of(words(76)) == [words(75), [175]]


def test_the_words_after_a_near_comma_move_to_the_next_chunk():
    assert chunks_of([*words(60), COMMA, *words(20, 500)]) == [[*words(60), COMMA], words(20, 500)]


def test_a_comma_is_near_among_the_last_twenty_tokens_and_not_before():
    near = [*words(55), COMMA, *words(19, 500), 900]
    far = [*words(54), COMMA, *words(20, 500), 900]
    assert chunks_of(near) == [[*words(55), COMMA], [*words(19, 500), 900]]
    assert chunks_of(far) == [[*words(54), COMMA, *words(20, 500)], [900]]


def test_a_comma_that_comes_just_after_a_full_chunk_moves_nothing():
    ids = [*words(70), COMMA, *words(4, 500), COMMA, 900]
    assert chunks_of(ids) == [[*words(70), COMMA, *words(4, 500)], [COMMA, 900]]


def test_a_comma_of_an_earlier_chunk_counts_no_more():
    assert chunks_of([*words(70), COMMA, *words(80, 500)]) == [[*words(70), COMMA], words(75, 500), words(5, 575)]


def test_a_closed_chunk_stays_as_short_as_it_is():
    layout = laid_out(words(3))
    layout.close()
    layout.add([Piece((7,), 1.0)])
    assert [chunk.ids[1] for chunk in layout.finished()] == [100, 7]
    assert layout.sizes == [3, 1]


def test_pieces_that_belong_together_are_not_torn():
    layout = laid_out(words(70))
    layout.add([Piece(tuple(words(10, 500)), 1.2)])
    first, second = layout.finished()
    assert first.ids[70:77] == (169, END, *[PAD] * 5)
    assert second.ids[1:12] == (*words(10, 500), END)
    assert second.weights[:12] == (1.0, *[1.2] * 10, 1.0)


def test_weights_move_with_their_tokens():
    layout = laid_out([*words(60), COMMA], 1.0)
    layout.add([Piece((each,), 1.5) for each in words(20, 500)])
    second = layout.finished()[1]
    assert second.weights[:22] == (1.0, *[1.5] * 20, 1.0)


def test_whatever_is_laid_out_every_token_comes_once_in_order():
    rng = random.Random(3)
    for _ in range(200):
        ids = [rng.choice([COMMA, *words(9)]) for _ in range(rng.randrange(400))]
        layout = laid_out(ids)
        assert [each for chunk in chunks_of(ids) for each in chunk] == ids
        assert all(len(chunk.ids) == len(chunk.weights) == 77 for chunk in layout.finished())
        assert sum(layout.sizes) == len(ids)
