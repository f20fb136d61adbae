"""Settings of the rule filters: one model per filter, each of which can be switched off."""

from configs.settings import Settings, runtime, setting


class Filter(Settings):
    """What every filter has."""

    enabled: bool = setting("whether the filter runs")


class TokenLength(Filter):
    """Prompt and answer within bounds, in tokens of the tokenizer in use (whitespace words where there is none)."""

    shortest_prompt: int = setting("fewest tokens of a prompt", ge=1)
    shortest_response: int = setting("fewest tokens of a response", ge=1)
    longest: int = setting("most tokens of prompt, draft, thinking and response together (documents: 2048)", ge=2)


class English(Filter):
    """Another language is rejected only where the identifier is sure and the text long enough to tell."""

    letters: int = setting("fewest letters of a text that is judged at all; numbers, code and shorter texts pass", ge=1)
    probability: float = setting("least probability of another language that rejects", gt=0.5, le=1)


class PersonalData(Filter):
    """Mail and IP addresses, phone and card numbers, IBAN, social security numbers, keys."""

    mail: bool = setting("reject mail addresses (not at example.com and the like)")
    phone: bool = setting("reject phone numbers in international or North American form")
    card: bool = setting("reject payment card numbers that pass the Luhn check (ISO/IEC 7812)")
    iban: bool = setting("reject account numbers that pass the check modulo 97 (ISO 13616)")
    social_security: bool = setting("reject US social security numbers of a valid range")
    ip: bool = setting("reject public IPv4 addresses")
    key: bool = setting("reject API keys, tokens and private keys")


class Offensive(Filter):
    """Slurs, and profanity beyond a limit."""

    profanity: int = setting("profane words from which an example is rejected; a slur always rejects", ge=1)


class LicenceText(Filter):
    """Copyright notices and the text of licences."""


class Format(Filter):
    """Empty or broken answers: open code fences, markers and special tokens left over, refusals, damaged characters."""

    refusals: bool = setting("reject answers that only say that the model cannot answer")


class Repetition(Filter):
    """Text that repeats itself. Gopher's bounds for web pages (Rae et al. 2021, table A1: 0.3, 0.16) hit worked
    arithmetic; see tests/benchmarks/LOG.md."""

    words: int = setting("fewest words of a text that is judged", ge=1)
    line_share: float = setting("largest share of characters in repeated lines", ge=0, le=1)
    four_gram_share: float = setting("largest share of characters covered by the most frequent word 4-gram", ge=0, le=1)
    run: int = setting("longest run of one non-space character", ge=2)


class Filters(Settings):
    """The filters, by name."""

    workers: int = runtime("processes; 1 = in this process. Used from 5,000 examples on", ge=1)
    format: Format = setting("broken answers")
    token_length: TokenLength = setting("length")
    english: English = setting("language")
    personal_data: PersonalData = setting("personal data")
    offensive: Offensive = setting("offensive language")
    licence_text: LicenceText = setting("licence and copyright text")
    repetition: Repetition = setting("repetition")
