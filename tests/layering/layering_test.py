#!/usr/bin/env python3
"""The house's walls: which folder may include which, and what the pure archives may call.

A pure object (media/, the core of sfu/ and of signaling/) takes time, randomness and memory as arguments.  So it may
need from outside only what computes: an undefined symbol that is not on the list below is a socket, a clock, a
thread, a lock or the heap on its way in.  Objects that wrap a library have a list of their own.  And no pure object has
a mutable global.

usage: layering_test.py SOURCE_DIR ARCHIVE...
"""
import pathlib
import re
import subprocess
import sys

# Folder of the including file -> what its quoted includes may start with.
INCLUDES = {
    "media": r"media/",
    "sfu": r"(media|sfu)/",
    "signaling": r"(media|signaling)/|sfu/(sfu|types|conference|placement|histogram|forecast|reserve)\.h$",
    "tests": r"(media|sfu|signaling|tests)/",
}
# The doctor examines the machine as the media plane's edge does, with its own tools, and by the scores at which levels begin.
INCLUDES_OF_FILE = {r"signaling/doctor[a-z_]*\.[ch]": r"(media|signaling|sfu/io)/|sfu/pressure\.h$"}
# Who names a library: its header -> the only files that may include it.
WRAPPERS = {
    r"openssl/": r"media/(dtls|dtls_tail|dtls_certificate|srtp_crypto_evp)\.c|signaling/certificate\.c|signaling/random\.c|tests/.*",
    r"srtp2?/": r"media/srtp_libsrtp\.c|tests/.*",
    r"intel-ipsec-mb\.h": r"media/srtp_crypto_imb\.c|tests/.*",
    r"stun/|nice/": r"media/ice(_check)?\.c|tests/.*",
    r"opus/|opus\.h": r"media/opus\.c|tests/.*",
    r"libwebsockets\.h": r"signaling/server.*\.[ch]|tests/.*",
    r"ev\.h": r"signaling/server.*\.[ch]",
    r"sys/sdt\.h": r"media/trace\.h",
    r"yaml\.h": r"signaling/config.*\.c|tests/.*",
    r"jansson\.h": r"signaling/(message|front)[a-z_]*\.[ch]|tests/.*",
}
# What computes and touches nothing outside: allowed everywhere.
COMPUTE = (
    r"pl_\w+|mem(cpy|move|set|cmp|chr|mem)|str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|rchr|str|cspn|spn|pbrk|tol|toul|toull|toll)"
    r"|v?snprintf|qsort|bsearch|__\w+_chk|__stack_chk_fail|__assert_fail|_GLOBAL_OFFSET_TABLE_|__isoc23_\w+"
    r"|inet_(ntop|pton)|hton[sl]|ntoh[sl]|log10f?|powf?|lrintf?|sqrtf?|fabsf?|floorf?|sin|cos|sincos|atan2|lrint|__ctype_\w+|explicit_bzero|bcmp"
)
# Object -> what it may need beyond that, because wrapping it is its job.
ALLOWED = {
    "base.c.o": r"fprintf|stderr|abort|fputs|fflush",
    "ice.c.o": r"stun_\w+",
    "ice_check.c.o": r"stun_\w+",
    "srtp.c.o": r"calloc|free",
    "srtp_slabs.c.o": r"aligned_alloc|free",
    "srtp_libsrtp.c.o": r"srtp_\w+|calloc|free",
    "srtp_crypto_evp.c.o": r"EVP_\w+|ERR_clear_error|SHA1_\w+|OpenSSL_version|calloc|free",
    "srtp_crypto_imb.c.o": r"(alloc|free|init)_mb_mgr\w*|imb_get_\w+|__cpu_\w+|calloc|free",
    "dtls.c.o": r"[A-Z][A-Za-z0-9]*_\w+|OPENSSL_\w+|RAND_bytes|calloc|malloc|free|d2i_\w+|i2d_\w+|CRYPTO_\w+",
    "dtls_certificate.c.o": r"X509_\w+|EVP_\w+|ASN1_\w+|RAND_bytes|CRYPTO_memcmp",
    "dtls_tail.c.o": r"EVP_\w+|OSSL_PARAM_\w+|OPENSSL_cleanse|ERR_clear_error",
    "opus.c.o": r"opus_\w+",
    "dsp.c.o": r"__cpu_\w+",
    "conference.c.o": r"calloc|aligned_alloc|free",
    "front": r"json_\w+|jsonp?_\w+|malloc|calloc|realloc|free|strdup",
    "message": r"json_\w+|free|malloc",
}


def source_files(root):
    for folder in INCLUDES:
        for path in sorted((root / folder).rglob("*.[ch]")):
            if "node_modules" not in path.parts:
                yield folder, path.relative_to(root)


def wrong_includes(root):
    for folder, path in source_files(root):
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not match:
                continue
            quote, name = match.groups()
            allowed = next((may for file, may in INCLUDES_OF_FILE.items() if re.fullmatch(file, str(path))), INCLUDES[folder])
            if quote == '"' and not re.match(allowed, name):
                yield f"{path}:{number}: {folder}/ must not include {name}"
            for header, owners in WRAPPERS.items():
                if re.match(header, name) and not re.fullmatch(owners, str(path)):
                    yield f"{path}:{number}: only {owners} may include {name}"


def allowed_for(member):
    patterns = [COMPUTE]
    for name, pattern in ALLOWED.items():
        if member == name or (not name.endswith(".o") and member.startswith(name)):
            patterns.append(pattern)
    return re.compile("|".join(patterns))


def wrong_symbols(archive):
    text = subprocess.run(["nm", "-f", "sysv", archive], check=True, capture_output=True, text=True).stdout
    member, allowed = None, None
    for line in text.splitlines():
        heading = re.search(r"\[(\S+\.o)\]:$", line)
        if heading:
            member = heading.group(1)
            allowed = allowed_for(member)
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 7 or member is None or fields[0] == "Name":
            continue
        name, kind, section = fields[0], fields[2], fields[6]
        if kind in "Uwv" and not allowed.fullmatch(name):
            yield f"{pathlib.Path(archive).name}: {member} needs {name}"
        if re.match(r"\.(data|bss|tdata|tbss)(\.|$)", section) and not section.startswith(".data.rel.ro") or section == "*COM*":
            yield f"{pathlib.Path(archive).name}: {member} has the mutable global {name}"


def main():
    root, archives = pathlib.Path(sys.argv[1]), sys.argv[2:]
    files = sum(1 for _ in source_files(root))
    wrong = list(wrong_includes(root))
    for archive in archives:
        wrong += wrong_symbols(archive)
    print("\n".join(wrong) or f"{files} files and {len(archives)} archives keep the walls")
    return 1 if wrong or files == 0 or not archives else 0


if __name__ == "__main__":
    sys.exit(main())
