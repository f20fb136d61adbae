"""Mail addresses. Not here: what looks like one in code, shells and URLs (``q@k.transpose()``, ``git@host:path``,
``ssh://user@host``)."""

import re

_MAIL = re.compile(r"\b([A-Za-z0-9][A-Za-z0-9._%+-]*)@((?:[A-Za-z0-9-]+\.)+([A-Za-z]{2,}))\b(?!\()")
_PLACEHOLDER = re.compile(
    r"^(?:(?:your|my|first|last)?[._-]?(?:user)?(?:name|mail|email)?|example|test|user|someone|somebody|abc|xyz|\d+"
    r"|j(?:ohn|ane)?[._-]?doe)\d*$",
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu)|\w+\.(?:example|test|invalid)|(?:your)?(?:domain|company|email|website)\.com|test\.com)$",
    re.IGNORECASE,
)
_PATH = re.compile(r":(?:[\w~.-]*/|[\w~])")  # of scp and git
# Top-level domains with people's mail: the countries' (ISO 3166 and a few more), and the general ones in wide use.
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd "
    "cf cg ch ci ck cl cm "
    "cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm "
    "gn gp gq gr gs gt gu "
    "gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk "
    "lr ls lt lu lv ly ma "
    "mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg "
    "ph pk pl pm pn pr ps "
    "pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl "
    "tm tn to tr tt tv tw "
    "tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_GENERAL = (
    "com org net edu gov mil int info biz name pro mobi aero coop museum jobs tel cat asia arpa xyz app dev online "
    "site store shop tech cloud "
    "blog live life email mail agency company digital media news studio world zone club group work today space website "
    "top vip global health "
    "school university bank law legal consulting solutions systems network software services support team london "
    "berlin paris nyc swiss bayern "
    "wien amsterdam hamburg koeln africa"
)
_DOMAINS = frozenset(f"{_COUNTRIES} {_GENERAL}".split())


def mail(text: str) -> bool:
    """A mail address outside the reserved domains (RFC 2606) whose name is not a placeholder."""
    return "@" in text and any(_is_mail(text, found) for found in _MAIL.finditer(text))


def _is_mail(text: str, found: re.Match[str]) -> bool:
    name, host, top = found.groups()
    if (
        top.lower() not in _DOMAINS
        or not (top.islower() or host.isupper() or top.istitle())
        or len(host.split(".")[-2]) < 2
    ):
        return False  # an operator between two names of a program
    if _RESERVED.search(host) or _PLACEHOLDER.match(name):
        return False
    word = text[max(0, found.start() - 200) : found.start()].rpartition(" ")[2]
    return "://" not in word and not _PATH.match(text, found.end())
