"""2WikiMultiHopQA from its mirrors on the Hugging Face hub, each file checked by its SHA-256.

The authors release the data on a personal file share; the mirrors are copies that others made of it. A mirror is pinned
to a commit, and every file is checked against two sums, as far as they are known:

- the hub's own: a large file is stored under its SHA-256, which names it in the cache, too. It shows damage on the way
  and in the cache, and nothing about who changed the file at the hub;
- the one written down here for the pinned commit, where there is one. These were taken from public code that pins the
  same file (two projects for each), not from a download of ours: this table was made without a network. For the
  other files the commit itself is the only pin.

Files stay in huggingface_hub's own cache (`HF_HOME`); a pinned file that is there needs no network.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from grokhop.core.artifacts import sha256
from grokhop.core.errors import InputError

_COMMIT = re.compile("[0-9a-f]{40}")
_LOCAL = "or give files with 'grokhop ingest 2wiki FILES'"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A data set on the hub that holds 2WikiMultiHopQA.

    Attributes:
        repo: owner and name.
        revision: the commit to which it is pinned.
        files: the names of a split's files.
        sums: SHA-256 by file name at `revision`, where known.
    """

    repo: str
    revision: str
    files: Mapping[str, tuple[str, ...]]
    sums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Files in the cache, and what is known of them.

    Attributes:
        paths: in the order of `Mirror.files`.
        repo, commit: where they come from.
        checked: by file name, against whose sum it was checked: 'pinned', 'hub' or, if neither is known, 'none'.
    """

    paths: tuple[Path, ...]
    repo: str
    commit: str
    checked: Mapping[str, str]


MIRRORS = {
    # The official JSON of the release with Wikidata ids (`evidences_id`, `answer_id`), which join spellings.
    "2wikimultihopqa": Mirror(
        repo="kamelliao/2wikimultihopqa",
        revision="f4f0d7e4ae275d9281e90c46c93e66d6cdda3674",
        files={"train": ("data/train.json",), "dev": ("data/dev.json",)},
    ),
    # Parquet with the nested columns as JSON text, without those ids.
    "xanhho/2WikiMultihopQA": Mirror(
        repo="xanhho/2WikiMultihopQA",
        revision="612bc5039a457880d9e7d84c3b0a4cf154b70e4f",
        files={"train": ("train.parquet",), "dev": ("dev.parquet",)},
        sums={"dev.parquet": "c0d8b60b9026b728fb07ad74c5252a0f188f6942e8ba5c02df4dfa369502ea8d"},
    ),
    # Parquet with nested columns, laid out as HotpotQA's, without those ids.
    "framolfese/2WikiMultihopQA": Mirror(
        repo="framolfese/2WikiMultihopQA",
        revision="fe713bfbd1afbca1a65246741a75890405d56a3a",
        files={
            "train": ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"),
            "dev": ("data/validation-00000-of-00001.parquet",),
        },
        sums={
            "data/validation-00000-of-00001.parquet": (
                "408e2dbb28edc6c8b9ca3ba0c94d4fc7bf17ffb923766593a3a7f546ab4cba59"
            )
        },
    ),
}
"""By the name a person gives."""


def fetch(name: str, *, split: str = "dev", revision: str | None = None) -> Fetched:
    """Bring the files of a split into the cache, unless they are there, and check them.

    Args:
        name: a key of `MIRRORS`, in upper or lower case.
        split: train or dev. The test split has neither answers nor evidence, so that nothing can be made of it.
        revision: another commit, branch or tag than the pinned one; sums that are pinned do not hold for it.

    Raises:
        InputError: the name or the split is unknown, huggingface_hub is missing, the hub cannot be reached or has no
            such file, or a file is not what its sum says.
    """
    mirror = _mirror(name)
    if split not in mirror.files:
        raise InputError(f"{name} has no split {split!r} with answers: choose {' or '.join(mirror.files)}")
    found = {file: _download(mirror.repo, file, revision or mirror.revision) for file in mirror.files[split]}
    sums = {} if revision not in (None, mirror.revision) else mirror.sums
    return Fetched(
        paths=tuple(found.values()),
        repo=mirror.repo,
        commit=_commit(*next(iter(found.items()))),
        checked={file: _check(path, mirror.repo, sums.get(file)) for file, path in found.items()},
    )


def _mirror(name: str) -> Mirror:
    by_lower = {known.lower(): mirror for known, mirror in MIRRORS.items()}
    if name.lower() not in by_lower:
        raise InputError(f"{name!r} is not a data set that is known here: choose {', '.join(MIRRORS)}")
    return by_lower[name.lower()]


def _download(repo: str, file: str, revision: str) -> Path:
    """The file in the cache; the hub is asked unless a commit, which never changes, is there already."""
    try:
        import huggingface_hub as library
        from huggingface_hub import constants
    except ImportError as error:
        raise InputError("huggingface_hub is not installed: pip install 'grokhop[hub]'") from error
    where = f"{repo}, {file} at {revision}"
    cached = library.try_to_load_from_cache(repo, file, repo_type="dataset", revision=revision)
    if isinstance(cached, str) and (constants.HF_HUB_OFFLINE or _COMMIT.fullmatch(revision)):
        return Path(cached)
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"{where}: not in the cache, and HF_HUB_OFFLINE is set: unset it once, {_LOCAL}")
    try:
        # Asked once first, because without a network the download alone would try again for half a minute.
        library.get_hf_file_metadata(library.hf_hub_url(repo, file, repo_type="dataset", revision=revision))
        return Path(library.hf_hub_download(repo, file, repo_type="dataset", revision=revision))
    except Exception as error:
        # requests, httpx and the system each have errors of their own; which of them come depends on the version.
        missing = _missing(error)
        if isinstance(cached, str) and not missing:
            return Path(cached)
        raise InputError(f"{where}: {missing or _failure(error)}, {_LOCAL}") from error


def _missing(error: Exception) -> str:
    """What the hub says that it does not have, '' when it says nothing of the kind."""
    from huggingface_hub import errors

    if isinstance(error, errors.RepositoryNotFoundError):
        return "the hub has no such data set, or not for everybody: choose another mirror"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the hub has no such revision: check --revision"
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return "the hub has no such file: check --revision"
    return ""


def _failure(error: Exception) -> str:
    from huggingface_hub import constants

    return f"not fetched from {constants.ENDPOINT} ({_reason(error)}): check the network"


def _reason(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    lines = str(error).strip().splitlines()
    return f"status {status}" if status else lines[0] if lines else type(error).__name__


def _commit(file: str, path: Path) -> str:
    """The cache keeps a file as snapshots/COMMIT/FILE."""
    return path.parents[len(Path(file).parts) - 1].name


def _check(path: Path, repo: str, pinned: str | None) -> str:
    """Compare a file with the sums that are known; say whose they were."""
    # One step only: a blob may itself be a link into a store that names files in another way.
    blob = path.parent / path.readlink() if path.is_symlink() else None
    hubs = blob.name if blob else ""
    if len(hubs) in (40, 64) and _sum_as(hubs, path) != hubs:
        # The cache would give the damaged file again, for ever.
        for damaged in (path, blob):
            if damaged:
                damaged.unlink(missing_ok=True)
        raise InputError(f"{repo}, {path.name}: not what the hub's checksum says; the copy is removed: fetch it again")
    if pinned and sha256(path) != pinned:
        found = f"SHA-256 {sha256(path)[:12]}... is not the pinned {pinned[:12]}..."
        raise InputError(f"{repo}, {path.name}: {found}: choose another mirror, {_LOCAL}")
    return "pinned" if pinned else "hub" if len(hubs) in (40, 64) else "none"


def _sum_as(known: str, path: Path) -> str:
    """The sum of a file of the kind that is known: SHA-256 of a large file, git's SHA-1 of a small one."""
    if len(known) == 64:
        return sha256(path)
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()
