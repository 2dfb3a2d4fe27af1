"""The wheel is all that a server needs: code, migrations, mappings and schemas, and nothing of the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.xdist_group("wheel")  # built once, by one worker


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index"]
    build += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(unpacked: Path, code: str, *arguments: str) -> str:
    """What a program prints that imports the unpacked wheel, started far from the repository."""
    environment = {"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin", "HOME": str(unpacked.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=unpacked.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["mappings", "schemas"])
def test_wheel_carries_every_file_of_the_data_folders_as_it_is(unpacked: Path, kind: str) -> None:
    carried = {
        path.relative_to(unpacked / "gateway" / "_data" / kind): path.read_bytes()
        for path in (unpacked / "gateway" / "_data" / kind).rglob("*")
        if path.is_file()
    }
    ours = {
        path.relative_to(ROOT / kind): path.read_bytes()
        for path in (ROOT / kind).rglob("*")
        if path.is_file()
    }
    assert carried == ours


def test_wheel_holds_the_package_and_nothing_beside_it(unpacked: Path) -> None:
    tops = {path.name.split("-")[0] for path in unpacked.iterdir()}
    assert tops == {"gateway", "lms_gateway"}
    strange = [path for path in unpacked.rglob("*") if path.suffix in (".pyc", ".db", ".key", ".md")]
    assert not [path for path in strange if "__pycache__" not in path.parts]


def test_installed_gateway_finds_its_own_mappings_and_schemas(unpacked: Path) -> None:
    code = """if True:
        import gateway
        from gateway.mapping.load import load_mapping
        from gateway.mapping.schema import data_folder
        print(gateway.__file__)
        for file in sorted(data_folder("mappings").glob("*.yaml")):
            print(file)
            print(load_mapping(file).mapping.name)
        print(data_folder("schemas"))
        """
    lines = run(unpacked, code).splitlines()
    assert all(line.startswith(str(unpacked)) for line in lines if "/" in line), lines
    shipped = sorted(file.stem for file in (ROOT / "mappings").glob("*.yaml"))
    assert [line for line in lines if "/" not in line] == shipped and len(shipped) >= 6


def test_installed_gateway_makes_its_tables(unpacked: Path) -> None:
    code = """if True:
        import sqlite3, sys
        from gateway.store.database import Database
        import asyncio
        database = Database.open(f"sqlite:///{sys.argv[1]}")
        asyncio.run(database.close())
        rows = sqlite3.connect(sys.argv[1]).execute("select name from sqlite_master where type = 'table'")
        print(*sorted(name for name, in rows))
        """
    tables = run(unpacked, code, str(unpacked.parent / "made.db")).split()
    assert {"alembic_version", "run", "step", "enrolment"} <= set(tables)


def test_installed_command_shows_its_help(wheel: Path, unpacked: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        target = archive.read(name).decode().split("lms-gateway = ")[1].strip()
    module, function = target.split(":")
    code = (
        f"import sys; sys.argv = ['lms-gateway', '--help']; from {module} import {function} as main; main()"
    )
    shown = run(unpacked, code)
    assert "serve" in shown and "demo" in shown
