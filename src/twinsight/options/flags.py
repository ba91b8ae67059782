"""Words of a command line -> options."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twinsight.errors import UserError
from twinsight.options.describe import Option
from twinsight.options.values import alternatives, count_words, in_words, understand

HELP = ("-h", "--help", "--help-all")
NUMBER = re.compile(r"-\.?\d.*|-inf|-nan", re.IGNORECASE)


def is_flag(word: str) -> bool:
    """Whether a word is a flag: -1 is a number, - a path."""
    return len(word) > 1 and word.startswith("-") and not NUMBER.fullmatch(word)


def read_flags(options: Sequence[Option], argv: Sequence[str], explain: Callable[[str], UserError]) -> dict[str, Any]:
    """The options given, by their names. Raises UserError for the first that has no fitting value, and what `explain`
    says of one that is unknown.
    """
    flags = {option.flag: option for option in options if not option.positional}
    switches = {negative(option.flag): option for option in flags.values() if bool in alternatives(option.kind)}
    waiting = list(argv)
    left: list[str] = []
    found: dict[str, Any] = {}
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            left += waiting
            break
        if not is_flag(word):
            left.append(word)
            continue
        flag, equals, value = word.partition("=")
        flag = flag.replace("_", "-")
        if flag in switches and not equals:
            found[switches[flag].name] = False
        elif flag in flags:
            option = flags[flag]
            if stands_alone(option, waiting) and not equals:
                found[option.name] = True
                continue
            words = [value] if equals else following(waiting)
            taken = take(option, words)
            if not equals:
                del waiting[: len(taken)]
            new = understand(taken, option.kind)
            found[option.name] = (*found.get(option.name, ()), *new) if option.repeated else new
        else:
            raise explain(flag.removeprefix("--").replace("-", "_"))
    return found | positionals([option for option in options if option.positional], left)


def extra_word(options: Sequence[Option], argv: Sequence[str], named: bool) -> int | None:
    """Where the word stands that is the data, if there is one more than the command's own: `pretrain photos`, and
    before or after those as its options are: `evaluate RUN photos`, `data convert photos OUT`.

    options: also those of choices that are not chosen. An unknown flag is taken to have one value. named: whether
    --data names the data too, so that no word need do so. Raises UserError for a value that does not fit the flag
    before it, and would be taken for the data.
    """
    flags: dict[str, Option] = {}
    for option in options:  # of two with one flag, --head.channels of fcn and unet, the one that takes more words
        if option.flag not in flags or most(option) > most(flags[option.flag]):
            flags[option.flag] = option
    off = {negative(option.flag) for option in options if bool in alternatives(option.kind)}
    own = [option for option in options if option.positional]
    if any(most(option) > 1 for option in own):
        return None
    loose: list[int] = []
    after: dict[int, Option | None] = {}  # the flag before a word that it could have taken, were it of its type
    place = 0
    while place < len(argv) and argv[place] != "--":
        flag, equals, _ = argv[place].replace("_", "-").partition("=")
        option = flags.get(flag)
        if not is_flag(argv[place]):
            loose.append(place)
        elif option is None and flag not in HELP and flag not in off and not equals:
            place += min(1, len(following(argv[place + 1 :])))
            after[place + 1] = None
        elif option and not equals and not stands_alone(option, argv[place + 1 :]):
            taken = take(option, following(argv[place + 1 :]))
            place += len(taken)
            if most(option) > len(taken):
                after[place + 1] = option
        place += 1
    first = place_of_data(options)
    if len(loose) <= (len(own) if first or named else 0):
        return None
    place, word = loose[first], argv[loose[first]]
    if place in after and not is_data(word, options):
        if (option := after[place]) is None:
            return None  # the flag is refused soon
        raise UserError(f"{option.flag} {word}: must be {in_words(option.kind)}; there is no folder {word}")
    return place


def stands_alone(option: Option, words: Sequence[str]) -> bool:
    """Whether a flag takes none of the words after it: --overlay, and --method.batch-norm unless true, false or auto
    follows.
    """
    kinds = alternatives(option.kind)
    if bool not in kinds or len(kinds) == 1:
        return bool in kinds
    try:
        understand(words[:1], option.kind)
    except ValueError:
        return True
    return False


def is_data(word: str, options: Sequence[Option]) -> bool:
    """Whether a word is the name of a data set, a class of one's own, or a path that exists."""
    sets = next((option.choices for option in options if option.name == "data.name"), ())
    return word in sets or ":" in word or Path(word).exists()


def most(option: Option) -> float:
    """The most words that a value of it takes."""
    return count_words(option.kind)[1]


def place_of_data(options: Sequence[Option]) -> int:
    """How many words of a command stand before the one that is the data."""
    data = next((i for i, option in enumerate(options) if option.name.startswith("data.")), len(options))
    return sum(option.positional for option in options[:data])


def negative(flag: str) -> str:
    """--overlay -> --no-overlay, --data.download -> --data.no-download."""
    head, dot, last = flag.removeprefix("--").rpartition(".")
    return f"--{head}{dot}no-{last}"


def following(words: Sequence[str]) -> list[str]:
    """The words up to the next flag."""
    end = next((i for i, word in enumerate(words) if is_flag(word)), len(words))
    return list(words[:end])


def take(option: Option, words: Sequence[str]) -> list[str]:
    """The most words from the start that make a value of the option."""
    least, most = (1, 1) if option.repeated else count_words(option.kind)
    for count in range(int(min(most, len(words))), least - 1, -1):
        try:
            understand(words[:count], option.kind)
        except ValueError:
            continue
        return list(words[:count])
    given = f"{option.flag} {' '.join(words[: max(1, least)])}".rstrip()
    if len(words) < least:
        raise UserError(f"{given}: needs {'a value' if least == 1 else f'{least} values'}, {in_words(option.kind)}")
    raise UserError(f"{given}: must be {in_words(option.kind)}")


def positionals(options: Sequence[Option], words: Sequence[str]) -> dict[str, Any]:
    """Words without a flag, in their order; the last option takes the rest if it can."""
    found: dict[str, Any] = {}
    rest = list(words)
    for option in options:
        if rest:
            taken = take(option, rest)
            found[option.name] = understand(taken, option.kind)
            rest = rest[len(taken) :]
    if rest:
        raise UserError(f"{rest[0]}: one word too many; see --help for what the command takes")
    return found
