"""Spoken form of texts, so that only words are compared, not how they are written.

Unicode becomes NFKC and lower case, accents go, apostrophes stay inside words only, all other
punctuation becomes blanks. What is written in digits and signs becomes words as they are said:
cardinals, ordinals, years, decades, decimals, fractions, money, times of day. What stands in
brackets, as [laughter] or <unk>, is no word, nor is an event in parentheses, as (laughs). British
and American spelling are not unified; "and" inside numbers goes.

Numbers are our own, since of the packages on the index none does the task: whisper-normalizer turns
words into digits, wetext reads the 1920s as seconds, nemo-text-processing needs OpenFst.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from evaluation.work.tables import read_table

from .testset import some

__all__ = ["normalise", "number_words", "read_transcripts"]

_SMALL = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_ONES = _SMALL.split()
_ROUND = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = _ROUND.split()
_SCALES = (
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (1000, "thousand"),
    (100, "hundred"),
)
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}
_SPELLED = {
    **{"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "prof": "professor"},
    **{"jr": "junior", "sr": "senior", "vs": "versus", "etc": "et cetera"},
    **{"&": "and", "%": "percent", "£": "pounds", "$": "dollars", "€": "euros", "°": "degrees"},
    **{"+": "plus", "=": "equals", "@": "at"},
}
# One and several of a currency, one and several of its hundredths.
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_MULTIPLES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"}
# What transcripts put in parentheses and nobody says.
_SOUNDS = """
applause audience audible background breath breathes breathing cheering cheers chuckle chuckles
chuckling clears cough coughing coughs cries crosstalk crying exhales gasp gasps giggles groans hums
in inaudible indistinct inhales laugh laughing laughs laughter mumbles music noise noises pause
pauses sigh sighs silence singing sings sneezes sniffs snorts sobbing sobs speech throat unclear
unintelligible whispering whispers yawns
"""
_EVENTS = frozenset(_SOUNDS.split())
# Of fractions; what stands over another number, as in 9/11, is none.
_DENOMINATORS = (*range(2, 11), 12, 16, 20, 32, 64, 100)
# A longer row of digits is a code, read digit by digit.
_MOST_DIGITS = 15
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+"


def read_transcripts(path: str | Path, ids: Sequence[str]) -> dict[str, str]:
    """Read a table with the columns id and transcript.

    Args:
        path: CSV; other columns do not count.
        ids: Those that transcripts are sought for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A column is missing, or no id is one of those sought.
    """
    table = read_table(Path(path))
    if lacking := {"id", "transcript"} - set(table):
        raise ValueError(f"{path} lacks the column {min(lacking)!r}; it has {', '.join(table)}")
    table = table.dropna(subset=["id", "transcript"])
    if not set(ids) & set(table["id"]):
        raise ValueError(
            f"no transcript of {path} is of a sample: its ids are {some(list(table['id']), 3)}; "
            f"samples are {some(ids, 3)}"
        )
    return dict(zip(table["id"], table["transcript"], strict=True))


def normalise(text: str) -> list[str]:
    """Return the words of a text.

    Example:
        >>> " ".join(normalise("Mr. Smith's 21st birthday: “don't” - in 1984!"))
        "mister smith's twenty first birthday don't in nineteen eighty four"
        >>> " ".join(normalise("(laughs) $2.50 in the '60s, or 1 1/2 pounds"))
        'two dollars and fifty cents in the sixties or one and a half pounds'
    """
    text = re.sub(r"[\u2018\u2019\u02bc\u00b4\u2032`]", "'", text)
    # apart from a number before it: NFKC makes three signs of one half
    text = re.sub(r"([\u00bc-\u00be\u2150-\u215e])", r" \1", text)
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/").lower()
    text = re.sub(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}", " ", text)
    text = re.sub(r"\(([^()]*)\)|\*([^*]*)\*", _without_events, text)
    text = unicodedata.normalize("NFD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    for pattern, spoken in _RULES:
        text = pattern.sub(spoken, text)
    words = []
    for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*'?|[&%£$€°+=@]", text):
        words += _SPELLED.get(word, word).strip("'").split()
    return _without_and(words)


def _without_events(match: re.Match[str]) -> str:
    inner = match[1] or match[2] or ""
    is_event = all(word in _EVENTS for word in re.findall(r"\w+", inner))
    return " " if is_event else f" {inner} "


def _without_and(words: Sequence[str]) -> list[str]:
    """Leave out the "and" of numbers, as in "one hundred and five"."""
    numbers = {*_ONES[1:], *_TENS[1:]}
    scales = {name for _, name in _SCALES}
    return [
        word
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False)
        if not (word == "and" and before in scales and after in numbers)
    ]


def number_words(number: int) -> list[str]:
    """Return a whole number in English, without "and".

    Example:
        >>> " ".join(number_words(342_017))
        'three hundred forty two thousand seventeen'
    """
    for scale, name in _SCALES:
        if number >= scale:
            rest = number_words(number % scale) if number % scale else []
            return [*number_words(number // scale), name, *rest]
    if number >= 20:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    return [_ONES[number]]


def _digits(text: str) -> list[str]:
    return [_ONES[int(digit)] for digit in text]


def _year_words(number: int) -> list[str]:
    """Return a year in two halves; of 2000 to 2009 the whole number."""
    century, rest = divmod(number, 100)
    if 2000 <= number <= 2009:
        return number_words(number)
    if rest == 0:
        return [*number_words(century), "hundred"]
    return [*number_words(century), *(["oh"] if rest < 10 else []), *number_words(rest)]


def _cardinal(text: str) -> list[str]:
    """Return a number as it is written, without a year's reading."""
    whole, _, decimals = text.replace(",", "").partition(".")
    if len(whole) > _MOST_DIGITS or (whole.startswith("0") and len(whole) > 1):
        words = _digits(whole)
    else:
        words = number_words(int(whole)) if whole else []
    return [*words, *(["point", *_digits(decimals)] if decimals else [])]


def _ordinal(words: Sequence[str]) -> list[str]:
    last = words[-1]
    tail = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return [*words[:-1], _ORDINALS.get(last, tail)]


def _say_number(match: re.Match[str]) -> str:
    text, suffix = match[1], match[2]
    is_year = re.fullmatch(r"1[1-9]\d\d|20\d\d", text) is not None and not suffix
    words = _year_words(int(text)) if is_year else _cardinal(text)
    return f" {' '.join(_ordinal(words) if suffix else words)} "


def _say_decade(match: re.Match[str]) -> str:
    number = int(match[1])
    words = _year_words(number) if number >= 100 else number_words(number)
    last = words[-1]
    plural = f"{last[:-1]}ies" if last.endswith("y") else f"{last}s"
    return f" {' '.join([*words[:-1], plural])} "


def _say_money(match: re.Match[str]) -> str:
    """Say an amount before its currency, with its hundredths."""
    one, several, cent, cents = _CURRENCIES[match["sign"]]
    amount, multiple = match["amount"].replace(",", ""), match["multiple"]
    whole, _, part = amount.partition(".")
    if multiple:
        words = [*_cardinal(amount), _MULTIPLES.get(multiple, multiple), several]
    elif len(part) == 2:
        units = (
            [] if int(whole or 0) == 0 else [*_cardinal(whole), _plural(int(whole), one, several)]
        )
        hundredths = (
            [*number_words(int(part)), _plural(int(part), cent, cents)] if int(part) else []
        )
        words = [*units, *(["and"] if units and hundredths else []), *hundredths]
    else:
        words = [*_cardinal(amount), one if amount == "1" else several]
    return f" {' '.join(words)} "


def _plural(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _say_time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if minute == 0:
        words = [*number_words(hour), "o'clock" if hour <= 12 else "hundred"]
    else:
        words = [*number_words(hour), *(["oh"] if minute < 10 else []), *number_words(minute)]
    return f" {' '.join(words)} "


def _say_fraction(match: re.Match[str]) -> str:
    """Say a fraction below one; other pairs of numbers, as 24/7 or a date, stay numbers."""
    whole, above, below = match[1], int(match[2]), int(match[3])
    if not 0 < above < below or below not in _DENOMINATORS:
        return f" {whole or ''} {above} {below} "
    name = {2: "half", 4: "quarter"}.get(below) or " ".join(_ordinal(number_words(below)))
    plural = {"half": "halves"}.get(name, f"{name}s")
    words = [*number_words(above), name if above == 1 else plural]
    if whole:
        first = "a" if above == 1 else words[0]  # "two and a half", but "one half" alone
        words = [*number_words(int(whole)), "and", first, *words[1:]]
    return f" {' '.join(words)} "


_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), spoken)
    for pattern, spoken in (
        (
            rf"(?P<sign>[$£€¥])\s*(?P<amount>{_NUMBER})"
            r"(?:\s*(?P<multiple>hundred|thousand|(?:m|b|tr)illion|k|mn?|bn?)\b)?",
            _say_money,
        ),
        (rf"(?P<amount>{_NUMBER})\s?(?P<sign>[$£€¥])(?P<multiple>)", _say_money),
        (r"(\d)\s?¢", r"\1 cents"),
        (r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])", _say_time),
        (r"(?<![\d.,])'?((?:1[1-9]|20)?[02-9]0|1[1-9]10|2010)'?s\b", _say_decade),
        (r"(?<![\d/])(?:(\d+)\s+)?(\d+)/(\d+)(?![\d/])", _say_fraction),
        (r"(?<![\d-])(\d{4})\s?[-\u2013]\s?(\d{4})(?![\d-])", r"\1 to \2"),
        (r"(?<![\w.)-])[-\u2212](?=\.?\d)", " minus "),
        (r"(?:\bno\.|#)\s?(?=\d)", " number "),
        (rf"({_NUMBER})(st|[nr]d|th)?(?![a-z0-9]*\d)", _say_number),
    )
)
