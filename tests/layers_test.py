"""The law of the source: who may include whom, each library in one place, and what keeps files readable.

A failure names file and line. A new library gets a line in LIBRARIES, with the one file that includes it."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
LONGEST_FUNCTION = 70  # lines
LONGEST_LINE = {".cpp": 110, ".hpp": 110}  # columns, by suffix; clang-format has the same
LONGEST_OTHER_LINE = 140

# Room: what its files may include of ours. daemon/main stands above all, and nothing includes it.
MAY_INCLUDE = {
    "probes": {"probes"},
    "daemon": {"probes", "daemon"},
    "exporters": {"probes", "daemon", "exporters"},
    "daemon/main": {"probes", "daemon", "exporters", "daemon/main"},
    "daemon/front": {"daemon/front"},
    "deploy/app": {"deploy/app"},
}

# Start of the include: the file of keepwell, and the one of the app tier, that may have it. Why curl and OpenSSL have
# more than one of keepwell's: docs/decisions/0006-one-place-with-a-seam.md
LIBRARIES = {
    "ares.h": ["probes/dns_channel.cpp"],
    "boost/beast": ["exporters/conversation.cpp", "deploy/app/web.cpp"],
    "CLI/": ["daemon/main/main.cpp"],
    "crypt.h": ["exporters/door/bcrypt.cpp"],
    "curl/": ["probes/curl.cpp", "probes/curl_handle.cpp"],
    "hiredis/": ["probes/redis_reply.cpp", "deploy/app/redis.cpp"],
    "httplib.h": ["deploy/app/http.cpp"],
    "libpq-fe.h": ["probes/postgres.cpp", "deploy/app/postgres.cpp"],
    "mysql.h": ["deploy/app/mysql.cpp"],
    "mysqld_error.h": ["deploy/app/mysql.cpp"],
    "openssl/": ["probes/digest.cpp", "probes/tls.cpp", "probes/tls_details.cpp", "exporters/door/tls.cpp"],
    "prometheus/": ["deploy/app/metrics.cpp"],
    "re2/": ["probes/pattern.cpp"],
    "spdlog/": ["daemon/log.cpp"],
    "yaml-cpp/": ["daemon/document.cpp"],
}

# Text in and out: these may be in any .cpp, in no header.
ANY_SOURCE = ("fmt/", "boost/json")
# The one library whose types are in our headers.
ANYWHERE = ("boost/asio", "boost/system")


def files(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split() if (ROOT / path).is_file()]


SOURCES = files("*.cpp", "*.hpp")
SCRIPTS = files("*.py", "*.sh", "tests/run", "deploy/quickstart", "deploy/deb", ".ci/run")
OURS = [path for path in SOURCES if not path.startswith("tests/")]


def room_of(path):
    return max((room for room in MAY_INCLUDE if path.startswith(room + "/")), key=len, default=None)


def lines(path):
    return enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)


def includes(path):
    """(line number, what is included, whether in quotes)"""
    for number, line in lines(path):
        if found := re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line):
            yield number, found[2], found[1] == '"'


def is_standard(name):
    """The C++ library, C's and POSIX's headers and Linux' own; not what a package of Debian adds."""
    if "/" not in name and "." not in name:
        return True
    posix = ("arpa/", "asm/", "linux/", "net/", "netinet/", "sys/")
    known = {"dirent.h", "dlfcn.h", "fcntl.h", "grp.h", "ifaddrs.h", "malloc.h", "netdb.h", "poll.h", "pthread.h", "pwd.h",
             "sched.h", "signal.h", "spawn.h", "syslog.h", "termios.h", "unistd.h"}
    return name.startswith(posix) or name in known


def violations_of(check, paths):
    found = [f"{path}:{number}: {text}" for path in paths for number, text in check(path)]
    assert not found, "\n" + "\n".join(found)


def test_rooms_include_only_what_stands_below_them():
    def check(path):
        room = room_of(path)
        for number, name, quoted in includes(path):
            if quoted and room and room_of(name) not in MAY_INCLUDE[room]:
                yield number, f'{room} may not include "{name}"'

    violations_of(check, OURS)


def test_every_source_of_ours_is_in_a_room():
    assert [path for path in OURS if room_of(path) is None] == []


def test_our_headers_are_included_by_their_path_from_the_root():
    def check(path):
        for number, name, quoted in includes(path):
            if quoted and not (ROOT / name).is_file() and not (ROOT / path).with_name(name).is_file():
                yield number, f'"{name}" is not there (say it from the root: "probes/tcp.hpp")'
            if not quoted and (ROOT / name).is_file():
                yield number, f"<{name}> is ours: in quotes"

    violations_of(check, SOURCES)


def test_each_library_is_included_in_one_place():
    def check(path):
        for number, name, quoted in includes(path):
            if quoted or is_standard(name) or name.startswith(ANYWHERE):
                continue
            if name.startswith(ANY_SOURCE):
                if path.endswith(".hpp"):
                    yield number, f"<{name}> in a header"
                continue
            places = [place for library, place in LIBRARIES.items() if name.startswith(library)]
            if not places:
                yield number, f"<{name}> is of no library that is known here"
            elif path not in places[0]:
                yield number, f"<{name}> belongs in {' and '.join(places[0])} only"

    violations_of(check, OURS)


def test_every_source_is_in_its_cmake_lists():
    def check(path):
        directory = (ROOT / path).parent
        while not (directory / "CMakeLists.txt").is_file():
            directory = directory.parent
        name = str((ROOT / path).relative_to(directory).with_suffix(""))  # also as a function's argument
        name = name.removesuffix("_fuzz")
        text = (directory / "CMakeLists.txt").read_text(encoding="utf-8")
        if not re.search(rf"(?<![\w./-]){re.escape(name)}(_fuzz)?(\.cpp)?(?![\w.-])", text):
            yield 1, f"is not in {directory.relative_to(ROOT)}/CMakeLists.txt"

    violations_of(check, [path for path in SOURCES if path.endswith(".cpp")])


def test_headers_are_included_once():
    def check(path):
        if "#pragma once" not in (ROOT / path).read_text(encoding="utf-8"):
            yield 1, "no #pragma once"

    violations_of(check, [path for path in SOURCES if path.endswith(".hpp")])


def functions(path):
    """(first line, length) of what has its braces on lines of their own, but for a function that is a table."""
    start, indent = None, ""
    for number, line in lines(path):
        if start is not None and "static constexpr std::array" in line:
            start = None
        if found := re.match(r"^(\s{0,8})\{$", line):
            if start is None:
                start, indent = number, found[1]
        elif start is not None and re.match(rf"^{indent}\}}[;,)]*(\s*//.*)?$", line):
            yield start, number - start + 1
            start = None


def test_functions_fit_a_screen():
    def check(path):
        for number, length in functions(path):
            if length > LONGEST_FUNCTION:
                yield number, f"a function of {length} lines (at most {LONGEST_FUNCTION})"

    violations_of(check, SOURCES)


def test_lines_are_not_too_long():
    def check(path):
        longest = LONGEST_LINE.get(pathlib.Path(path).suffix, LONGEST_OTHER_LINE)
        for number, line in lines(path):
            if len(line) > longest and "://" not in line and 'R"' not in line:  # what cannot be broken
                yield number, f"{len(line)} columns (at most {longest})"

    violations_of(check, SOURCES + SCRIPTS + files("*.cmake", "CMakeLists.txt"))


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
def test_nothing_is_put_off(word):
    def check(path):
        for number, line in lines(path):
            if re.search(rf"\b{word}\b", line):
                yield number, f"{word}: do it now, or leave the word out"

    violations_of(check, SOURCES + SCRIPTS + files("*.txt", "*.md", "*.yaml"))


def test_shell_scripts_can_be_read_by_bash():
    for path in SCRIPTS:
        if "bash" in (ROOT / path).read_text(encoding="utf-8").split("\n", 1)[0]:
            done = subprocess.run(["bash", "-n", ROOT / path], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_the_law_itself_can_fail():
    assert room_of("daemon/main/main.cpp") == "daemon/main" and room_of("daemon/log.cpp") == "daemon"
    assert not is_standard("curl/curl.h") and not is_standard("zlib.h") and is_standard("sys/socket.h")
    body = "void f()\n{\n" + "    g();\n" * LONGEST_FUNCTION + "}\n"
    with pytest.raises(AssertionError):
        violations_of(lambda path: [(1, "wrong")], ["x"])
    assert re.match(r"^(\s{0,8})\{$", body.splitlines()[1])


def test_tests_are_written_for_both_catch2s():
    """They have different headers, Approx in different namespaces, and 3's Contains asks for a member of a range."""
    def check(path):
        for number, line in lines(path):
            if re.search(r"<catch2/|Matchers::Contains\(|\bApprox\(", line):
                yield number, "tests/catch.hpp has the header; ContainsSubstring and WithinAbs are in both"

    violations_of(check, [path for path in files("tests/**/*_test.cpp") if "bench" not in path])
