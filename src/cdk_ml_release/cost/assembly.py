"""The cloud assembly as a bill reads it: templates and their regions, and the documents that the builds bring along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from .template import Resource, Template


class CostError(Exception):
    """Why there is no bill, in one line."""


class Assembly:
    """A folder that ``cdk synth`` wrote, with the assemblies of its stages in it."""

    def __init__(self, folder: Path) -> None:
        """Read a folder.

        Raises:
            CostError: if it is no assembly.
        """
        if not (folder / "manifest.json").is_file():
            raise CostError(
                f"'assembly' must be a cloud assembly, got '{folder}', which has no manifest.json; "
                "run 'cdk synth' and give the folder that it wrote, such as cdk.out"
            )
        self.templates: list[Template] = []
        self._assets: dict[str, Path] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._read(folder)

    def documents(self, project: Resource) -> dict[str, dict[str, Any]]:
        """The JSON documents that lie beside the programs of a CodeBuild project, by asset and then by name."""
        text = json.dumps(project)
        return {key: self._beside(key) for key in self._assets if key in text}

    def _beside(self, key: str) -> dict[str, Any]:
        if key not in self._documents:
            self._documents[key] = dict(_documents(self._assets[key]))
        return self._documents[key]

    def _read(self, folder: Path) -> None:
        for manifest in sorted(folder.glob("*.assets.json")):
            for asset in _json(manifest)["files"].values():
                for destination in asset["destinations"].values():
                    self._assets[destination["objectKey"]] = folder / asset["source"]["path"]
        for artifact_id, artifact in sorted(_json(folder / "manifest.json").get("artifacts", {}).items()):
            properties = artifact.get("properties", {})
            if artifact["type"] == "cdk:cloud-assembly":
                self._read(folder / properties["directoryName"])
            elif artifact["type"] == "aws:cloudformation:stack":
                region = artifact["environment"].rpartition("/")[2]
                self._add(
                    folder,
                    properties["templateFile"],
                    name=properties.get("stackName", artifact_id),
                    region=None if region == "unknown-region" else region,
                )

    def _add(self, folder: Path, file: str, *, name: str, region: str | None) -> None:
        document = _json(folder / file)
        for logical_id, resource in list(document.get("Resources", {}).items()):
            nested = resource.get("Metadata", {}).get("aws:asset:path")
            if resource["Type"] == "AWS::CloudFormation::Stack" and nested and (folder / nested).is_file():
                del document["Resources"][logical_id]
                self._add(folder, nested, name=f"{name} / {logical_id}", region=region)
        self.templates.append(Template.read(document, name=name, region=region))


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    """What may be a document of ours: JSON objects at the root of a folder or an archive."""
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            yield file.name, _json(file)
    elif path.suffix == ".zip":
        with ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json") and "/" not in name:
                    yield name, json.loads(archive.read(name))


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CostError(f"'assembly' must be complete, but has no '{file}'; run 'cdk synth' again") from None
    except ValueError as wrong:
        raise CostError(f"'assembly' must hold JSON, but '{file}' does not: {wrong}; run 'cdk synth' again") from None
