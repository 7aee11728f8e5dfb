"""Sets the URLs of the project, and makes the links of the README absolute for the package index.

The package index shows the README apart from the repository, so a relative link or picture would lead nowhere there.
``repository`` in ``pyproject.toml`` is the only place that has the address of the repository.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

CODE = r"^```.*?^```|`[^`\n]+`"
TARGET = r"""(?P<start>\]\(|\b(?:src|srcset|href)=")(?![a-z]+:|#)(?P<target>[^)"\s]+)"""
CODE_OR_TARGET = re.compile(f"{CODE}|{TARGET}", re.MULTILINE | re.DOTALL)
PICTURES = (".gif", ".jpg", ".png", ".svg", ".webp")


class RepositoryLinks(MetadataHookInterface):
    """Fills ``urls`` and ``readme`` of the metadata from the address of the repository.

    Without an address, there are no URLs and the README stays as it is. ``.ci/check-release`` then refuses a release.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``urls`` and ``readme`` in `metadata`."""
        repository = self.config["repository"].rstrip("/")
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if repository:
            readme = absolute(readme, repository, tag=f"v{metadata['version']}")
        metadata["urls"] = urls(repository) if repository else {}
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}


def urls(repository: str) -> dict[str, str]:
    """Return the labels and addresses that the package index shows beside the README."""
    return {
        "Repository": repository,
        "Documentation": f"{repository}/tree/HEAD/docs",
        "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def absolute(readme: str, repository: str, tag: str) -> str:
    """Return `readme` with links to pages, and pictures from files, of `repository` at `tag`.

    Links within the README, such as ``#costs``, stay as they are. The addresses have the form that GitHub uses.
    """

    def address(found: re.Match[str]) -> str:
        start, target = found["start"], found["target"]
        if target is None:  # code
            return found[0]
        kind = "raw" if target.endswith(PICTURES) else "blob"
        return f"{start}{repository}/{kind}/{tag}/{target}"

    return CODE_OR_TARGET.sub(address, readme)
