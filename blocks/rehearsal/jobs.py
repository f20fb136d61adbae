"""The jobs a rehearsal teacher understands, read from nothing but the text of the messages.

A request is one system message and one user message. The system message begins with a header of ``Key: value`` lines
(one per line, keys in any letter case, ended by an empty line or the end), then instructions in plain English, which a real model
follows and a rehearsal teacher skips. The user message carries the content and nothing else. Shapes, by ``Task``:

``write_questions`` — header ``Domain``, ``Difficulty``, ``Count`` (1–100), ``Batch`` (any integer: another batch, other questions).
    User: anything; lines that begin with ``- `` are example questions, and then the new ones are of the same kinds.
    Reply: ``{"questions": ["…", …]}``, about ``Count`` of them, some bad (repeated, of another domain, mangled).
``validate`` — header ``Domain``, ``Difficulty``. User: one question, verbatim.
    Reply: ``{"clarity": 8, "relevance": 9, "difficulty": 7, "quality": 8}``, integers 1–10, more is better: clear wording; belongs to
    the domain; fits the stated difficulty; worth keeping over all.
``answer`` — header ``Domain``, ``Difficulty`` (both optional). User: the question, verbatim.
    Reply: the answer alone, plain text, no preamble.
``answer_with_draft`` — header as ``answer``. User: the question, verbatim.
    Reply: ``[DRAFT]`` first attempt, ``[CRITIQUE]`` what is wrong with it or left to do, ``[THINKING]`` worked steps,
    ``[REVISED]`` the final answer: each marker alone on its line, in this order, the text on the lines below it.
    An example's ``draft`` is draft and critique joined by one space, its ``thinking`` the steps, its ``response`` the revised answer.
``judge`` — header as ``answer``. User: ``QUESTION:`` alone on a line, the question, ``ANSWER:`` alone on a line, the answer (only
    the response, without draft and thinking).
    Reply: ``{"accuracy": 3, "completeness": 2, "coherence": 2, "helpfulness": 3}``, integers within 0–3, 0–2, 0–2, 0–3.

A JSON reply is one object and no fence. A reply depends on the teacher's name, the messages, ``seed`` and ``temperature`` of the body
alone: send another ``seed`` (the attempt) to have a fresh answer. A message that fits no job gets a plain-English reply that says so.
Not here: what a teacher knows (teachers.py).
"""
