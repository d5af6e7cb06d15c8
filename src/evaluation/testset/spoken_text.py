"""Texts brought onto one form, so that only words are compared, not their spelling.

In this order: Unicode NFKC, curly apostrophes straight, lower case; accents go; `&`, `%` and the
titles mr, mrs, dr, st become words; digits become words (1900 to 1999 as years, ordinals as
`21st`); hyphens and all other punctuation become blanks; apostrophes stay inside words only.
British and American spelling are not unified. What stands in brackets, as [laughter], is no word.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalise", "number_words"]

_SMALL = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_ONES = _SMALL.split()
_ROUND = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = _ROUND.split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}
_SAID = {
    **{"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"},
    **{"&": "and", "%": "percent", "£": "pounds", "$": "dollars"},
}
# A longer row of digits is a code, read digit by digit.
_MOST_DIGITS = 12


def normalise(text: str) -> list[str]:
    """Return the words of a text.

    Example:
        >>> " ".join(normalise("Mr. Smith's 21st birthday: “don't” - in 1984!"))
        "mister smith's twenty first birthday don't in nineteen eighty four"
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").lower()  # noqa: RUF001
    text = re.sub(r"\[[^\]]*\]|<[^>]*>", " ", text)
    text = unicodedata.normalize("NFD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    # an amount is said before its currency
    text = re.sub(r"([£$])\s*(\d[\d,.]*\d|\d)", r"\2 \1", text)
    text = re.sub(r"([&%£$])", r" \1 ", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\d+(\.\d+)?(st|[nr]d|th)?(?!\d)", _spoken, text)
    words = []
    for word in re.findall(r"[^\W_]+(?:'[^\W_]+)*'?|[&%£$]", text):
        bare = _SAID.get(word, word).strip("'")
        words.append(bare)
    return [word for word in words if word]


def _spoken(found: re.Match[str]) -> str:
    whole, _, decimals = found.group(0).partition(".")
    ordinal = found.group(2) is not None
    digits = re.sub(r"\D", "", whole)
    if len(digits) > _MOST_DIGITS or (digits.startswith("0") and len(digits) > 1):
        words = [_ONES[int(digit)] for digit in digits]
    elif len(digits) == 4 and 1900 <= int(digits) <= 1999 and not decimals and not ordinal:
        words = [*number_words(19), *(number_words(int(digits[2:])) if digits[2:] != "00" else [])]
        words += ["hundred"] if digits[2:] == "00" else []
    else:
        words = number_words(int(digits))
    if decimals:
        words += ["point", *(_ONES[int(digit)] for digit in re.sub(r"\D", "", decimals))]
    if ordinal:
        last = words[-1]
        tail = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
        words[-1] = _ORDINALS.get(last, tail)
    return f" {' '.join(words)} "


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
