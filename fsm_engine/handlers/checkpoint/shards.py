"""The folder of a checkpoint with sharded tensors, which ranks write together through `torch.distributed.checkpoint`.

Each save writes to a new folder in it::

    checkpoint_500.pt/
        shards-6f1c9a02/   .metadata, __0_0.distcp, __1_0.distcp, ...: a checkpoint of torch.distributed.checkpoint
        state.pt           everything else, with a manifest that has the SHA-256 of each file

``state.pt`` is written last and replaced atomically, so a save that was cut off changes nothing that counts. torch's
``.metadata`` is for other programs and is never read here, because it is a pickle: ``state.pt`` holds the same as plain
data.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as c10d

from fsm_engine._util.atomic_files import remove_leftovers, sync_folder
from fsm_engine.distributed.gathering import gather_for
from fsm_engine.distributed.meeting import in_words
from fsm_engine.handlers.checkpoint.checksummed_file import BadFileError, read_manifest, sha256_of

STATE_FILE = "state.pt"
_SHARDS = re.compile(r"shards-[0-9a-f]{8}")
_METADATA = ".metadata"

Files = dict[str, list[Any]]
"""The size and the SHA-256 of files by name."""


def state_file(path: Path) -> Path:
    """Return the file with the manifest of the checkpoint `path`: a file in its folder, or the file itself."""
    return path / STATE_FILE if path.is_dir() else path


def make_shards_folder(folder: Path) -> str:
    """Make a folder for the shards of a new save in the checkpoint `folder`, and return its name.

    Raises:
        FileExistsError: `folder` is a file.
        OSError: it cannot be made.
    """
    if folder.is_file():
        raise FileExistsError(
            f"{folder} is a file, and a checkpoint of sharded tensors is a folder. Move the file away, or save to "
            f"another folder."
        )
    name = f"shards-{secrets.token_hex(4)}"
    (folder / name).mkdir(parents=True)
    return name


def check_is_shared(shards: Path, lead: int) -> None:
    """Check that this rank sees the folder that the rank `lead` has made.

    Raises:
        FileNotFoundError: it does not.
    """
    if not shards.is_dir():
        raise FileNotFoundError(
            f"there is no {shards}, which rank {lead} has made. Each rank writes its part of the model: give all ranks "
            f"a folder that they share, such as one on a network file system."
        )


def write_shards(tensors: Mapping[str, Any], shards: Path, group: Any) -> tuple[dict[str, Any], Files]:
    """Write the parts that this rank has of tensors; all ranks of `group` call this function together.

    Returns:
        On each rank, the chunks of each tensor with their places in the files, and the files of all ranks.

    Raises:
        Exception: a rank could not write; raised on each.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        metadata = save(dict(tensors), storage_writer=FileSystemWriter(shards), process_group=group)
    except CheckpointException as error:  # which is no Exception
        reasons = {rank: f"{type(cause).__name__}: {cause}" for rank, (cause, _) in error.failures.items()}
        raise RuntimeError(f"could not write {shards}: {in_words(reasons)}") from error
    chunks = {name: _chunks_of(name, metadata) for name in tensors}
    own = f"__{c10d.get_rank(group)}_"
    written = {chunk["file"] for listed in chunks.values() for chunk in listed}
    names = {name for name in written if name.startswith(own)}
    if c10d.get_rank(group) == 0:
        names.add(_METADATA)
    found = gather_for(f"the files of {shards.name}", lambda: {name: _about(shards / name) for name in names}, group)
    sync_folder(shards)
    return chunks, {name: about for files in found for name, about in files.items()}


def check_folder(folder: Path, about: Mapping[str, Any]) -> None:
    """Check the SHA-256 of each file of the checkpoint `folder`; for the arguments see `open_shards`.

    Raises:
        BadFileError: a file is not as it was written.
    """
    shards, files = _shards_in(folder, about)
    for name in files:
        _check_content(shards, name, files)


def remove_folder(folder: Path) -> None:
    """Remove the checkpoint `folder`; if the process is killed meanwhile, the rest is not a checkpoint any more."""
    (folder / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def remove_unused_shards(folder: Path) -> None:
    """Remove what saves that were cut off have left in the checkpoint `folder`.

    A folder in which no save has ended is removed itself, if nothing else is in it. If the manifest cannot be read,
    nothing is removed.
    """
    remove_leftovers(folder)
    used = None
    if (folder / STATE_FILE).exists():
        try:
            used = read_manifest(folder / STATE_FILE, verify=False)["shards"]["folder"]
        except (BadFileError, LookupError, OSError):
            return
    for path in folder.iterdir():
        if _SHARDS.fullmatch(path.name) and path.name != used:
            shutil.rmtree(path, ignore_errors=True)
    if used is None and not any(folder.iterdir()):
        folder.rmdir()


def open_shards(folder: Path, about: Mapping[str, Any], table: Mapping[str, Any]) -> ShardsReader:
    """Return the reader of the sharded tensors of the checkpoint `folder`, after a quick check of its files.

    Args:
        folder: the folder of the checkpoint.
        about: the part of its manifest that names the folder of the shards and their files.
        table: the table of the tensors.

    Raises:
        BadFileError: a file is missing or has another size, or torch's metadata has changed.
    """
    shards, files = _shards_in(folder, about)
    _check_content(shards, _METADATA, files)
    return ShardsReader(shards, files, table)


class ShardsReader:
    """Reads sharded tensors, and checks each file before it is read.

    Args:
        shards: the folder of the files.
        files: the files that belong to the checkpoint.
        table: the table of the tensors: per tensor, its place in the state, shape, type and chunks.
    """

    def __init__(self, shards: Path, files: Mapping[str, Any], table: Mapping[str, Any]) -> None:
        self._shards, self._files, self.table = shards, files, table

    def read(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Read values into `tensors`: whole ones, or the parts of sharded ones that this rank has.

        Each rank reads the chunks that it needs, whatever number of ranks has written them.

        Raises:
            BadFileError: a file that is needed is not as it was written.
            OSError: a file cannot be read.
        """
        from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
        from torch.distributed.checkpoint.filesystem import FileSystemReader

        metadata = self._metadata(tensors)
        planner, reader = DefaultLoadPlanner(), FileSystemReader(self._shards)
        planner.set_up_planner(dict(tensors), metadata, is_coordinator=False)
        reader.set_up_storage_reader(metadata, is_coordinator=False)
        plan = planner.finish_plan(reader.prepare_local_plan(planner.create_local_plan()))
        for name in sorted({metadata.storage_data[item.storage_index].relative_path for item in plan.items}):
            _check_content(self._shards, name, self._files)
        reader.read_data(plan, planner).wait()

    def _metadata(self, names: Mapping[str, Any]) -> Any:
        """Return what torch's ``.metadata`` says about these tensors."""
        from torch.distributed.checkpoint import metadata as dcp
        from torch.distributed.checkpoint.filesystem import _StorageInfo

        tensors, places = {}, {}
        for name in names:
            entry = self.table[name]
            chunks = [
                dcp.ChunkStorageMetadata(torch.Size(chunk["offsets"]), torch.Size(chunk["sizes"]))
                for chunk in entry["chunks"]
            ]
            properties = dcp.TensorProperties(dtype=entry["dtype"])
            tensors[name] = dcp.TensorStorageMetadata(properties, torch.Size(entry["shape"]), chunks)
            for chunk in entry["chunks"]:
                index = dcp.MetadataIndex(name, chunk["offsets"])
                places[index] = _StorageInfo(chunk["file"], chunk["start"], chunk["length"])
        return dcp.Metadata(dict(tensors), storage_data=places)


def _shards_in(folder: Path, about: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder of the shards and their files, after checking that each file is there and has its size."""
    name, files = about["folder"], about["files"]
    if not _SHARDS.fullmatch(name):
        raise BadFileError(f"its manifest names {name!r} as the folder of shards")
    for file, (size, _) in files.items():
        path = folder / name / file
        if not path.is_file() or path.stat().st_size != size:
            raise BadFileError(f"its file {path} is missing or was cut off")
    return folder / name, files


def _chunks_of(name: str, metadata: Any) -> list[dict[str, Any]]:
    from torch.distributed.checkpoint.metadata import MetadataIndex

    chunks = []
    for chunk in metadata.state_dict_metadata[name].chunks:
        place = metadata.storage_data[MetadataIndex(name, chunk.offsets)]
        position = {"offsets": tuple(chunk.offsets), "sizes": tuple(chunk.sizes)}
        chunks.append({**position, "file": place.relative_path, "start": place.offset, "length": place.length})
    return chunks


def _about(path: Path) -> list[Any]:
    return [path.stat().st_size, sha256_of(path)]


def _check_content(shards: Path, name: str, files: Mapping[str, Any]) -> None:
    if name not in files:
        raise BadFileError(f"its manifest does not list {name!r}, from which it has tensors")
    if sha256_of(shards / name) != files[name][1]:
        raise BadFileError(f"the content of {shards / name} does not match its SHA-256, so it was changed or damaged")
