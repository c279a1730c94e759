"""container init: the parent process of one container; a script, run by container.py.

It reads one line of JSON from its standard input: the program, its arguments, environment and working
folder, and perhaps a layout of the file system. It answers with one line of JSON, when the program runs or
cannot run. Each further line on its standard input is the number of a signal for the program. When its
standard input closes, which happens also if the rehearsal dies, it kills the program and removes its folders.
Whatever the program leaves behind is killed when it ends, and its exit status becomes that of this script.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
_MS_BIND, _MS_REC, _MS_UNBINDABLE, _MS_PRIVATE = 0x1000, 0x4000, 0x20000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ON_LINUX = sys.platform == "linux"


def main() -> int:
    """Run the program to its end and return its exit status as Docker gives it."""
    spec = json.loads(_read_line())
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        if spec["layout"] is not None:
            _enter_namespaces()
        elif _ON_LINUX:
            _libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        child, problem = _start(spec)
    except OSError as error:
        child, problem = 0, f"no namespaces: {error}"
    print(json.dumps({"pid": child, "problem": problem}), flush=True)
    if problem:
        return 127
    status, is_orphaned = _supervise(child, ended)
    _kill_the_rest(child)
    for folder in spec["folders"] if is_orphaned else []:
        shutil.rmtree(folder, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _read_line() -> str:
    text = b""
    while not text.endswith(b"\n"):
        if not (piece := os.read(0, 1 << 16)):
            sys.exit(1)  # the rehearsal died
        text += piece
    return text.decode()


def _start(spec: dict[str, Any]) -> tuple[int, str]:
    report, to_report = os.pipe()  # closed by a successful exec, so an empty report is good news
    child = os.fork()
    if child == 0:
        _become(spec, to_report)
    os.close(to_report)
    with open(report, "rb") as stream:  # noqa: PTH123 - a descriptor has no path
        return child, stream.read().decode()


def _become(spec: dict[str, Any], to_report: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        # Python ignores SIGPIPE, and what is ignored stays so in the program
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if _ON_LINUX:
            _libc("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if spec["layout"] is not None:
            _lay_out(spec["layout"], Path(spec["file_system"]))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.chdir(spec["workdir"])
        os.execve(spec["program"], spec["arguments"], spec["environment"])
    except BaseException as error:
        os.write(to_report, (getattr(error, "strerror", None) or repr(error)).encode())
    os._exit(127)


def _supervise(child: int, ended: int) -> tuple[int, bool]:
    sources = [0, ended]
    while True:
        ready = select.select(sources, [], [])[0]
        if 0 in ready:
            lines = os.read(0, 1 << 10).split()
            for line in lines or [b"%d" % signal.SIGKILL]:
                os.kill(child, int(line))
            if not lines:
                sources.remove(0)
        if ended in ready:
            os.read(ended, 1 << 10)
            # orphans of the program come to this process, in no order
            with contextlib.suppress(ChildProcessError):
                while found := os.waitpid(-1, os.WNOHANG):
                    if found[0] == child:
                        return found[1], 0 not in sources
                    if found[0] == 0:
                        break


def _kill_the_rest(child: int) -> None:
    # inside a process namespace the kernel has done it; on macOS only the program's own group is found
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    while orphans := _children() if _ON_LINUX else []:
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        for orphan in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def _children() -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # pid (name) state parent ...; the name may hold anything
                parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                found += [int(folder.name)] if int(parent) == os.getpid() else []
    return found


def _enter_namespaces() -> None:
    """Let the next process be the first of its own; root does it as root, others in a user namespace."""
    user, group = os.geteuid(), os.getegid()
    try:
        _libc("unshare", _CLONE_NEWPID)
    except OSError:
        _libc("unshare", _CLONE_NEWUSER | _CLONE_NEWPID)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _lay_out(layout: dict[str, Any], new: Path) -> None:
    """Show this machine's file system with the layout's own folders in it, at their real paths.

    The mounts are the program's alone: neither this machine nor the parent process has them.
    """
    _libc("unshare", _CLONE_NEWNS)
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE)  # before the first one: nothing may get out
    _mount("tmpfs", new, "tmpfs", 0, "mode=755")
    _mount(None, new, None, _MS_UNBINDABLE)  # or it would hold itself
    _fill(layout, Path("/"), new)
    with contextlib.suppress(OSError):  # the kernel refuses where /proc is masked; the outer one will do
        _mount("proc", new / "proc", "proc", 0)
    os.chroot(new)


def _fill(layout: dict[str, Any], host: Path, new: Path) -> None:
    for entry in sorted(host.iterdir()) if host.is_dir() else []:
        if entry.name not in layout:
            # what cannot be shown, such as a stale network mount, the program does not see
            with contextlib.suppress(OSError):
                _show(entry, new / entry.name)
    for name, what in layout.items():
        if isinstance(what, str):
            _show(Path(what), new / name)
        else:
            (new / name).mkdir()
            _fill(what, host / name, new / name)


def _show(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir()
    else:
        target.touch()
    _mount(str(source), target, None, _MS_BIND | _MS_REC)


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    texts = (source, str(target), kind)
    encoded = [None if text is None else os.fsencode(text) for text in texts]
    _libc("mount", *encoded, ctypes.c_ulong(flags), options.encode() or None)


def _libc(function: str, *arguments: Any) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


if __name__ == "__main__":
    sys.exit(main())
