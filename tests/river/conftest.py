"""The offices that the river's tests run against, and the programs that they need."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest

from .authority import CertifiedOffice
from .office import Office
from .small_disk import NotMounted
from .small_disk import small_disk as mount_small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

_SHOWN = 6_000


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office for all tests that are content with accounts of their own."""
    shared = Office(tmp_path_factory.mktemp("river") / "office")
    shared.start()
    yield shared
    assert shared.stop() == 0
    assert "Traceback" not in shared.log, shared.log[-_SHOWN:]


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertifiedOffice]:
    """An office with every kind of TLS, and a certificate that an authority has signed."""
    with CertifiedOffice(tmp_path_factory.mktemp("certified") / "office").opened() as shared:
        yield shared


@pytest.fixture
def make_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """Makes an office for one test, which may do to it what it likes; not started yet."""
    made: list[Office] = []

    def make(folder: Path = tmp_path / "office", **settings: str) -> Office:
        made.append(Office(folder, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        assert "Traceback" not in one.log, one.log[-_SHOWN:]


@pytest.fixture
def own_office(make_office: Callable[..., Office]) -> Office:
    """A running office for one test alone."""
    own = make_office()
    own.start()
    return own


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Finds a program that a test needs; without it the test is skipped, but in CI it fails."""

    def find(name: str, package: str) -> str:
        found = shutil.which(name)
        if found is None:
            not_here(f"{name} is not installed (Debian's package: {package})")
        return str(found)

    return find


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB, empty."""
    if os.geteuid() != 0:
        not_here("a small file system can only be mounted by root")
    with ExitStack() as mounted:
        try:
            place = mounted.enter_context(mount_small_disk(tmp_path / "disk"))
        except NotMounted as error:
            not_here(f"no file system can be mounted here: {error}")
        yield place


def not_here(reason: str) -> NoReturn:
    """Something that a test needs is missing: skip it, but fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show an office's log beside the failure it had a part in."""
    report = yield
    if report.failed:
        for one in getattr(item, "funcargs", {}).values():
            if isinstance(one, Office):
                report.sections.append(("the office's log", one.log[-_SHOWN:]))
    return report
