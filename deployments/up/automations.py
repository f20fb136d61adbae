"""Automations from files: ``automations/*.yaml`` in the fields of Prefect's own, made on a server, or brought up to
date where a file changed.

An action names its notification block (``block: cogumi-notices``) where Prefect wants an id that only the server knows;
an automation whose block does not exist there is left out. Not here: what Prefect does with them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.prefect.code_version import ROOT
from configs.errors import BadInput
from configs.reading import read_yaml
from deployments.up.applied_digests import Applied, gone_already

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import AutomationCore

FOLDER = ROOT / "deployments" / "automations"


def files() -> list[Path]:
    """The automations that come with Cogumi."""
    return sorted(FOLDER.glob("*.yaml"))


def needs(path: Path) -> set[str]:
    """The names of the blocks that an automation needs."""
    return {action["block"] for action in _read(path)["actions"] if "block" in action}


def automation(path: Path, blocks: "dict[str, UUID]") -> "AutomationCore":
    """What Prefect is given.

    Raises:
        BadInput: the file says something that Prefect does not know.
    """
    from prefect.events.schemas.automations import AutomationCore

    fields = _filled(path, blocks)
    made = AutomationCore.model_validate(fields)
    if unknown := _unknown(fields, made.model_dump()):
        raise BadInput(f"{path}: Prefect does not know {', '.join(unknown)}")
    return made


async def automate(client: "PrefectClient") -> list[str]:
    """Make or update every automation whose blocks exist; a line for each that is left out."""
    from prefect.events.schemas.automations import AutomationCore

    blocks = await _notices(client)
    applied = await Applied.read(client, "automations")
    said = []
    for path in files():
        if missing := needs(path) - set(blocks):
            said.append(
                f"automation {path.stem} waits for a notification block named {', '.join(sorted(missing))}; make one "
                "in the UI, then `cogumi up` again"
            )
            continue
        wanted = automation(path, blocks)
        found = await client.read_automations_by_name(wanted.name)
        fields = {name: _filled(path, blocks)[name] for name in ("description", "trigger", "actions")}
        if not found:
            applied.changed(path.stem, fields, None)
            await client.create_automation(wanted)
            found = await client.read_automations_by_name(wanted.name)
            for again in found[
                1:
            ]:  # the request came twice: a client sends it again when no answer came, and names need not differ here
                with gone_already():
                    await client.delete_automation(again.id)
            continue
        before = found[0].model_dump(include=set(AutomationCore.model_fields))
        other = {name for name in fields if before[name] != wanted.model_dump()[name]}
        if due := applied.changed(path.stem, fields, before, ours=other):
            kept = AutomationCore.model_validate({**before, **due})  # switched off in the UI: stays off
            await client.update_automation(
                found[0].id, kept
            )  # forgets what it waits for: a run whose heartbeat ended before would never be marked
    await applied.keep(client)
    return said


def _filled(path: Path, blocks: "dict[str, UUID]") -> dict[str, Any]:
    """The file's fields, with ids in place of the names of blocks."""
    fields = _read(path)
    for action in fields["actions"]:
        if "block" in action:
            action["block_document_id"] = blocks[action.pop("block")]
    return fields


async def _notices(client: "PrefectClient") -> "dict[str, UUID]":
    """Name → id of the blocks that can send a message."""
    documents = await client.read_block_documents(include_secrets=False)
    return {
        document.name: document.id
        for document in documents
        if document.name and document.block_schema and "notify" in document.block_schema.capabilities
    }


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = read_yaml(path)
    return loaded


def _unknown(given: Any, understood: Any, path: str = "") -> list[str]:
    """Keys of ``given`` that are not in ``understood``: Prefect's models drop them silently. Labels to match are
    free."""
    if isinstance(given, dict) and isinstance(understood, dict) and not path.endswith(("match.", "match_related.")):
        return [
            name
            for key, value in given.items()
            for name in ([path + key] if key not in understood else _unknown(value, understood[key], f"{path}{key}."))
        ]
    if isinstance(given, list) and isinstance(understood, list):
        return [
            name
            for number, (one, other) in enumerate(zip(given, understood, strict=False))
            for name in _unknown(one, other, f"{path}{number}.")
        ]
    return []
