"""Make the stop words, dictionary words and letters of every language but English from published data.

    pip install stopwordsiso==0.7.1 wordfreq==3.1.1 && pip install --no-deps german-nouns==1.2.5
    npm install cldr-misc-full@48.2.0 naughty-words@1.2.0
    apt-get download postgresql-15 && dpkg-deb -x postgresql-15*.deb postgresql     # Snowball's stop words
    python scripts/make_languages.py                  # writes l2t_hub/tasks/languages/CODE/
    python scripts/make_languages.py --check          # compares; exit code 1 if a file differs
    python scripts/make_languages.py --languages it --to my-languages    # another language

For each language it writes `stop_words.txt` (Snowball's, as in English, or else the entries of stopwordsiso that are
made of letters), `dictionary.txt.xz` (the commonest words of wordfreq), `letters.txt` (CLDR's exemplar characters)
and `SOURCES.md`. `language.yaml` and `instructions.yaml` are written by hand; docs/languages.md says how.

The dictionary leaves out the stop words of both lists, words with letters that are foreign to the language, words of
one letter, words that are commoner in English than in another language of Latin script, and obscene words. wordfreq
has no upper case: German nouns get theirs from the list of german-nouns, and the proper names of that list are left
out.
"""

import argparse
import csv
import json
import lzma
import sys
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

LANGUAGES = Path(__file__).resolve().parents[1] / "l2t_hub" / "tasks" / "languages"
CODES = ("de", "fr", "es", "ru", "ar", "hi", "zh", "ja")
SNOWBALL = {
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "ru": "russian",
    "it": "italian",
    "pt": "portuguese",
}
COMMONEST = 30_000
JOINERS = "'-\u200c\u200d"  # inside words: apostrophe, hyphen, and the joiners of Arabic and Devanagari

SOURCES = """# Sources

| file | content | source | licence |
|---|---|---|---|
{stop}
| `dictionary.txt.xz` | the 30,000 commonest words, less stop words and foreign, obscene and one-letter words{nouns} | [wordfreq](https://github.com/rspeer/wordfreq) 3.1.1 (Robyn Speer, [doi:10.5281/zenodo.7199437](https://doi.org/10.5281/zenodo.7199437)) | [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/) |
| `letters.txt` | letters for `typo`: the main exemplar characters, grouped by script | [Unicode CLDR](https://cldr.unicode.org) 48.2 (npm `cldr-misc-full` 48.2.0) | Unicode-3.0, `../LICENSE-Unicode.txt` |
| `language.yaml`, `instructions.yaml` | labels, passages and questions | written for this project | Apache-2.0, as the package |

`scripts/make_languages.py` made the first three files; its docstring says what it leaves out.
"""  # noqa: E501
STOP = (
    "| `stop_words.txt` | function words for `last` and `token_type`: the entries that consist of letters | "
    "[stopwordsiso](https://pypi.org/project/stopwordsiso/) 0.7.1, the data of "
    "[stopwords-iso](https://github.com/stopwords-iso/stopwords-iso) | MIT, `../LICENSE-stopwords-iso.txt` |",
    "| `stop_words.txt` | function words for `last` and `token_type` | [Snowball](https://snowballstem.org), from "
    "Debian's `postgresql-15` 15.20 | BSD, `../en/LICENSE-Snowball.txt` |",
)
NOUNS = (
    "; nouns are capitalized by [german-nouns](https://github.com/gambolputty/german-nouns) 1.2.5 "
    "(Gregor Weichbrodt, from Wiktionary, CC BY-SA 4.0)"
)


def exemplars(modules: Path, code: str) -> dict[str, str]:
    """Return the main exemplar characters in CLDR's order, by script; combining marks are a group, the last one."""
    tree = json.loads((modules / "cldr-misc-full" / "main" / code / "characters.json").read_text("utf-8"))
    groups: dict[str, str] = {}
    for char in tree["main"][code]["characters"]["exemplarCharacters"].strip("[]"):
        category = unicodedata.category(char)
        if category in ("Ll", "Lo", "Mn", "Mc"):
            group = "MARK" if category[0] == "M" else unicodedata.name(char).split()[0]
            groups[group] = groups.get(group, "") + char
    return dict(sorted(groups.items(), key=lambda item: item[0] == "MARK"))


def stop_words(code: str) -> set[str]:
    """Return the words of stopwordsiso, without the numbers, marks and phrases that it also lists."""
    from stopwordsiso import stopwords

    words = {unicodedata.normalize("NFC", word.lower().replace("’", "'")) for word in stopwords(code)}
    return {word for word in words if _is_word(word) and not word.isdigit()}


def _is_word(word: str) -> bool:
    kinds = {unicodedata.category(char)[0] for char in word if char not in JOINERS}
    return "L" in kinds and kinds <= {"L", "M"}


def german_nouns() -> tuple[dict[str, str], set[str], set[str]]:
    """Return the forms of German nouns by their lower-case spelling, proper names, and nominal infinitives.

    The last two are in lower case.
    """
    spec = find_spec("german_nouns")
    assert spec is not None
    assert spec.submodule_search_locations
    nouns: dict[str, str] = {}
    names: set[str] = set()
    infinitives: set[str] = set()
    with (Path(spec.submodule_search_locations[0]) / "nouns.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kinds = set(row["pos"].split(","))
            forms = {
                form
                for key, form in row.items()
                if form and not key.startswith(("pos", "genus")) and form.isalpha()
            }
            if kinds & {"Toponym", "Vorname", "Nachname", "Eigenname", "Straßenname", "Abkürzung"}:
                names |= {form.lower() for form in forms}
            else:
                nouns |= {form.lower(): form for form in forms if form[0].isupper()}
                if row["genus"] == "n" and row["lemma"].endswith("n") and not row["nominativ plural"]:
                    infinitives.add(row["lemma"].lower())
    return nouns, names - set(nouns), infinitives


def obscene_words(modules: Path, code: str) -> set[str]:
    """Return words not to show, in lower case."""
    return {
        word.lower() for word in json.loads((modules / "naughty-words" / f"{code}.json").read_text("utf-8"))
    }


def dictionary(code: str, letters: str, unwanted: set[str]) -> list[str]:
    """Return the sorted dictionary words of a language: `unwanted` are stop words and the like."""
    from wordfreq import top_n_list, zipf_frequency

    allowed = set(letters) | set(JOINERS)
    latin = "LATIN" in unicodedata.name(letters[0])
    words = [
        word
        for word in (unicodedata.normalize("NFC", word) for word in top_n_list(code, COMMONEST))
        if len(word) > 1
        and set(word) <= allowed
        and word not in unwanted
        and word[0] not in JOINERS
        and word[-1] not in JOINERS
        and not (latin and zipf_frequency(word, "en") > zipf_frequency(word, code))
    ]
    if code == "de":
        nouns, names, infinitives = german_nouns()
        words = [nouns.get(word, word) for word in words if word not in names] + [
            word for word in words if word in infinitives
        ]
    return sorted(set(words))


def data_files(modules: Path, snowball: Path, code: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each file."""
    groups = exemplars(modules, code)
    broad = stop = stop_words(code)
    if code in SNOWBALL:
        stop = set((snowball / f"{SNOWBALL[code]}.stop").read_text("utf-8").split())
    words = dictionary(code, "".join(groups.values()), obscene_words(modules, code) | broad | stop)
    sizes = ", ".join(f"{len(letters)} {script.lower()}" for script, letters in groups.items())
    print(f"{code}: {len(stop)} stop words, {len(words)} dictionary words, letters: {sizes}")
    yield (
        "SOURCES.md",
        SOURCES.format(stop=STOP[code in SNOWBALL], nouns=NOUNS if code == "de" else "").encode(),
    )
    yield "letters.txt", ("\n".join(groups.values()) + "\n").encode()
    yield "stop_words.txt", ("\n".join(sorted(stop)) + "\n").encode()
    # An xz stream has no time stamp and no file name, so its bytes depend on the words alone.
    text = "\n".join(words) + "\n"
    yield (
        "dictionary.txt.xz",
        lzma.compress(text.encode(), check=lzma.CHECK_CRC32, preset=9 | lzma.PRESET_EXTREME),
    )


def main() -> int:
    """Write the files of the languages, or compare them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=Path, default=Path("node_modules"), help="what npm installed")
    parser.add_argument(
        "--snowball",
        type=Path,
        default=Path("postgresql/usr/share/postgresql/15/tsearch_data"),
        help="folder of german.stop and others",
    )
    parser.add_argument(
        "--languages", nargs="+", default=CODES, help="codes (default: all of the package but en)"
    )
    parser.add_argument("--to", type=Path, default=LANGUAGES, help="folder of the languages' folders")
    parser.add_argument("--check", action="store_true", help="compare the files and write nothing")
    arguments = parser.parse_args()
    different = []
    for code in arguments.languages:
        for name, data in data_files(arguments.modules, arguments.snowball, code):
            path = arguments.to / code / name
            if not arguments.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            elif not path.is_file() or path.read_bytes() != data:
                different.append(str(path))
    print("\n".join(f"DIFFERS: {path}" for path in different) or "done")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
