"""Where the student comes from: made here, the hub at a pinned commit, a folder or a GGUF file with pinned content.

Whatever its origin, an artifact of kind "model" leaves: config.json, safetensors in the wanted type, and a tokenizer
with its chat template: its own, or this project's (Llama 3.1's without a system text) where it has Llama 3.1's tokens.
Pickled weights are never read.
"""

import hashlib
import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

from blocks import store
from blocks.engines.llama_cpp import rendering
from blocks.models import (
    chat_frame,
    gguf_file,
    gguf_tokenizer,
    model_config,
    student_folder,
    template,
    vocabulary,
    weights,
)
from blocks.models.checkpoint import rewrite
from blocks.models.encoding import load_tokenizer
from blocks.models.template import Template
from blocks.records import Artifact
from configs.errors import BadInput, Transient
from configs.phases.training import GgufStudent, Hub, Local, Scratch
from tasks.step import step
from tasks.training.students import from_gguf
from tasks.training.students.pretrain import pretrain
from tasks.training.students.tokenizer import tokenizer

log = logging.getLogger("cogumi.training")
WANTED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "*.jinja",
)


def student(settings: Scratch | Hub | Local | GgufStudent, seed: int, group: int | None) -> Artifact:
    """The model being built, by the step that ``settings.source`` names. ``group``: of AWQ's weights, None without AWQ.

    Raises:
        BadInput: of the source; or an adopted student's rows are not whole groups, so that compression would refuse it.
    """
    if isinstance(settings, Scratch):
        return pretrain(tokenizer(settings.vocabulary, seed), settings, seed)
    if isinstance(settings, Hub):
        adopted = download(settings)
    else:
        adopted = adopt(settings) if isinstance(settings, Local) else unpack(settings)
    if group is not None:
        model_config.refuse_group(model_config.read(store.open(adopted) / "config.json"), group)
    return adopted


@step(version=2)  # 2: refuses what later phases cannot work with
def download(settings: Hub) -> Artifact:
    """Fetch ``settings.repository`` at ``settings.revision``, from the hub's local cache where that has all of it. A
    token is taken from HF_TOKEN or the hub's own login.

    Raises:
        BadInput: no such repository or revision, or no access to it.
        Transient: the hub cannot be reached.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = f"{settings.repository}@{settings.revision[:12]}"

    def fetch(local: bool) -> Path:
        return Path(
            snapshot_download(
                settings.repository, revision=settings.revision, allow_patterns=list(WANTED), local_files_only=local
            )
        )

    try:
        try:
            folder = fetch(local=True)
        except LocalEntryNotFoundError:
            folder = fetch(local=False)
    except GatedRepoError:
        raise BadInput(
            f"{name} needs its licence accepted on the hub's page of the model and a token of that account in HF_TOKEN"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise BadInput(
            f"{name} is not on the hub or not open to this token ({type(error).__name__}); check training.student and "
            "HF_TOKEN"
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx.TransportError):
        raise Transient(
            f"{name} is not in the local cache and the hub cannot be reached; check the network, or HF_HUB_OFFLINE"
        ) from None
    except HfHubHTTPError as error:
        raise Transient(f"the hub failed on {name} ({type(error).__name__}); try again later") from None
    return _keep(folder, settings)


@step(version=2)
def adopt(settings: Local) -> Artifact:
    """Copy the student from a folder whose content has the pinned hash.

    Raises:
        BadInput: no such folder, or other content.
    """
    folder = Path(os.path.expanduser(settings.path))
    if not (folder / "config.json").is_file():
        raise BadInput(f"training.student.path: {folder} holds no config.json; name a folder in Hugging Face's layout")
    student_folder.inside(folder, _files(folder))
    found = content_hash(folder)
    if found != settings.sha256:
        raise BadInput(
            f"training.student.sha256: {folder} has content {found}, not the pinned one; set it if that is the student "
            "you mean"
        )
    return _keep(folder, settings)


@step(version=1)
def unpack(settings: GgufStudent) -> Artifact:
    """Take the student out of a GGUF file that has the pinned hash.

    Metrics and the manifest's settings say what the file's weights had been rounded to: tensors of each type.

    Raises:
        BadInput: no such file, other content, or no student that every later phase can work with.
    """
    path = Path(os.path.expanduser(settings.path))
    file = gguf_file.read(path)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != settings.sha256:
        raise BadInput(
            f"training.student.sha256: {path} has content {found}, not the pinned one; set it if that is the student "
            "you mean"
        )
    described = from_gguf.describe(path, file)
    _check_fields(described.config, path)
    stored = {**settings.identity(), "path": None, "stored": described.kinds}
    with store.create("model", settings=stored) as folder:
        gguf_tokenizer.write(path, file, folder.path)
        _keep_tokenizer(folder.path, folder.path, described.config["vocab_size"])
        from_gguf.write(path, described, folder.path, settings.dtype)
        student_folder.look_over(folder.path, _files(folder.path))
        folder.metrics["parameters"] = sum(
            math.prod(tensor.shape) for tensors in weights.headers(folder.path).values() for tensor in tensors.values()
        )
        folder.metrics |= {f"stored_{kind}": count for kind, count in described.kinds.items()}
    return folder.artifact


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of the files that would be copied."""
    total = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as stream:
            total.update(f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted({path for pattern in WANTED for path in folder.glob(pattern) if path.is_file()})


def _keep(source: Path, settings: Hub | Local) -> Artifact:
    """Look the folder over, and copy the wanted files into an artifact, weights in ``settings.dtype``, one file at a
    time.

    Raises:
        BadInput: something that a later phase could not work with, whatever file or field it is.
    """
    found = student_folder.look_over(source, _files(source))
    _check_fields(found.config, source)
    chat = Template.of(source)
    told = {} if chat == template.LLAMA else {"chat": chat.described}
    with store.create("model", settings={**settings.identity(), "path": None, **told}) as folder:
        folder.metrics["parameters"] = sum(
            _keep_weights(source / name, folder.path / name, settings) for name in found.weights
        )
        for path in _files(source):
            if path.suffix == ".json" and not path.name.startswith(("tokenizer", "special_tokens", "config")):
                shutil.copyfile(path, folder.path / path.name)
        config = {name: value for name, value in found.config.items() if name != "torch_dtype"}
        (folder.path / "config.json").write_text(
            json.dumps(config | {"dtype": settings.dtype}, indent=2, sort_keys=True) + "\n"
        )
        _keep_tokenizer(source, folder.path, config["vocab_size"])
    return folder.artifact


def _check_fields(config: dict[str, Any], source: Path) -> None:
    """Refuse what transformers would refuse when training begins: it checks the type of every field, also of those that
    mean nothing here.

    Raises:
        BadInput: names the first line of what it says.
    """
    from transformers import CONFIG_MAPPING

    try:
        CONFIG_MAPPING[config["model_type"]].from_dict(config)
    except Exception as error:  # it raises whatever it meets
        raise BadInput(
            f"{source / 'config.json'}: transformers cannot load it ({' '.join(str(error).split())[:300]}); correct "
            "the field, or leave it out"
        ) from None


def _keep_weights(source: Path, target: Path, settings: Hub | Local) -> int:
    """Copy one file of weights in the wanted type; how many weights there are in it.

    Raises:
        BadInput: a value is not finite, in the file or in the wanted type.
    """
    import torch

    dtype = getattr(torch, settings.dtype)

    def kept(name: str, tensor: Any) -> Any:
        tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
        if not bool(torch.isfinite(tensor).all()):
            raise BadInput(
                f"{source}: {name} holds values that are not finite in {settings.dtype}; fetch the model again, or "
                "take it before it was damaged"
            )
        return tensor

    return rewrite(source, target, kept)


def _keep_tokenizer(source: Path, target: Path, size: int) -> None:
    """The tokenizer with its chat template, or with the project's where it has Llama 3.1's tokens; and once more the
    look at what was written.

    Raises:
        BadInput: transformers cannot load it, or makes something else of it, or llama.cpp renders another chat.
    """
    chat, before = Template.of(source), vocabulary.read(source, size)
    try:
        fast = load_tokenizer(source)
        if chat == template.LLAMA:
            fast.chat_template, fast.eos_token = template.TEMPLATE, chat.closing
        fast.eos_token, fast.pad_token = fast.eos_token or chat.closing, chat.pad
        fast.save_pretrained(target)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # Rust's panics are no Exception, and the library raises whatever it meets
        raise BadInput(
            f"{source}: transformers cannot load its tokenizer ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:160]}); save it again"
        ) from None
    after = vocabulary.read(target, size)
    kept = Template.of(target)
    if (after.tokens, after.merges, after.splitting, after.reading, kept.frame) != (
        *(before.tokens, before.merges, before.splitting, before.reading),
        chat.frame,
    ):
        raise BadInput(f"{source}: transformers makes another tokenizer of it when it saves it; save it again yourself")
    if chat != template.LLAMA:
        with rendering.renderer(after.template or "", after.special, source) as render:
            chat_frame.refuse_unequal(kept, render, source, "llama.cpp")
        log.info("%s: %s", source, chat.described)
