"""Archives: folders as bytes, and back."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def zip_folder(folder: Path) -> bytes:
    """A folder as a zip archive: the same files always give the same bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (path.stat().st_mode & 0xFFFF) << 16
                archive.writestr(info, path.read_bytes())
    return content.getvalue()


def unzip(content: bytes, folder: Path) -> None:
    """Unpack an archive and keep what was executable executable."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            target = Path(archive.extract(info, folder))
            mode = info.external_attr >> 16
            if mode and target.is_file():
                target.chmod(mode & 0o777)


def untar(archive: Path, folder: Path) -> None:
    """Extract a tar archive; where Python can, nothing lands outside of the folder.

    Python 3.11 knows no filters before 3.11.4; what is unpacked here was packed here, by the user's programs.
    """
    with tarfile.open(archive) as content:
        if hasattr(tarfile, "data_filter"):
            content.extractall(folder, filter="data")
        else:
            content.extractall(folder)
