"""How the users of each language install a package, and make a first call with it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.tools import PATH, ROOT

_CLIENTS: Final = ROOT / "clients"


class InstallError(Exception):
    """A command failed. Its text is what it said."""


@dataclass(frozen=True)
class Place:
    """An empty folder outside of the repository, what was built, and a server."""

    folder: Path
    dist: Path
    version: str
    address: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, **environment: str) -> str:
        """Run a command here; what it wrote.

        Raises:
            InstallError: it failed.
        """
        ran = subprocess.run(  # its arguments are ours
            [str(word) for word in command],
            cwd=self.folder,
            env={**self.environment, "PATH": PATH, "IMAGEGEN_ADDRESS": self.address, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise InstallError(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{ran.stdout[-4000:]}")
        return ran.stdout

    def write(self, name: str, text: str) -> None:
        """Write a file here."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def copy(self, source: Path, name: str) -> None:
        """Copy a sample program to here."""
        self.write(name, source.read_text(encoding="utf-8"))

    def one(self, pattern: str) -> Path:
        """Find the one file of this form in what was built.

        Raises:
            InstallError: there is none, or there are several.
        """
        found = sorted(self.dist.glob(pattern))
        if len(found) != 1:
            raise InstallError(f"dist has {len(found)} files of the form {pattern}")
        return found[0]


def _python(place: Place, package: Path) -> None:
    place.run(ROOT / ".tools" / "uv" / "bin" / "uv", "venv", "--quiet", "venv")
    place.run(
        ROOT / ".tools" / "uv" / "bin" / "uv", "pip", "install", "--quiet", "--python", "venv/bin/python", package
    )
    place.copy(_CLIENTS / "python" / "examples" / "generate.py", "generate.py")
    place.run("venv/bin/python", "generate.py")


def python_wheel(place: Place) -> None:
    """A wheel, into an environment of its own."""
    _python(place, place.one("imagegen_client-*.whl"))


def python_sdist(place: Place) -> None:
    """The same from its sources."""
    _python(place, place.one("imagegen_client-*.tar.gz"))


def go(place: Place) -> None:
    """The module through a module proxy, which is a folder; everything else comes as ever."""
    proxies = place.run("go", "env", "GOPROXY").strip()
    settings = {
        "GOPROXY": f"file://{place.dist}/go,{proxies}",
        "GONOSUMDB": "github.com/imagegen/*",
        "GOMODCACHE": str(place.folder / "modules"),
        "GOFLAGS": "-modcacherw",
    }
    place.copy(_CLIENTS / "go" / "examples" / "generate" / "main.go", "user/main.go")
    place.run("go", "-C", "user", "mod", "init", "example.com/user", **settings)
    place.run("go", "-C", "user", "get", f"github.com/imagegen/imagegen/clients/go@v{place.version}", **settings)
    place.run("go", "-C", "user", "build", "-o", "../program", ".", **settings)
    place.run("./program")


def typescript(place: Place) -> None:
    """The tarball by npm; the program is compiled against its types, and run."""
    place.write("package.json", '{"name": "user", "private": true, "type": "module"}')
    quiet = ("--no-audit", "--no-fund", "--silent")
    place.run("npm", "install", *quiet, place.one("imagegen-client-*.tgz"), "typescript@7.0.2", "@types/node@20")
    place.copy(_CLIENTS / "typescript" / "examples" / "generate.ts", "generate.ts")
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom,esnext.disposable")
    place.run("node_modules/.bin/tsc", *options, "--types", "node", "generate.ts")
    place.run("node", "generate.js")


def java(place: Place) -> None:
    """The jar by Maven, out of a repository which is a folder."""
    place.write("pom.xml", _POM.format(repository=f"file://{place.dist}/maven", version=place.version))
    place.copy(_CLIENTS / "java" / "examples" / "Generate.java", "src/main/java/Generate.java")
    local = Path(place.run("mvn", "-q", "help:evaluate", "-Dexpression=settings.localRepository", "-DforceStdout"))
    # What an earlier run left there would be taken instead.
    kept = local / "io" / "github" / "imagegen" / "imagegen-client"
    shutil.rmtree(kept, ignore_errors=True)
    try:
        place.run("mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath")
        classpath = (place.folder / "classpath").read_text(encoding="utf-8").strip()
        place.run("java", "-cp", f"target/classes:{classpath}", "Generate")
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def rust(place: Place) -> None:
    """The crate, unpacked beside a program that depends on it; what it depends on is compiled where the client was."""
    place.run("tar", "-xzf", place.one("imagegen-client-*.crate"))
    place.copy(_CLIENTS / "rust" / "examples" / "generate.rs", "user/src/main.rs")
    place.write("user/Cargo.toml", _CARGO.format(version=place.version))
    shutil.copy(_CLIENTS / "rust" / "Cargo.lock", place.folder / "user")
    target = os.environ.get("CARGO_TARGET_DIR", str(_CLIENTS / "rust" / "target"))
    place.run("cargo", "run", "--quiet", "--manifest-path", "user/Cargo.toml", CARGO_TARGET_DIR=target)


def cpp(place: Place) -> None:
    """The install tree, found by CMake."""
    place.run("tar", "-xzf", place.one("imagegen-cpp-*-linux-*.tar.gz"))
    place.copy(_CLIENTS / "cpp" / "examples" / "generate.cc", "user/generate.cc")
    place.write("user/CMakeLists.txt", _CMAKE)
    (prefix,) = place.folder.glob("imagegen-cpp-*")
    place.run("cmake", "-S", "user", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    place.run("cmake", "--build", "build")
    place.run("build/user")


def descriptor_set(place: Place) -> None:
    """The API from the file, for grpcurl and `buf curl`, as the page on releases has it."""
    from tests.support.docs_lines import SHOWN_ADDRESS, blocks  # noqa: PLC0415 - only here

    (lines,) = [block for block in blocks("docs/releasing.md") if "-protoset" in block]
    shutil.copy(place.one("imagegen-v1.binpb"), place.folder)
    told = place.run("bash", "-ec", lines.replace(SHOWN_ADDRESS, place.address))
    if '"sha256"' not in told or '"sandbox/scene"' not in told:
        raise InstallError(f"no picture and no model in:\n{told}")


@dataclass(frozen=True)
class Package:
    """Something that is published, the folder in clients/ whose tools it takes, the picture that its program saves."""

    name: str
    install: Callable[[Place], None]
    language: str = ""
    picture: str = "harbour.png"


PACKAGES: Final[Sequence[Package]] = (
    Package("python wheel", python_wheel),
    Package("python sdist", python_sdist),
    Package("go", go, "go"),
    Package("typescript", typescript, "typescript"),
    Package("java", java, "java"),
    Package("rust", rust, "rust"),
    Package("cpp", cpp, "cpp"),
    Package("descriptor set", descriptor_set, picture=""),
)

_POM: Final = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId>
  <artifactId>user</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <repositories>
    <repository><id>built</id><url>{repository}</url></repository>
  </repositories>
  <dependencies>
    <dependency>
      <groupId>io.github.imagegen</groupId>
      <artifactId>imagegen-client</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""
_CARGO: Final = """\
[package]
name = "user"
version = "0.0.0"
edition = "2021"

[dependencies]
imagegen-client = {{ path = "../imagegen-client-{version}" }}
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}
"""
_CMAKE: Final = """\
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
find_package(imagegen CONFIG REQUIRED)
add_executable(user generate.cc)
target_link_libraries(user PRIVATE imagegen::client)
"""
