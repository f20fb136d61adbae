"""Made-up rows for the filters: numbers that are nobody's, and what each rule is there to find. Nothing here belongs to
anybody."""

import random

from tasks.data.clean.filters.personal.accounts import luhn, mod_97


def numbers(draw: random.Random) -> str:
    """A table, a list or a calculation of numbers, of one of many kinds."""
    return draw.choice(_NUMBERS)(draw)


def _row(draw: random.Random, between: str, size: int, low: int, high: int) -> str:
    return between.join(str(draw.randint(low, high)) for _ in range(size))


_NUMBERS = [
    lambda draw: _row(draw, " ", 100, 0, 999),
    lambda draw: _row(draw, " ", 100, 0, 9999),
    lambda draw: _row(draw, "\n", 60, 1000, 9999),
    lambda draw: "\n".join(_row(draw, " ", 4, 1000, 9999) for _ in range(12)),
    lambda draw: "\n".join(_row(draw, ", ", 8, 10, 99999) for _ in range(10)),
    lambda draw: "\n".join(_row(draw, "\t", 6, 100000, 999999) for _ in range(10)),
    lambda draw: "\n".join("| " + _row(draw, " | ", 5, 0, 10**7) + " |" for _ in range(8)),
    lambda draw: "[" + _row(draw, ", ", 50, 10**9, 10**10) + "]",
    lambda draw: _row(draw, " ", 20, 10**12, 10**13),
    lambda draw: f"{draw.randint(100, 899)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}",
    lambda draw: f"What is {draw.randint(100, 899)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}?",
    lambda draw: f"{draw.randint(200, 999)}-{draw.randint(200, 999)}-{draw.randint(1000, 9999)} = ?",
    lambda draw: f"{draw.randint(200, 999)} - {draw.randint(200, 999)} - {draw.randint(1000, 9999)}",
    lambda draw: " ".join(f"{draw.uniform(-1000, 1000):.4f}" for _ in range(40)),
    lambda draw: " ".join(f"{draw.random():.16f}" for _ in range(10)),
    lambda draw: (
        f"{draw.randint(1, 40)}.{draw.randint(0, 99)}.{draw.randint(0, 20)}.{draw.randint(0, 99)} is the newest version"
    ),
    lambda draw: (
        f"ISBN 978-{draw.randint(0, 9)}-{draw.randint(10, 99)}-{draw.randint(100000, 999999)}-{draw.randint(0, 9)}"
    ),
    lambda draw: (
        f"{draw.randint(1900, 2030)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}T"
        f"{draw.randint(0, 23):02d}:11:{draw.randint(0, 59):02d}"
    ),
    lambda draw: f"{draw.getrandbits(128):032x} and {draw.getrandbits(64)}",
    lambda draw: f"pi to {draw.randint(20, 60)} places, then {draw.getrandbits(150)}",
    lambda draw: f"{draw.randint(10**14, 10**16)} + {draw.randint(10**14, 10**16)}",
    lambda draw: "2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, " + _row(draw, ", ", 12, 32, 9999),
]


def _card(draw: random.Random) -> str:
    length = 15 if (head := draw.choice(("4", "51", "37", "6011", "5424"))) == "37" else 16
    body = head + "".join(str(draw.randint(0, 9)) for _ in range(length - 1 - len(head)))
    digits = body + next(digit for digit in "0123456789" if luhn(body + digit))
    if draw.random() < 0.3:
        return digits
    between = draw.choice(" -")
    cuts = (4, 10) if length == 15 else (4, 8, 12)
    return between.join(digits[start:end] for start, end in zip((0, *cuts), (*cuts, length), strict=True))


def _iban(draw: random.Random) -> str:
    country, size = draw.choice((("DE", 18), ("FR", 23), ("SE", 20), ("NL", 14)))
    account = (
        ("ABNA" + "".join(str(draw.randint(0, 9)) for _ in range(10)))
        if country == "NL"
        else "".join(str(draw.randint(0, 9)) for _ in range(size))
    )
    whole = next(f"{country}{check:02d}{account}" for check in range(2, 99) if mod_97(f"{country}{check:02d}{account}"))
    return whole if draw.random() < 0.5 else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


def _phone(draw: random.Random) -> str:
    area, exchange, last = draw.choice((212, 415, 617, 312)), draw.randint(220, 540), draw.randint(1000, 9989)
    return draw.choice(
        (
            f"({area}) {exchange}-{last}",
            f"{area}-{exchange}-{last}",
            f"+1 {area} {exchange} {last}",
            f"{area}.{exchange}.{last}",
            f"+44 20 7{draw.randint(100, 999)} {last}",
            f"+46 70 {draw.randint(100, 999)} {draw.randint(10, 99)} 17",
            f"+49 30 {draw.randint(1000000, 9999999)}",
            f"1-{area}-{exchange}-{last}",
        )
    )


def _social(draw: random.Random) -> str:
    number = f"{draw.randint(1, 665):03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"
    return draw.choice(
        (
            "SSN: {}",
            "her social security number is {}",
            "Social Security No. {}",
            "SSN {}",
            "social security: {}",
            "SS# {}",
        )
    ).format(number)


def _mail(draw: random.Random) -> str:
    first, last = (
        draw.choice(("anna", "piotr", "m", "chen.wei", "Lucía".replace("í", "i"))),
        draw.choice(("lind", "kowalski", "okafor", "braun")),
    )
    host = draw.choice(("firma-lind.se", "gmail.com", "uni-halle.de", "mail.co.uk", "outlook.com", "proton.me"))
    return draw.choice(
        (
            f"{first}.{last}@{host}",
            f"{first}_{last}{draw.randint(10, 99)}@{host}",
            f"<{first}{last}@{host}>",
            f"mailto:{first}.{last}@{host}",
        )
    )


def _key(draw: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

    def some(count: int) -> str:
        return "".join(draw.choice(letters) for _ in range(count - 2)) + "7Q"

    return draw.choice(
        (
            f"sk-{some(48)}",
            f"sk-ant-api03-{some(40)}",
            f"sk-proj-{some(60)}",
            f"gsk_{some(52)}",
            f"ghp_{some(36)}",
            f"AKIA{some(16).upper()}",
            f"AIza{some(35)}",
            f"xoxb-{draw.randint(10**11, 10**12)}-{some(24)}",
            f"hf_{some(34)}",
            f"sk_live_{some(24)}",
            "-----BEGIN PRIVATE KEY-----\nMIIE" + some(40),
        )
    )


def _ip(draw: random.Random) -> str:
    address = f"{draw.choice((52, 93, 142, 185))}.{draw.randint(1, 254)}.{draw.randint(1, 254)}.{draw.randint(1, 254)}"
    return draw.choice(
        ("the server at {}", "from IP {}", "ssh root@{}", "http://{}/index.html", "ping {}", "{}:8080", "address {}")
    ).format(address)


_NOTICES = [
    "Copyright (c) 2021 Somebody Invented. All rights reserved.", "Copyright 2019 by Nobody & Sons",
    "© 2020 Invented Press", "(c) 2018 Invented Ltd.",
    "Copyright © 1998-2004 Some Holder", "&copy; 2011 Invented Inc.", "/* Copyright (C) 2007 Some Holder */",
    "(C) 1999, 2000 Some Holder. All rights reserved.",
    "No part may be reproduced or copied without the prior written permission of the publisher. All rights reserved.",
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated "
    "documentation files",
    'Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance '
    'with the License.',
    "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public "
    "License as published by the Free Software Foundation",
    "Redistribution and use in source and binary forms, with or without modification, are permitted provided that the "
    "following conditions are met",
    'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND', "# SPDX-License-Identifier: MIT\n# a file's head",
    "// SPDX-License-Identifier: Apache-2.0",
    "Unauthorized copying of this file, via any medium, is strictly prohibited.",
]  # fmt: skip


def planted(count: int = 200, seed: int = 1) -> dict[str, list[str]]:
    """By rule or kind: ``count`` texts that it is there to find."""
    draw = random.Random(seed)
    makers = {
        "mail": _mail,
        "key": _key,
        "card": _card,
        "iban": _iban,
        "social_security": _social,
        "ip": _ip,
        "phone": _phone,
    }
    return {name: [make(draw) for _ in range(count)] for name, make in makers.items()} | {"licence_text": _NOTICES}


PLANTED = planted()
