"""Text that compresses about as well as what people write: real small words among made-up rare ones."""

# ruff: noqa: RUF001 - text in several scripts has letters that look like latin ones

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from samples.rows import zipf

RARE_WORDS = 4000

EMOJI = (
    "😀",
    "🎉",
    "🦣",
    "❄️",
    "👩\u200d👩\u200d👧\u200d👦",
    "🏳️\u200d🌈",
    "☕",
    "🐘",
    "🌻",
    "🤔",
    "🙏🏽",
    "🚲",
    "🍂",
    "📷",
)
AWKWARD = (
    "C:\\temp\\new\\file.txt",
    "a\tb\tc",
    "\\.",
    "\\N and NULL",
    "\"quoted\", 'single' and `ticks`",
    "Robert'); DROP TABLE statuses;--",
    "line one\nline two\r\nline three",
    '{curly,"braces"} and $1 $$body$$',
    "مرحبا بالعالم",
    "e\u0301 is not é; zero\u200bwidth; \u202ereversed\u202c",
    "𝕱𝖗𝖆𝖐𝖙𝖚𝖗 𓃰",
    "%s %d &amp; <b>",
)


@dataclass(frozen=True, slots=True)
class _Language:
    code: str
    share: int
    small_words: str
    syllables: str
    space: str = " "
    stop: str = "."


_LANGUAGES = (
    _Language(
        "en",
        50,
        "the a to and of in it is that for you on with this was are be as have not but at they from we all so",
        "an ber con den el fer gra hol in ker lan mor nel ock pre qui ret sto ter un ven wil ing ley ton shi",
    ),
    _Language(
        "de",
        20,
        "der die und das ist nicht ich ein es zu in mit auf für sich den von wir auch noch über schön größer",
        "auf bach dorf eich feld gen haus jung keit lich mäd nung ober pfer quer rück schaf tür um vor wäld zeit",
    ),
    _Language(
        "fr",
        10,
        "le la les et de un une est que pas pour dans ce il elle sur avec tout très été où ça déjà même",
        "ai beau çon dé eur fleu gne heu im jour leau mai noi oir per quê rou sé tion ure vé ville xi",
    ),
    _Language(
        "es",
        8,
        "el la que de y en un ser se no por con su para como más pero sus le ya o este sí porque año",
        "ar ba cion do es fue gra ha ía jo ka llo ma ño or pa que rra so ta un vi xo ya zón",
    ),
    _Language(
        "ja",
        7,
        "は が を に の と で も から まで です ます した ない ある いる この その",
        "か き さくら た 山 川 日本 語 花 見 ネット 写真 時 間 東京 雪 ラーメン 猫 犬 電車 駅 夜 朝 海",
        space="",
        stop="。",
    ),
    _Language(
        "ru",
        5,
        "и в не на я что он с это как по но они мы все так вы бы же от",
        "ба во гра де жи за ко лю мо но ор пре ра сто тель у хо чи ша ще ый ять ость",
    ),
)


class Writer:
    """Writes posts, names and words, the same ones for the same `rng`."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._vocabulary = {one.code: self._words_of(one) for one in _LANGUAGES}
        self._weights = {code: zipf(len(words)) for code, words in self._vocabulary.items()}
        self._languages = {one.code: one for one in _LANGUAGES}
        self._codes = [one.code for one in _LANGUAGES]
        self._shares = [one.share for one in _LANGUAGES]

    def _words_of(self, language: _Language) -> list[str]:
        syllables = language.syllables.split()
        rare = ("".join(self._rng.choices(syllables, k=self._rng.randint(2, 4))) for _ in range(RARE_WORDS))
        return [*language.small_words.split(), *rare]

    def language(self) -> str:
        """Return a language's code, the frequent ones more often."""
        return self._rng.choices(self._codes, self._shares)[0]

    def word(self) -> str:
        """Return a made-up word of latin letters that fits into names of people, hosts and tags."""
        words = self._vocabulary["en"]
        return words[self._rng.randrange(len(words) - RARE_WORDS, len(words))]

    def sentence(self, language: str, words: int) -> str:
        """Return about `words` words that look like one sentence."""
        rules = self._languages[language]
        chosen = self._rng.choices(self._vocabulary[language], cum_weights=self._weights[language], k=words)
        text = rules.space.join(chosen)
        return text[:1].upper() + text[1:] + rules.stop

    def post(self, language: str) -> str:
        """Return a post: mostly short; sometimes with emoji, several paragraphs, or bytes that need escaping."""
        chance = self._rng.random()
        words = 600 if chance < 0.004 else int(self._rng.lognormvariate(2.7, 0.7)) + 1
        text = self.sentence(language, words)
        if chance > 0.85:
            text += "\n\n" + self.sentence(language, 12)
        if 0.5 < chance < 0.7:
            text += " " + self._rng.choice(EMOJI)
        if 0.1 < chance < 0.12:
            text += " " + self._rng.choice(AWKWARD)
        if 0.2 < chance < 0.26:
            text += f" https://{self.word()}.example/{self.word()}?id={self._rng.getrandbits(40):x}"
        return text
