"""A folder is whole or absent, says what it is, and is replaced only by its own kind."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from grokhop.core.artifacts import (
    MANIFEST,
    SCHEMA_VERSION,
    conditions,
    new_folder,
    read_manifest,
    sha256,
    write_bytes,
    write_json,
)
from grokhop.core.errors import InputError


def made(path: Path, *, kind: str = "graph", force: bool = False, **record: Any) -> Path:
    with new_folder(path, kind=kind, manifest=record, force=force) as folder:
        (folder / "data").write_text("whole")
    return path


def refused(path: Path, *, kind: str = "graph") -> str:
    """The one line with which the folder is refused."""
    with pytest.raises(InputError) as caught:
        read_manifest(path, kind=kind)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def change_manifest(path: Path, **changes: Any) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **changes}))


# Writing.


def test_a_folder_is_written_with_a_manifest_that_says_what_it_is(tmp_path: Path) -> None:
    manifest = read_manifest(made(tmp_path / "g", answer=42), kind="graph")
    assert (manifest["kind"], manifest["schema_version"], manifest["answer"]) == ("graph", SCHEMA_VERSION, 42)
    assert manifest["versions"].keys() >= {"python", "numpy"}
    assert manifest["hardware"]["cores"] >= 1
    assert manifest.keys() >= conditions().to_dict().keys()
    assert (tmp_path / "g" / "data").read_text() == "whole"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g"]


def test_folders_above_are_made(tmp_path: Path) -> None:
    assert read_manifest(made(tmp_path / "a" / "b" / "g"), kind="graph")


def test_nothing_has_the_name_until_the_folder_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "g", kind="graph", manifest={}) as folder:
        assert not (tmp_path / "g").exists()
        assert folder.parent == tmp_path
        assert folder.name.startswith(".g.")
    assert (tmp_path / "g").exists()


def test_the_old_folder_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = made(tmp_path / "g", turn=1)
    with new_folder(path, kind="graph", manifest={"turn": 2}, force=True):
        assert read_manifest(path, kind="graph")["turn"] == 1
        assert (path / "data").exists()
    assert read_manifest(path, kind="graph")["turn"] == 2
    assert not (path / "data").exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("force", [False, True], ids=["new", "over another"])
def test_a_stopped_stage_leaves_nothing_half_written(tmp_path: Path, error: type[BaseException], force: bool) -> None:
    path = made(tmp_path / "g", turn=1) if force else tmp_path / "g"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error), new_folder(path, kind="graph", manifest={"turn": 2}, force=force) as folder:
        (folder / "data").write_text("half")
        raise error
    assert sorted(tmp_path.rglob("*")) == before
    if force:
        assert read_manifest(path, kind="graph")["turn"] == 1
        assert (path / "data").read_text() == "whole"


def test_a_stopped_stage_leaves_no_folders_above_that_it_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "b" / "c", kind="graph", manifest={}):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_stop_while_the_old_folder_is_removed_leaves_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "g", turn=1)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        made(path, turn=2, force=True)
    assert read_manifest(path, kind="graph")["turn"] == 2
    assert (path / "data").read_text() == "whole"


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        made(tmp_path / "g", unwritable=object())
    assert list(tmp_path.iterdir()) == []


# Replacing.


def test_a_folder_that_exists_is_refused_without_force(tmp_path: Path) -> None:
    path = made(tmp_path / "g", turn=1)
    with pytest.raises(InputError, match="--force"):
        made(path, turn=2)
    assert read_manifest(path, kind="graph")["turn"] == 1


def test_force_replaces_the_same_kind(tmp_path: Path) -> None:
    path = made(tmp_path / "g", turn=1)
    assert read_manifest(made(path, force=True, turn=2), kind="graph")["turn"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g"]


def test_force_fills_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    assert read_manifest(made(tmp_path / "g", force=True), kind="graph")


def test_force_does_not_replace_another_kind(tmp_path: Path) -> None:
    path = made(tmp_path / "g", kind="run")
    with pytest.raises(InputError, match="not a grokhop graph folder"):
        made(path, force=True)
    assert (path / "data").exists()


@pytest.mark.parametrize("manifest", [None, "{", "[]", "{}", "null"])
def test_force_does_not_replace_what_grokhop_did_not_make(tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "g" / MANIFEST).write_text(manifest)
    with pytest.raises(InputError, match="choose another name"):
        made(tmp_path / "g", force=True)
    assert (tmp_path / "g" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "g").write_text("a file")
    with pytest.raises(InputError):
        made(tmp_path / "g", force=force)
    assert (tmp_path / "g").read_text() == "a file"


# Reading.


def test_a_missing_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    assert "'grokhop ingest' makes a graph folder" in refused(tmp_path / "g")
    assert "'grokhop train' makes a run folder" in refused(tmp_path / "r", kind="run")


def test_a_folder_of_another_kind_is_refused_with_both_kinds(tmp_path: Path) -> None:
    assert "is a run folder, not a graph folder" in refused(made(tmp_path / "r", kind="run"))


def test_a_newer_schema_version_asks_for_a_newer_grokhop(tmp_path: Path) -> None:
    path = made(tmp_path / "g")
    change_manifest(path, schema_version=SCHEMA_VERSION + 1)
    assert "upgrade grokhop" in refused(path)


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"[]", b"null", b"{}", b'{"kind": "graph"}', b'{"kind": "graph", "schema_version": "x"}', b"\xff"],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, manifest: bytes) -> None:
    path = made(tmp_path / "g")
    (path / MANIFEST).write_bytes(manifest)
    assert "is damaged" in refused(path)


def test_a_folder_without_a_manifest_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is not a grokhop graph folder" in refused(tmp_path)
    assert "is not a grokhop graph folder" in refused(tmp_path / "file")


# Files.


def test_a_file_is_replaced_in_one_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"turn": 1})

    def stop(*_: object) -> None:
        assert json.loads(path.read_text()) == {"turn": 1}
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            write_json(path, {"turn": 2})
    assert json.loads(path.read_text()) == {"turn": 1}
    write_json(path, {"turn": 2, "name": "Zürich"})
    assert json.loads(path.read_text()) == {"turn": 2, "name": "Zürich"}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_a_hash_is_the_sha_256_of_the_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"bytes")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"bytes").hexdigest()
