"""The Prefect server's database: SQLite below the state folder, or PostgreSQL by URL, looked at before a server is
started on it.

Not here: the journal's database (blocks/journal/journal.py).
"""

import asyncio

from configs.errors import BadInput

OLDEST = 140009  # 14.9, as the number PostgreSQL gives; older ones fail in Prefect's migrations
CONNECT_SECONDS = 10.0


def checked(url: str) -> str:
    """``url`` as Prefect wants it, after a connection to it worked.

    Raises:
        BadInput: neither SQLite nor PostgreSQL, not reachable, too old, or without the extension that Prefect needs. No
            message contains the password.
    """
    scheme, _, rest = url.partition("://")
    if scheme in {"sqlite", "sqlite+aiosqlite"} and rest:
        return f"sqlite+aiosqlite://{rest}"
    if scheme not in {"postgresql", "postgres", "postgresql+asyncpg"} or not rest:
        raise BadInput(
            f"--database {shown(url)}: write postgresql://user:password@host:port/database or "
            "sqlite:////absolute/file.db"
        )
    version, trigrams = asyncio.run(_look(f"postgresql://{rest}", shown(url)))
    if version < OLDEST:
        raise BadInput(f"{shown(url)} is PostgreSQL {version // 10000}.{version % 10000}; Prefect needs 14.9 or newer")
    if not trigrams:
        raise BadInput(
            f"{shown(url)} has no extension pg_trgm, which Prefect needs; it is in PostgreSQL's contrib package"
        )
    return f"postgresql+asyncpg://{rest}"


def shown(url: str) -> str:
    """``url`` without its password and its options."""
    login, at, place = url.partition("?")[0].rpartition("@")
    scheme, mark, user = login.rpartition("://")
    return f"{scheme}{mark}{user.partition(':')[0]}{at}{place}"


async def _look(url: str, name: str) -> tuple[int, bool]:
    """The server's version number, and whether it can make Prefect's indexes."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"cannot use {name} as Prefect's database: {reason}; start PostgreSQL, or leave --database out for SQLite"
        ) from None
    try:
        version = await connection.fetchval("show server_version_num")
        return int(version), bool(
            await connection.fetchval("select count(*) from pg_available_extensions where name = 'pg_trgm'")
        )
    finally:
        await connection.close()
