"""Where the student comes from: made here, the hub at a pinned commit, or a folder with pinned content.

Whatever its origin, an artifact of kind "model" leaves: config.json, safetensors in the wanted type, and a tokenizer with
this project's chat template, which is Llama 3.1's without a system text. Pickled weights are never read.
"""

import hashlib
import json
import shutil
from pathlib import Path

from blocks import chat_format, store
from blocks.records import Artifact
from configs.errors import BadInput, Transient
from configs.phases.training import Hub, Local, Scratch
from tasks.step import step
from tasks.training.pretrain import pretrain
from tasks.training.tokenizer import tokenizer

WANTED = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "*.jinja")


def student(settings: Scratch | Hub | Local, seed: int) -> Artifact:
    """The model being built, by the step that ``settings.source`` names."""
    if isinstance(settings, Scratch):
        return pretrain(tokenizer(settings.vocabulary, seed), settings, seed)
    return download(settings) if isinstance(settings, Hub) else adopt(settings)


@step(version=1)
def download(settings: Hub) -> Artifact:
    """Fetch ``settings.repository`` at ``settings.revision``, from the hub's local cache where that has all of it. A token is
    taken from HF_TOKEN or the hub's own login.

    Raises:
        BadInput: no such repository or revision, or no access to it.
        Transient: the hub cannot be reached.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError

    name = f"{settings.repository}@{settings.revision[:12]}"

    def fetch(local: bool) -> Path:
        return Path(snapshot_download(settings.repository, revision=settings.revision, allow_patterns=list(WANTED), local_files_only=local))

    try:
        try:
            folder = fetch(local=True)
        except LocalEntryNotFoundError:
            folder = fetch(local=False)
    except GatedRepoError:
        raise BadInput(f"{name} needs its licence accepted on the hub's page of the model and a token of that account in HF_TOKEN") from None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise BadInput(f"{name} is not on the hub or not open to this token ({type(error).__name__}); check training.student and HF_TOKEN") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx.TransportError):
        raise Transient(f"{name} is not in the local cache and the hub cannot be reached; check the network, or HF_HUB_OFFLINE") from None
    except HfHubHTTPError as error:
        raise Transient(f"the hub failed on {name} ({type(error).__name__}); try again later") from None
    return _keep(folder, settings)


@step(version=1)
def adopt(settings: Local) -> Artifact:
    """Copy the student from a folder whose content has the pinned hash.

    Raises:
        BadInput: no such folder, or other content.
    """
    folder = Path(settings.path).expanduser()
    if not (folder / "config.json").is_file():
        raise BadInput(f"training.student.path: {folder} holds no config.json; name a folder in Hugging Face's layout")
    found = content_hash(folder)
    if found != settings.sha256:
        raise BadInput(f"training.student.sha256: {folder} has content {found}, not the pinned one; set it if that is the student you mean")
    return _keep(folder, settings)


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
    """Copy the wanted files into an artifact, weights in ``settings.dtype``, one file at a time."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    weights = sorted(source.glob("*.safetensors"))
    if not weights:
        raise BadInput(f"{source} has no safetensors weights; pickled weights are not read, convert the model first")
    config = json.loads((source / "config.json").read_text())
    if config.get("architectures") != ["LlamaForCausalLM"]:
        raise BadInput(f"{source} is a {config.get('architectures')}; the student has to be a LlamaForCausalLM")
    with store.create("model", settings={**settings.identity(), "path": None}) as folder:
        dtype, parameters = getattr(torch, settings.dtype), 0
        for path in weights:
            with safe_open(path, "pt") as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - safe_open is no mapping
            parameters += sum(tensor.numel() for tensor in tensors.values())
            save_file({name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}, folder.path / path.name, metadata={"format": "pt"})
        for path in _files(source):
            if path.suffix == ".json" and not path.name.startswith(("tokenizer", "special_tokens", "config")):
                shutil.copyfile(path, folder.path / path.name)
        config.pop("torch_dtype", None)
        (folder.path / "config.json").write_text(json.dumps(config | {"dtype": settings.dtype}, indent=2, sort_keys=True) + "\n")
        fast = AutoTokenizer.from_pretrained(source, local_files_only=True)
        missing = [token for token in chat_format.SPECIAL_TOKENS if token not in fast.get_vocab()]
        if missing:
            raise BadInput(f"{source}: its tokenizer lacks {', '.join(missing)}; the student has to speak Llama 3.1's chat format")
        fast.chat_template, fast.eos_token, fast.pad_token = chat_format.TEMPLATE, chat_format.END, chat_format.PAD
        fast.save_pretrained(folder.path)
        folder.metrics["parameters"] = parameters
    return folder.artifact
