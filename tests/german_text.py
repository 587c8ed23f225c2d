"""Original German prose for the tests, drawn from parts: documents of several sentences, each different."""

import random

PEOPLE = ("Die Lehrerin", "Der Fischer", "Ein alter Nachbar", "Meine Schwester", "Der Bäcker", "Eine junge Ärztin",
          "Der Müller", "Die Gärtnerin", "Ein fremder Junge", "Unser Bürgermeister")  # fmt: skip
PLACES = ("am Fluss", "hinter der Mühle", "in der großen Küche", "auf dem Marktplatz", "vor dem Bahnhof",
          "unter der Brücke", "im Garten", "an der Straße nach Süden")  # fmt: skip
THINGS = ("einen Korb voller Äpfel", "ein schmales Buch", "die letzten Briefe", "einen rostigen Schlüssel",
          "zwei leere Flaschen", "das Rad des Wagens", "eine Karte der Küste", "warmes Brot")  # fmt: skip
SENTENCES = (
    "{who} stand am Morgen {where} und suchte {what}.",
    "Niemand wusste, warum {what} {where} lag.",
    "„Ich habe {what} gesehen“, sagte er leise, aber {where} war es schon dunkel.",
    "Später trug {lower} {what} nach Hause, obwohl es regnete.",
    "Vor {n} Jahren hatte dort ein Haus gestanden, und die Leute sprachen noch davon.",
    "Am Ende blieb nur die Frage, wem {what} gehörte.",
    "{who} lächelte, schloss die Tür und ging {where} spazieren.",
    "Es dauerte {n} Tage, bis der Schnee geschmolzen war.",
)


def german_documents(count: int) -> list[str]:
    """Return `count` documents of 6 to 14 sentences, the same in every call."""
    return [_document(random.Random(f"german {number}")) for number in range(count)]


def _document(rng: random.Random) -> str:
    sentences = []
    for _ in range(rng.randrange(6, 15)):
        who = rng.choice(PEOPLE)
        lower = who[0].lower() + who[1:]
        parts = {"who": who, "lower": lower, "where": rng.choice(PLACES), "what": rng.choice(THINGS)}
        sentences.append(rng.choice(SENTENCES).format(n=rng.randrange(2, 90), **parts))
    return " ".join(sentences)
