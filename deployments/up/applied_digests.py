"""What was last applied of our files to a server, remembered on it, so that whatever a person set there since is left
as it is.

A field is written again where its file has changed since; where it has not, what stands on the server is a person's, or
the same. Remembered are digests, field by field, in Prefect variables called ``cogumi_applied_…``. Not here: which
fields there are (provision.py, deploy.py).
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


CONFLICT, NOT_FOUND = 409, 404


def digest(value: Any) -> str:
    """Of plain JSON, short: a variable holds 5,000 characters."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]


@contextmanager
def there_already() -> Iterator[None]:
    """Making something that may be there: by somebody else meanwhile, or by this very request, which a client sends
    again when no answer came."""
    from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError

    try:
        yield
    except ObjectAlreadyExists:
        return
    except PrefectHTTPStatusError as error:
        if error.response.status_code != CONFLICT:
            raise


@contextmanager
def gone_already() -> Iterator[None]:
    """Deleting something, likewise."""
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        yield
    except ObjectNotFound:
        return
    except PrefectHTTPStatusError as error:
        if error.response.status_code != NOT_FOUND:
            raise


class Applied:
    """The memory of one kind of thing: ``held`` is thing → field → digest."""

    def __init__(self, kind: str, held: dict[str, dict[str, str]]) -> None:
        self.variable, self.held, self.before = f"cogumi_applied_{kind}", held, json.dumps(held)

    @classmethod
    async def read(cls, client: "PrefectClient", kind: str) -> Self:
        """What the server remembers; nothing where no ``cogumi up`` that does so was there before."""
        found = await client.read_variable_by_name(f"cogumi_applied_{kind}")
        return cls(kind, found.value if found is not None and isinstance(found.value, dict) else {})

    async def keep(self, client: "PrefectClient") -> None:
        """Remember it on the server."""
        from prefect.client.schemas.actions import VariableCreate, VariableUpdate

        if json.dumps(self.held) == self.before:
            return
        with there_already():
            await client.create_variable(VariableCreate(name=self.variable, value=self.held))
            return
        await client.update_variable(VariableUpdate(name=self.variable, value=self.held))

    def remembers(self, thing: str, field: str) -> str | None:
        """The digest of what was last applied there."""
        return self.held.get(thing, {}).get(field)

    def changed(
        self, thing: str, wanted: Mapping[str, Any], there: Mapping[str, Any] | None, ours: Collection[str] = ()
    ) -> dict[str, Any]:
        """The fields of ``wanted`` to write over ``there`` (None: it is not there): those whose file has changed since
        they were last applied, and where nothing is remembered those of ``ours``, that no person sets. What is wanted
        now is remembered."""
        before = self.held.get(thing, {})
        self.held[thing] = {field: digest(value) for field, value in wanted.items()}
        if there is None:
            return dict(wanted)
        due = {
            field
            for field in wanted
            if (field in ours if field not in before else before[field] != self.held[thing][field])
        }
        return {field: wanted[field] for field in wanted if field in due and there.get(field) != wanted[field]}
