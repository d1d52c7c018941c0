"""What reaches a machine: `cmake --install`, the two Debian packages, the unit. The packages are made of the build under
test; what they hold does not depend on how it was optimised."""

import pathlib
import re
import subprocess

import pytest
import servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ["libc6", "libcurl4", "libpq5", "libssl3", "libstdc++6", "libyaml-cpp", "libc-ares2", "libre2"]


def run(*argv, **more):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=100, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_below(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def assert_works(root, prefix, config):
    """The programs below root know each other, and the shipped configuration."""
    keepwell = root / prefix / "bin" / "keepwell"
    assert re.match(r"keepwell \d+\.\d+\.\d+", run(keepwell, "--version"))
    run(keepwell, "check", config)


@pytest.fixture(name="packages", scope="module")
def fixture_packages(build, tmp_path_factory):
    """name → the package's file, made by cpack in a directory of its own."""
    directory = tmp_path_factory.mktemp("packages")
    run("cpack", "--config", build / "CPackConfig.cmake", "-B", directory, cwd=build)
    made = {path.name.split("_")[0]: path for path in directory.glob("*.deb")}
    assert sorted(made) == ["keepwell", "keepwell-app"]
    return made


def test_an_installation_by_hand_works_below_any_prefix(build, tmp_path):
    run("cmake", "--install", build, "--prefix", tmp_path / "here", "--component", "keepwell")
    found = files_below(tmp_path / "here")
    assert {"bin/keepwell", "libexec/keepwell/keepwelld", "lib/systemd/system/keepwell.service"} <= found
    assert not [each for each in found if each.startswith("etc/")]
    assert_works(tmp_path, "here", tmp_path / "here/share/doc/keepwell/examples/keepwell.yaml")


def test_the_package_holds_the_programs_the_unit_the_documents_and_a_configuration(packages, tmp_path):
    run("dpkg-deb", "-x", packages["keepwell"], tmp_path)
    found = files_below(tmp_path)
    assert {"usr/bin/keepwell", "usr/libexec/keepwell/keepwelld", "usr/lib/systemd/system/keepwell.service",
            "etc/keepwell/keepwell.yaml", "usr/share/doc/keepwell/reference.md", "usr/share/doc/keepwell/copyright",
            "usr/share/keepwell/dashboards/keepwell-stack.json", "usr/share/keepwell/dashboards/rules/alerts.yml"} <= found
    assert not [each for each in found if "decisions" in each or each.startswith("usr/include")]
    assert_works(tmp_path, "usr", tmp_path / "etc/keepwell/keepwell.yaml")
    listed = run("dpkg-deb", "-c", packages["keepwell"]).splitlines()
    assert all(line.split()[1] == "root/root" and line[8] != "w" for line in listed), listed


def test_the_package_says_what_it_needs_and_does(packages, tmp_path):
    def field(name, package="keepwell"):
        return run("dpkg-deb", "-f", packages[package], name).strip()

    depends = re.split(r"[, ]+", re.sub(r" \([^)]*\)", "", field("Depends")))
    for library in LIBRARIES:
        assert any(each.startswith(library) for each in depends), f"{library} is not in {depends}"
    assert not [each for each in depends if each.endswith("-dev") or "mariadb" in each]
    assert field("Architecture") == run("dpkg", "--print-architecture").strip()
    assert field("Description").startswith("watches services")
    assert field("Description", "keepwell-app").startswith("a small web stack")
    run("dpkg-deb", "-e", packages["keepwell"], tmp_path)
    assert (tmp_path / "conffiles").read_text(encoding="utf-8") == "/etc/keepwell/keepwell.yaml\n"
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", tmp_path / script)


def test_systemd_understands_the_unit(packages, tmp_path):
    """Unknown keys are only warnings to systemd, so it must say nothing at all of the unit."""
    run("dpkg-deb", "-x", packages["keepwell"], tmp_path)
    unit = tmp_path / "keepwell.service"
    text = (tmp_path / "usr/lib/systemd/system/keepwell.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("ExecStart=keepwell", f"ExecStart={tmp_path}/usr/bin/keepwell"), encoding="utf-8")
    done = subprocess.run([servers.need("systemd-analyze", "systemd"), "verify", "--man=no", unit], capture_output=True,
                          text=True, timeout=60, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "keepwell" in line]
    assert said == [] and done.returncode == 0, done.stdout + done.stderr
