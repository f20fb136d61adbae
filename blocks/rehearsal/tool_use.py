"""Tool questions: a sentence becomes one tool call in compact JSON. Easy: the tool is plain; hard: pick it out of
two."""

import json
from random import Random

from blocks.records import Expected
from blocks.rehearsal.family import Family, Fields, Work
from blocks.rehearsal.words import CITIES, DAYS, GOODS

HOURS = tuple(str(hour) for hour in range(1, 13))
COUNTS = tuple(str(count) for count in range(2, 100))
# tool: its arguments in order, each with its values
TOOLS: dict[str, dict[str, tuple[str, ...]]] = {
    "weather": {"city": CITIES, "day": DAYS, "hour": HOURS},
    "alarm": {"hour": HOURS, "day": DAYS},
    "buy": {"item": GOODS, "count": COUNTS},
}
WISHES = {
    "weather": "how is the sky in {city} {day} at {hour}?",
    "alarm": "wake me at {hour} {day}.",
    "buy": "get {count} cups of {item}.",
}
NUMBERS = frozenset({"hour", "count"})


def _call(tool: str, fields: Fields) -> tuple[Expected, str]:
    arguments = {
        name: int(fields[name]) if name in NUMBERS else _known(tool, name, fields[name]) for name in TOOLS[tool]
    }
    response = json.dumps({"tool": tool, **arguments}, separators=(",", ":"))
    return Expected(kind="call", value=response), response


def _known(tool: str, name: str, word: str) -> str:
    if word not in TOOLS[tool][name]:
        raise ValueError(f"{tool} has no {name} {word}")
    return word


def _key(tool: str, fields: Fields) -> list[str]:
    return [f"{tool} {' '.join(fields[name] for name in TOOLS[tool])}"]


def _arguments(rng: Random, tool: str) -> Fields:
    return {name: rng.choice(values) for name, values in TOOLS[tool].items()}


def _easy(tool: str, *templates: str) -> Family:
    return Family(
        domain="tool_use",
        difficulty="easy",
        task_type=f"call_{tool}",
        templates=templates,
        draw=lambda rng: _arguments(rng, tool),
        solve=lambda p: _call(tool, p),
        keys=lambda p: _key(tool, p),
        reserve=5,
    )


def _hard(tool: str) -> Family:
    """Two tools on offer, in either order; the wish fits one."""

    def draw(rng: Random) -> Fields:
        offered = [tool, rng.choice([other for other in TOOLS if other != tool])]
        rng.shuffle(offered)
        return {"one": offered[0], "two": offered[1], **_arguments(rng, tool)}

    def solve(p: Fields) -> tuple[Expected, str]:
        if tool not in (p["one"], p["two"]) or not {p["one"], p["two"]} <= TOOLS.keys():
            raise ValueError("the tool is not on offer")
        return _call(tool, p)

    def work(p: Fields) -> Work:
        wrong = p["two"] if p["one"] == tool else p["one"]
        return Work(f"{tool}.", f"Not {wrong}.", " ".join(f"{name} {p[name]}." for name in TOOLS[tool]))

    templates = ("Tools: {one}, {two}. " + WISHES[tool].capitalize(), "Pick {one} or {two}: " + WISHES[tool])
    return Family(
        domain="tool_use",
        difficulty="hard",
        task_type=f"pick_{tool}",
        templates=templates,
        draw=draw,
        solve=solve,
        keys=lambda p: _key(tool, p),
        reserve=5,
        work=work,
    )


FAMILIES = (
    _easy("weather", "What is the weather in {city} {day} at {hour}?", "Weather for {city}, {hour} {day}."),
    _easy("alarm", "Set an alarm at {hour} {day}.", "I need an alarm {day} at {hour}."),
    _easy("buy", "Buy {count} cups of {item}.", "I want to buy {item}, {count} cups."),
    *(_hard(tool) for tool in TOOLS),
)
