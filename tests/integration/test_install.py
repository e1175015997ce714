"""`meson install`: what lands where, and the unit and the configuration that land there."""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

from ringcast import build_dir
from ringcast.server import program

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCORE_MAX = 1.2  # of `systemd-analyze security`, 0 (safe) to 10; hazards.md 4.2
COMMENTED_OUT = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)


def run(*command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGCAST_")}
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, check=False)


def install(destination):
    done = run("meson", "install", "-C", build_dir(), "--no-rebuild", "--destdir", destination)
    assert done.returncode == 0, done.stdout + done.stderr


class Tree:
    """An installation below a directory."""

    def __init__(self, top):
        asked = run("meson", "introspect", "--buildoptions", build_dir())
        options = {option["name"]: option["value"] for option in json.loads(asked.stdout)}
        self.top, self.prefix = top, options["prefix"]
        self.bin, self.etc, self.share = (os.path.join(self.prefix, options[name])
                                          for name in ("bindir", "sysconfdir", "datadir"))

    def path(self, *parts):
        return pathlib.Path(str(self.top) + os.path.join(*parts))

    @property
    def config(self):
        return self.path(self.etc, "ringcast/ringcast.toml")

    @property
    def unit(self):
        return self.path(self.prefix, "lib/systemd/system/ringcast.service")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp("installed")
    install(top)
    return Tree(top)


def test_everything_is_in_its_place_with_its_mode(tree):
    programs = [name for name in ("ringcastd", "ringcastctl", "ringcast-echo", "ringcast-load") if program(name).exists()]
    files = {tree.path(tree.bin, name): 0o755 for name in programs}
    files |= {file: 0o644 for file in (
        tree.config, tree.unit, tree.path(tree.prefix, "lib/sysusers.d/ringcast.conf"),
        *(tree.path(tree.share, "doc/ringcast", name) for name in
          ("operations.md", "configuration.md", "terminators.md", "terminators/haproxy.cfg", "terminators/nginx.conf", "terminators/Caddyfile",
           "examples/ringcast.toml", "examples/sysctl.conf", "LICENSE")))}
    for file, mode in files.items():
        assert stat.S_IMODE(file.stat().st_mode) == mode, file
    installed = {file for file in tree.top.rglob("*") if file.is_file()}
    documents = {file for file in installed if file.is_relative_to(tree.path(tree.share, "doc/ringcast"))}
    assert installed - documents == {file for file in files if file not in documents}, "nothing else"
    assert not [file for file in documents if file.name == "meson.build"]


def test_the_installed_server_accepts_the_installed_configuration(tree):
    for text in (tree.config.read_text(), COMMENTED_OUT.sub("", tree.config.read_text())):
        file = tree.top / "checked.toml"
        file.write_text(text)
        done = run(tree.path(tree.bin, "ringcastd"), "--check", "--config", file)
        file.unlink()
        assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_each_setting_of_the_configuration_is_commented_out(tree):
    lines = tree.config.read_text().splitlines()
    assert len([line for line in lines if COMMENTED_OUT.match(line)]) > 30
    assert all(not line or line[0] in "#[" for line in lines)


def test_a_configuration_that_is_there_is_kept(tree, tmp_path):
    there = Tree(tmp_path).config
    there.parent.mkdir(parents=True)
    there.write_text("workers = 1\n")
    install(tmp_path)
    assert there.read_text() == "workers = 1\n"


# --- the unit

def directives(unit, name):
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_the_unit_names_what_is_installed(tree):
    for name in ("ExecStartPre", "ExecStart", "ExecReload"):
        words = directives(tree.unit, name)[0].split()
        assert words[0] == os.path.join(tree.bin, "ringcastd")
        assert words[-2:] == ["--config", os.path.join(tree.etc, "ringcast/ringcast.toml")]
    documentation = directives(tree.unit, "Documentation")[0]
    assert tree.path(documentation.removeprefix("file://")).exists()


def test_systemd_understands_the_unit(tree, tmp_path):
    # Nothing is at the unit's own paths on this machine, so that a copy names those below the tree.
    unit = tmp_path / "ringcast.service"
    unit.write_text(tree.unit.read_text().replace(tree.bin + "/", str(tree.path(tree.bin)) + "/"))
    done = run("systemd-analyze", "verify", "--man=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_exposure_score_does_not_rise(tree):
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", tree.unit)
    score = re.search(r"Overall exposure level for ringcast\.service: (\d+\.\d)", done.stdout)
    assert score and float(score.group(1)) <= SCORE_MAX, done.stdout + done.stderr


def test_sysusers_makes_the_user_that_the_unit_names(tree, tmp_path):
    (tmp_path / "etc").mkdir()
    file = tree.path(tree.prefix, "lib/sysusers.d/ringcast.conf")
    shutil.copy(file, tmp_path)
    done = run("systemd-sysusers", f"--root={tmp_path}", tmp_path / file.name)
    if "Failed to" in done.stderr and os.getuid() != 0:
        pytest.skip("only root makes users, even below a directory")
    assert done.returncode == 0, done.stderr
    entry = (tmp_path / "etc/passwd").read_text().split(":")
    assert [entry[0], *entry[5:]] == [*directives(tree.unit, "User"), "/var/lib/ringcast", "/usr/sbin/nologin\n"]


def test_the_kernel_has_each_setting_of_the_sysctl_example(tree):
    lines = tree.path(tree.share, "doc/ringcast/examples/sysctl.conf").read_text().splitlines()
    keys = [line.lstrip("#").split(" = ")[0] for line in lines if re.match(r"#?[a-z]+\.", line)]
    assert len(keys) >= 4
    for key in keys:
        assert pathlib.Path("/proc/sys", key.replace(".", "/")).exists(), key
