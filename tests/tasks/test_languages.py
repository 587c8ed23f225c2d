"""The data of the languages: complete, in the language's own script, and read strictly."""

import lzma
import pickle
import re
import unicodedata
from pathlib import Path

import pytest

from l2t_hub.corpus.sentences import splitter
from l2t_hub.errors import UsageError
from l2t_hub.tasks import TASKS, language
from l2t_hub.tasks.languages import DATA, KINDS, package_codes
from l2t_hub.tasks.registry import available, left_out

CODES = ("ar", "de", "en", "es", "fr", "hi", "ja", "ru", "zh")
SCRIPTS = {
    "ar": "ARABIC", "de": "LATIN", "en": "LATIN", "es": "LATIN", "fr": "LATIN", "hi": "DEVANAGARI",
    "ja": "CJK|HIRAGANA|KATAKANA", "ru": "CYRILLIC", "zh": "CJK",
}  # fmt: skip
# Words that any speaker would expect on the lists: stop words, then words that must not be there, then dictionary words.
KNOWN = {
    "ar": ("في من على", "قارب مدرسة", "مدرسة"),
    "de": ("und der nicht", "Haus laufen", "Haus laufen"),
    "en": ("the of not", "house must", "house run"),
    "es": ("de la que", "casa barco", "barco"),
    "fr": ("de et la", "maison bateau", "bateau"),
    "hi": ("का और में", "नाव किताब", "नाव किताब"),
    "ja": ("の は に", "電車 学校", "電車 学校"),
    "ru": ("и в не", "пароход книга", "пароход"),
    "zh": ("的 了 在", "学校 火车", "学校 火车"),
}


def test_the_package_has_these_languages() -> None:
    assert package_codes() == CODES


@pytest.mark.parametrize("code", CODES)
def test_a_language_of_the_package_has_all_data(code: str) -> None:
    of = language(code)
    assert of.data == set(DATA) - ({"spaces"} if code in ("ja", "zh") else set())
    assert left_out(TASKS, of) == ({"space": ["spaces"]} if code in ("ja", "zh") else {})
    stop, no_stop, words = (set(words.split()) for words in KNOWN[code])
    assert stop <= of.stop_words
    assert not no_stop & of.stop_words
    assert words <= set(of.dictionary)
    assert not {word.lower() for word in of.dictionary} & of.stop_words or code == "en"
    assert len(of.dictionary) > 20_000


@pytest.mark.parametrize("code", CODES)
def test_words_and_letters_are_in_the_languages_script(code: str) -> None:
    of = language(code)
    letters = "".join(of.letters)
    for char in letters:
        assert re.match(SCRIPTS[code], unicodedata.name(char)), char
    if code != "en":  # WordNet's words have digits, apostrophes and full stops
        assert set("".join(of.dictionary).lower()) <= set(letters) | set("'-\u200c\u200d")
    for words in of.instructions.values():
        for wording in words:
            names = {unicodedata.name(char).split()[0] for char in wording if char.isalpha()}
            assert any(re.match(SCRIPTS[code], name) for name in names), wording


@pytest.mark.parametrize("code", CODES)
def test_there_are_twenty_questions_of_each_kind(code: str) -> None:
    instructions = language(code).instructions
    assert tuple(instructions) == KINDS
    wordings = [wording for kind in instructions.values() for wording in kind]
    assert all(len(kind) == 20 for kind in instructions.values())
    assert len({wording.casefold() for wording in wordings}) == 100, "no two questions are the same"
    for wording in wordings:
        assert wording == " ".join(wording.split()) == unicodedata.normalize("NFC", wording)
        assert wording[-1] in ".?؟।。？", wording


# What each wording of content words, stop words, digits and punctuation must name.
TERMS = {
    "ar": ("كلم(ة|ات) (ال)?محتوى", "كلم(ة|ات) (ال)?توقف", "رقم|أرقام", "علام(ة|ات) (ال)?ترقيم"),
    "de": ("Inhaltsw", "Stoppw", "Ziffern", "Satzzeichen.* Bindestriche .* Apostrophe"),
    "en": ("content word", "stop word", "digit", "ASCII"),
    "es": ("palabras de contenido", "vacías", "dígitos", "(?=.*puntuación).*guiones, barras [yo] apóstrofos"),
    "fr": ("mots pleins", "mots vides", "chiffres", "(?i)(?=.*apostrophes)(?=.*traits d'union).*ponctuation"),
    "hi": ("कंटेंट शब्द", "स्टॉप शब्द", "अंक", "विराम चिह्न"),
    "ja": ("内容語", "ストップワード", "算用数字", "約物"),
    "ru": ("полнозначн", "стоп-слов", "цифр", "дефис.* апостроф.* кос"),
    "zh": ("内容词", "停用词", "阿拉伯数字", "标点符号"),
}


@pytest.mark.parametrize("code", CODES)
def test_every_question_names_what_is_counted(code: str) -> None:
    instructions = language(code).instructions
    for kind, term in zip(KINDS[1:], TERMS[code], strict=True):
        for wording in instructions[kind]:
            assert re.search(term, wording), wording
    for wording in instructions["char_count"]:
        assert re.search("space|Leerzeichen|espace|espacio|пробел|مساف|स्पेस|空白|空格", wording), wording


@pytest.mark.parametrize("code", CODES)
def test_ten_wordings_are_questions_and_ten_are_commands(code: str) -> None:
    for wordings in language(code).instructions.values():
        questions = [w for w in wordings if re.search("[?؟？]|か。$", w)]
        assert questions == list(wordings[:10])


@pytest.mark.parametrize("code", CODES)
def test_stop_words_that_a_question_cites_are_on_the_list(code: str) -> None:
    of = language(code)
    cited = re.findall('["„“«「] ?([^"„“”«»「」]+?) ?["“”»」]', " ".join(of.instructions["stop_words"]))
    assert len(cited) in (2, 3)
    assert set(cited) <= of.stop_words


@pytest.mark.parametrize("code", CODES)
def test_labels_are_pairs_of_different_labels(code: str) -> None:
    of = language(code)
    for pairs in (of.part_labels, of.option_labels):
        assert len(set(pairs)) == len(pairs) >= 14
        assert all(first != second and first.strip() and second.strip() for first, second in pairs)
    assert "" in of.about.anchors
    assert len(set(of.about.anchors)) == 7


@pytest.mark.parametrize("code", CODES)
def test_a_passage_is_long_enough_for_every_task(code: str) -> None:
    about = language(code).about
    split = splitter("sentencex", code)
    assert len(split(about.passage)) == 6
    assert len(split(about.other)) == 3
    assert any(char.isdigit() for char in about.passage)


def test_german_nouns_have_upper_case_and_other_words_do_not() -> None:
    of = language("de")
    assert {"Haus", "Birne", "Abend", "Leben"} <= set(of.dictionary)
    assert {"laufen", "schön", "lachen"} <= set(of.lower_dictionary) <= set(of.dictionary)
    assert not {"haus", "birne", "berlin", "Berlin"} & set(of.dictionary)
    assert 10_000 < len(of.lower_dictionary) < len(of.dictionary)
    assert language("fr").lower_dictionary is language("fr").dictionary


def test_a_letter_is_mistyped_within_its_group_and_case() -> None:
    assert language("de").mistyped["ß"] == "aäbcdefghijklmnoöpqrstuüvwxyz"
    assert set(language("de").mistyped["Ö"]) == set("AÄBCDEFGHIJKLMNOPQRSTUÜVWXYZ")
    assert set(language("en").mistyped["É"]) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert language("ru").mistyped["q"] == "abcdefghijklmnoprstuvwxyz", "a Latin letter in Russian text"
    assert "я" in language("ru").mistyped["7"]
    assert set(language("hi").mistyped["ि"]) < set(language("hi").letters[1]), "a vowel sign"
    assert "か" in language("ja").mistyped["あ"]
    assert "あ" not in language("ja").mistyped["ア"]
    assert "山" in language("ja").mistyped["川"]


def test_aliases_and_objects() -> None:
    assert language("deu") is language("ger") is language("de")
    assert language("cmn").code == "zh"
    assert pickle.loads(pickle.dumps(language("fr"))) is language("fr")
    assert "stop_words" not in repr(language("fr"))


def test_a_language_without_a_folder_uses_the_tasks_that_need_none() -> None:
    italian, thai = language("it"), language("th")
    assert italian.data == {"spaces"}
    assert thai.data == frozenset()
    assert not thai.spaced
    assert set(left_out(TASKS, italian)) == {"char_count", "typo", "last", "random", "token_type"}
    assert set(left_out(TASKS, thai)) == {"char_count", "space", "typo", "last", "random", "token_type"}
    assert list(available(TASKS, thai)) == [
        "masked_char", "masked_word", "shuffle", "deletion", "reordering", "fill_middle", "half", "one",
    ]  # fmt: skip
    assert left_out(TASKS, italian)["token_type"] == ["stop words", "questions"]


@pytest.mark.parametrize("name", ["german", "De", "zh-TW", "", "d", "e n", "..", "dé"])
def test_what_is_no_code_is_an_error_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="ISO 639") as raised:
        language(name)
    assert "The package has data for ar, de, en, es, fr, hi, ja, ru, zh." in str(raised.value)


def italian_folder(folder: Path) -> Path:
    """A small language of a user's own, as docs/languages.md describes it."""
    folder.mkdir(parents=True)
    (folder / "language.yaml").write_text(
        'name: Italian\nquestion: "Domanda: "\noptions: "Opzioni:"\nanchors: ["Risposta:", ""]\n'
        'part_labels: [["Inizio: ", "Fine: "]]\noption_labels: [["Scelta 1: ", "Scelta 2: "]]\n',
        encoding="utf-8",
    )
    (folder / "stop_words.txt").write_text("# commonest\nil la di e che\nnon", encoding="utf-8")
    (folder / "dictionary.txt").write_text("nave\nfaro 3\nRoma\n", encoding="utf-8")
    (folder / "letters.txt").write_text("aàbcdeèéfghiìlmnoòpqrstuùvz\n", encoding="utf-8")
    kinds = "\n".join(f"{kind}: [Quanti sono i {kind} del testo?]" for kind in KINDS)
    (folder / "instructions.yaml").write_text(kinds, encoding="utf-8")
    return folder


def test_a_new_language_is_a_folder_of_data_files(tmp_path: Path) -> None:
    italian = language(str(italian_folder(tmp_path / "it")))
    assert (italian.code, italian.name) == ("it", "Italian")
    assert italian.data == set(DATA)
    assert italian.stop_words == {"il", "la", "di", "e", "che", "non"}
    assert italian.dictionary == ("nave", "faro", "faro", "faro", "Roma")
    assert italian.lower_dictionary == ("nave", "faro", "faro", "faro")
    assert italian.part_labels[-1] == ("Inizio: ", "Fine: ")
    assert available(TASKS, italian) == TASKS
    assert pickle.loads(pickle.dumps(italian)) is italian


def test_the_language_of_the_documentation_can_be_used(tmp_path: Path, repository: Path) -> None:
    page = (repository / "docs" / "languages.md").read_text(encoding="utf-8")
    lines = [line[4:] for line in page.splitlines() if line.startswith("    ")]
    start = lines.index("name: Italian")
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "language.yaml").write_text("\n".join(lines[start : start + 14]), encoding="utf-8")
    italian = language(str(tmp_path / "it"))
    assert italian.about.other == "Frasi di un altro testo."
    assert italian.part_labels[-1] == ("Prima: ", "Dopo: ")
    assert italian.option_labels[-1] == ("Opzione 1: ", "Opzione 2: ")
    for code in CODES:
        assert f"| `{code}` | {language(code).name} | {len(language(code).stop_words)} | " in page


def test_files_may_be_missing_and_their_tasks_are_left_out(tmp_path: Path) -> None:
    folder = italian_folder(tmp_path / "it")
    (folder / "dictionary.txt").unlink()
    (folder / "instructions.yaml").unlink()
    lacking = left_out(TASKS, language(str(folder)))
    assert set(lacking) == {"char_count", "random", "token_type"}


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("language.yaml", b"spaces: true", "`name` is required"),
        ("language.yaml", b"name: Italian\nanchor: x", "unknown key `anchor`. Did you mean 'anchors'?"),
        ("language.yaml", b"name: Italian\nspaces: maybe", "`spaces` must be true or false"),
        ("language.yaml", b"name: Italian\nanchors: []", "`anchors` must be a list with at least one item"),
        ("language.yaml", b"name: Italian\npart_series: []", "a language needs labels"),
        ("language.yaml", b"[1, 2]", "must be a mapping of keys to values"),
        ("language.yaml", b"a: [", "is not valid YAML"),
        ("language.yaml", b"name: \xff", "byte 6 is not UTF-8"),
        ("stop_words.txt", b"perch\xe9", "byte 5 is not UTF-8"),
        ("dictionary.txt", b"nave\nalto mare\n", "line 2 of the dictionary is not a word: 'alto mare'"),
        ("dictionary.txt", b"nave\nNave\nRoma", "at least two words in lower case"),
        ("dictionary.txt.xz", b"nave", "dictionary.txt.xz is damaged"),
        (
            "dictionary.txt.xz",
            lzma.compress(b"nave\nfaro")[:-8],
            "dictionary.txt.xz is damaged: it is cut off",
        ),
        ("letters.txt", b"aab", "'aab' is not a group of three or more different lower-case letters"),
        ("letters.txt", b"ABC", "'ABC' is not a group"),
        ("instructions.yaml", b"digits: [Quante cifre?]", "`char_count` must be a list of questions"),
    ],
)
def test_a_data_file_with_an_error_is_named(tmp_path: Path, file: str, content: bytes, expected: str) -> None:
    folder = italian_folder(tmp_path / "it")
    (folder / file).write_bytes(content)
    with pytest.raises(UsageError) as raised:
        language(str(folder))
    assert expected in str(raised.value)
    assert str(folder) in str(raised.value)


def test_a_missing_folder_and_a_folder_without_a_code_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        language(f"{tmp_path}/xx")
    with pytest.raises(UsageError, match=r"must be named by its code of two or three .* not 'Italian'"):
        language(str(italian_folder(tmp_path / "Italian")))
    (tmp_path / "sv").mkdir()
    with pytest.raises(UsageError, match=r"sv/language.yaml is missing"):
        language(f"{tmp_path}/sv")
