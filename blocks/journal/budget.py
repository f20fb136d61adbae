"""Money: exact prices of calls, and the budget account that no sum of calls may exceed.

Amounts are integers of a billionth of a dollar ("nano"), rounded up per call, and Decimal dollars outside. An account
is one row of the journal's database: ``spent`` is settled, ``reserved`` is the worst case of calls in flight; both
count against the cap. Every process that shares the database shares the account. Not here: the calls (journal.py).
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, insert, select, update

from blocks.models.template import Message
from blocks.records import Record
from configs.phases.teachers import Prices

NANO = 1_000_000_000
metadata = MetaData()
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
)


class Usage(Record):
    """Tokens of one call. ``prompt`` includes ``cached`` (read from the prompt cache) and ``written`` (put into it)."""

    prompt: int
    cached: int
    written: int
    completion: int


def nano(dollars: Decimal) -> int:
    """Dollars as nano-dollars, rounded up."""
    return int((dollars * NANO).to_integral_value(ROUND_CEILING))


def to_dollars(amount: int) -> Decimal:
    """Nano-dollars as exact dollars."""
    return Decimal(amount).scaleb(-9)


def price(prices: Prices, usage: Usage, *, batch: bool) -> int:
    """What a call with ``usage`` costs, in nano-dollars."""
    fresh = max(0, usage.prompt - usage.cached - usage.written)
    millionths = (
        fresh * prices.input
        + usage.cached * prices.cached
        + usage.written * prices.cache_write
        + usage.completion * prices.output
    )
    return nano(millionths * (prices.batch if batch else 1) / 1_000_000)


def worst_case(prices: Prices, messages: Sequence[Message], max_tokens: int, *, batch: bool) -> int:
    """The most a call can cost, in nano-dollars: a token is at least a byte, a message adds at most 16 (roles and
    separators), and a provider's own preamble at most 64."""
    prompt = sum(len(message.content.encode(errors="replace")) + 16 for message in messages) + 64
    dearest = max(prices.input, prices.cached, prices.cache_write)
    return nano((prompt * dearest + max_tokens * prices.output) * (prices.batch if batch else 1) / 1_000_000)


class Account:
    """An account inside one writing transaction: read once, changed in memory, written once by ``save``."""

    def __init__(self, db: Connection, name: str) -> None:
        self._db, self.name = db, name
        row = db.execute(select(accounts.c.spent, accounts.c.reserved).where(accounts.c.name == name)).one_or_none()
        if row is None:
            db.execute(insert(accounts).values(name=name, spent=0, reserved=0))
        self.spent: int = row.spent if row is not None else 0
        self.reserved: int = row.reserved if row is not None else 0

    def reserve(self, amount: int, cap: int) -> bool:
        """Set ``amount`` aside if spent and reserved stay within ``cap``; otherwise nothing changes."""
        if self.spent + self.reserved + amount > cap:
            return False
        self.reserved += amount
        return True

    def settle(self, reserved: int, cost: int) -> None:
        """Give a reservation back and count what the call did cost."""
        self.reserved -= reserved
        self.spent += cost

    def save(self) -> None:
        """Write the account; the transaction's commit makes it count."""
        self._db.execute(
            update(accounts).where(accounts.c.name == self.name).values(spent=self.spent, reserved=self.reserved)
        )
