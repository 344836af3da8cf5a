#!/usr/bin/env python3
"""What -DPLENUM_OPUS=... takes, and what it says to what it does not take: cmake/opus.cmake in a project of its own.

The libraries are stubs that say a version and a size, so that each kind is there: old ones, ones with neural networks, ones
that do not link.

usage: opus_test.py SOURCE_DIR CMAKE GENERATOR C_COMPILER
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE, CMAKE, GENERATOR, COMPILER = pathlib.Path(sys.argv[1]), *sys.argv[2:5]

HEADER = """
#define OPUS_OK 0
#define OPUS_APPLICATION_RESTRICTED_LOWDELAY 2051
#define OPUS_SET_PREDICTION_DISABLED(x) 4046, x
typedef struct OpusEncoder OpusEncoder;
OpusEncoder *opus_encoder_create(int hz, int channels, int application, int *error);
int opus_encode_float(OpusEncoder *, const float *, int, unsigned char *, int);
int opus_encoder_ctl(OpusEncoder *, int, ...);
void opus_encoder_destroy(OpusEncoder *);
int opus_decoder_get_size(int channels);
const char *opus_get_version_string(void);
"""

STUB = """
#include "opus.h"
OpusEncoder *opus_encoder_create(int hz, int channels, int application, int *error) { *error = 0; return 0; }
int opus_encode_float(OpusEncoder *e, const float *pcm, int samples, unsigned char *out, int size) { return FRAME_BYTES; }
int opus_encoder_ctl(OpusEncoder *e, int request, ...) { return 0; }
void opus_encoder_destroy(OpusEncoder *e) { }
int opus_decoder_get_size(int channels) { return DECODER_KB * 1024; }
const char *opus_get_version_string(void) { return VERSION; }
"""

PROJECT = f"""
cmake_minimum_required(VERSION 3.25)
project(opus_test LANGUAGES C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${{CMAKE_BINARY_DIR}})
find_package(PkgConfig REQUIRED)
include({SOURCE}/cmake/opus.cmake)
file(WRITE ${{CMAKE_BINARY_DIR}}/main.c "#include <opus/opus.h>\\n#include <stdio.h>\\nint main(void) {{ puts(opus_get_version_string()); return 0; }}\\n")
add_executable(main ${{CMAKE_BINARY_DIR}}/main.c)
target_link_libraries(main PRIVATE plenum_opus)
"""


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def make(folder, headers="include/opus", library="lib/libopus.a", version="libopus 1.5.2", kb=18, frame=20, stub=STUB):
    """A libopus in folder; library None leaves it out."""
    (folder / headers).mkdir(parents=True)
    (folder / headers / "opus.h").write_text(HEADER)
    if library is not None:
        build(folder, folder / headers, library, version, kb, frame, stub)
    return folder


def build(folder, headers, library, version, kb=18, frame=20, stub=STUB):
    (folder / library).parent.mkdir(parents=True, exist_ok=True)
    (folder / "stub.c").write_text(stub)
    flags = ["-I", headers, f'-DVERSION="{version}"', f"-DDECODER_KB={kb}", f"-DFRAME_BYTES={frame}", "-fPIC"]
    if library.endswith(".so"):
        done = run(COMPILER, *flags, "-shared", "-Wl,-soname,libopus.so", "-o", folder / library, folder / "stub.c")
    else:
        done = run(COMPILER, *flags, "-c", "-o", folder / "stub.o", folder / "stub.c")
        done = done if done.returncode != 0 else run("ar", "rcs", folder / library, folder / "stub.o")
    assert done.returncode == 0, done.stderr


class Project:
    def __init__(self, folder):
        self.source, self.build = folder / "project", folder / "build"
        self.source.mkdir()
        (self.source / "CMakeLists.txt").write_text(PROJECT)

    def configure(self, path):
        done = run(CMAKE, "-G", GENERATOR, "-S", self.source, "-B", self.build, f"-DCMAKE_C_COMPILER={COMPILER}", f"-DPLENUM_OPUS={path}")
        # CMake wraps what it says.
        return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)

    def refuses(self, path, words):
        status, said = self.configure(path)
        assert status != 0 and f"PLENUM_OPUS is {path}: " in said and words in said, f"{path}: not \"{words}\" but: {said}"
        assert "docs/opus.md" in said, said

    def takes(self, path, version, words=None):
        status, said = self.configure(path)
        assert status == 0 and f"libopus: {version} " in said, f"{path}: {said}"
        assert (words in said) if words else ("Warning" not in said), f"{path}: not \"{words}\" but: {said}"
        built = run(CMAKE, "--build", self.build)
        assert built.returncode == 0, built.stdout + built.stderr
        ran = run(self.build / "main").stdout.strip()
        assert ran == version, f"{path}: built with {version}, runs with {ran}"


def test_refusals(project, folder):
    """One sentence says what is the matter, and none of them is a linker's."""
    project.refuses("opus-1.5.2", "it has to be the word system or an absolute path")
    project.refuses(folder / "nowhere", "there is no such folder")
    (folder / "empty").mkdir()
    project.refuses(folder / "empty", "neither include/opus/opus.h (of a prefix) nor include/opus.h (of a source tree)")
    project.refuses(make(folder / "not-built", library=None), "has it been built?")
    project.refuses(make(folder / "source-not-built", headers="include", library=None), "has it been built?")
    project.refuses(make(folder / "old", version="libopus 1.3"), "libopus 1.3 is too old. 1.3.1 is the oldest")
    project.refuses(make(folder / "beta", version="libopus 1.3-rc2-20-gabcdef"), "is too old")
    project.refuses(make(folder / "fixed", version="libopus 1.5.2-fixed"), "computes in fixed point")
    project.refuses(make(folder / "half", stub=STUB.split("int opus_decoder_get_size")[0]), "a program with it cannot be built")
    project.refuses(make(folder / "broken", frame=-3), "a program with it cannot encode a frame")


def test_layouts(project, folder):
    """Each layout is found, and the program then runs with that very library."""
    project.takes(make(folder / "static", version="libopus 1.6.1"), "libopus 1.6.1")
    both = make(folder / "both", version="libopus 1.5.2")
    build(both, both / "include/opus", "lib/libopus.so", "libopus 1.5.9")
    project.takes(both, "libopus 1.5.2")
    project.takes(make(folder / "shared", library="lib/libopus.so", version="libopus 1.4"), "libopus 1.4")
    project.takes(make(folder / "autotools", headers="include", library=".libs/libopus.a"), "libopus 1.5.2")
    project.takes(make(folder / "git", headers="include", library="build/libopus.a", version="libopus v1.5.2-84-gdc6bd59"),
                  "libopus v1.5.2-84-gdc6bd59")
    for file, line in (("CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL="), ("Makefile", "abs_top_srcdir = ")):
        sources, tree = make(folder / f"of-{file}", headers="include", library=None), folder / f"tree-{file}"
        build(tree, sources / "include", "libopus.a", "libopus 1.5.1")
        (tree / file).write_text(f"# made\n{line}{sources}\n")
        project.takes(tree, "libopus 1.5.1")


def test_warnings(project, folder):
    project.takes(make(folder / "deep", kb=192), "libopus 1.5.2", "has deep PLC: a decoder takes 192 KB")
    project.takes(make(folder / "nameless", version="libopus unknown"), "libopus unknown", "does not tell its version")


def test_system(project, folder):
    """Back to Debian's, in the same tree."""
    version = run("pkg-config", "--modversion", "opus").stdout.strip()
    project.takes("system", f"libopus {version}")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="plenum-opus-"))
    try:
        project = Project(folder)
        for test in (test_refusals, test_layouts, test_warnings, test_system):
            test(project, folder)
            print(f"{test.__name__}: ok")
    finally:
        shutil.rmtree(folder)


main()
