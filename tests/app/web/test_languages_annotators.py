"""What annotators see, in German: judging, practice, the own work, the start page, the keys."""

from app.texts import CountedSentence, Sentence, pack, unpack
from app.web.languages import speaking, translate


def test_a_counted_sentence_has_the_form_of_its_number_and_keeps_it_in_a_cookie() -> None:
    left = [
        CountedSentence(
            "%(n)s item still needs the view of somebody else.",
            "%(n)s items still need the view of somebody else.",
            n=n,
        )
        for n in (1, 1200)
    ]
    assert left == [
        "1 item still needs the view of somebody else.",
        "1,200 items still need the view of somebody else.",
    ]
    why = Sentence("%(why)s Thank you.", why=left[1])
    for said in (*left, why):
        assert unpack(pack(said)) == said
    with speaking("de"):
        assert [translate(unpack(pack(one))) for one in left] == [
            "1 Eintrag braucht noch die Sicht einer anderen Person.",
            "1.200 Einträge brauchen noch die Sicht einer anderen Person.",
        ]
