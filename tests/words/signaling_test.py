"""docs/signaling.md and the code say the same: names of messages, fields and codes, which fields are required, bounds
and times.  What the server then does is tests/integration/signaling_test.py's matter.

argv: the source folder.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
DOCUMENT = (ROOT / "docs/signaling.md").read_text()
WORDS = " ".join(DOCUMENT.split())
MESSAGE_C, MESSAGE_H = ((ROOT / "signaling" / name).read_text() for name in ("message.c", "message.h"))
FRONT = "".join(path.read_text() for path in sorted((ROOT / "signaling").glob("front*.c")))
HEADERS = "".join(path.read_text() for folder in ("media", "sfu", "signaling") for path in (ROOT / folder).glob("*.h"))
# Answers have rows of their own nowhere: they stand beside their requests.
ANSWERS = {"ok", "err", "welcome", "answer", "pong"}


def constant(name):
    """The value of an enumerator that is a number, or two with << between."""
    (text,) = re.findall(rf"\b{name} = ([0-9]+(?: << [0-9]+)?)(?:,| \}}|\n)", HEADERS)
    value, _, shift = text.partition(" << ")
    return int(value) << int(shift or 0)


def names(macro):
    """Of an X-macro list in signaling/message.h."""
    body = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*)", MESSAGE_H)[1]
    found = re.findall(r'X\(\w+, "(\w+)"(?:, \d+)?\)', body)
    assert len(found) > 5 and len(found) == body.count("X("), macro
    return set(found)


def section(title):
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    return text


def rows(text, head):
    """The table under the given head: by each name in its first cell, the other cells."""
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.M)
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
    return {name: row[1:] for row in cells for name in row[0].replace("`", "").split(", ")}


def fields():
    """Of each request: {name: (is required, least, most)}, from the tables of signaling/message.c."""
    tables = {}
    enumerators = dict(re.findall(r"\b(SECRET_MAX|TOKEN_MAX) = (.+?),", MESSAGE_C))
    assert enumerators["SECRET_MAX"] == "PL_ID_TEXT_SIZE - 1"
    values = {"SECRET_MAX": constant("PL_ID_TEXT_SIZE") - 1, "PL_ID_TEXT_SIZE - 1": constant("PL_ID_TEXT_SIZE") - 1,
              "TOKEN_MAX": int(enumerators["TOKEN_MAX"]), "INT64_C(9007199254740991)": 2**53 - 1}
    table = r"static const struct pl_field (\w+)_fields\[\] = \{(.*?)\{ \.name = NULL \}"
    for name, body in re.findall(table, MESSAGE_C, re.S):
        found = re.findall(r'\{ "(\w+)", PL_FIELD_\w+, (true|false), ([^,]+), ([^,]+), [^}]+\}', body)
        assert len(found) == body.count('{ "'), name
        tables[name] = {
            field: (required == "true", int(least), int(most) if most.isdigit() else values.get(most) or constant(most))
            for field, required, least, most in found}
    assert set(tables) == {"resume", "join", "offer", "mute", "mode", "meta", "data", "url", "no"}, tables
    return tables


def same(what, code, page):
    assert code == page, f"{what}: only in the code: {sorted(code - page)}, only on the page: {sorted(page - code)}"


def messages_are_named():
    same("requests", names("PL_REQUEST_LIST"), set(rows(section("Requests"), "request")))
    replies = names("PL_REPLY_LIST")
    same("events", replies - ANSWERS - {"refused"}, set(rows(section("Events"), "event")))
    for name in ANSWERS | {"refused"}:
        assert name in replies and (f'{{"t":"{name}"' in DOCUMENT or f"`{name}`" in section("Requests")), name
    page = rows(section("Errors"), "code") | rows(section("Errors"), "code over HTTP")
    same("error codes", names("PL_FAULT_LIST"), set(page))


def check_bounds(what, text, least, most):
    """Strings have a range, 1-128, or a bound alone, at most 4,096; the one integer is what a double counts to."""
    if most == 2**53 - 1:
        assert f"an integer from {least} to 2^53-1" in text, (what, text)
    else:
        assert (f"at most {most:,}" if least == 0 else f"{least}-{most}") in text, (what, least, most, text)


def fields_are_named():
    tables = fields()
    page = rows(section("join → welcome"), "field | |")
    join = {**tables["join"], "v": (True, 1, 1)}
    same("join", set(join), set(page))
    for name, (is_required, least, most) in join.items():
        # Without a resume an offer is required; the table of the parser cannot say that.
        assert page[name][0] == ("required" if is_required or name == "sdp" else "optional"), name
        if name not in ("v", "sdp", "audio", "resume"):
            check_bounds(f"join.{name}", page[name][1], least, most)
    page = rows(section("Resume"), "field of `resume`")
    same("resume", set(tables["resume"]), set(page))
    for name, (is_required, least, most) in tables["resume"].items():
        assert is_required and page[name][0] == "required"
        check_bounds(f"resume.{name}", page[name][1], least, most)
    for name, bounds in tables["url"].items():
        assert bounds == join[name], f"{name} of a URL has other bounds than join's"
    requests = rows(section("Requests"), "request")
    for request in ("offer", "mute", "mode", "meta", "data", "ping", "leave"):
        code = tables.get(request, {})
        told = dict(re.findall(r"`(\w+)(\??)`", re.sub(r"\(as in `join`\)", "", requests[request][0])))
        same(request, set(code), set(told))
        assert {name for name in code if not code[name][0]} == {name for name, mark in told.items() if mark}, request
        for name, (_, least, most) in code.items():
            if name not in ("sdp", "on", "name", "attrs", "audio", "quality"):
                text = re.search(rf"`{name}\??`([^`]*)", requests[request][0])[1]
                check_bounds(f"{request}.{name}", text, least, most)


def what_is_written_is_named():
    """Every key that the front writes into its JSON."""
    keys = set(re.findall(r'pl_front_write_\w+\((?:front, )?&?w, "(\w+)"', FRONT))
    assert len(keys) > 40, sorted(keys)
    for key in keys:
        assert f'"{key}":' in DOCUMENT or f"`{key}`" in DOCUMENT, f"{key} is written, and not on the page"


def refusals():
    """The HTTP status of each."""
    header = (ROOT / "signaling/front_admission.h").read_text()
    body = re.search(r"#define PL_REFUSAL_LIST\(X\)((?:.*\\\n)*.*)", header)[1]
    found = dict(re.findall(r'X\(\w+, "(\w+)", (\d+),', body))
    assert len(found) > 6 and len(found) == body.count("X("), found
    return found


def page_of_refusals():
    return rows(section("join → welcome"), "`code` of `refused` | | beside `code`, `reason`, `retry_after_ms`")


def codes_are_named():
    byes = re.findall(r'pl_front_bye\(\s*front, [\w>-]+, "(\w+)",[^;]*?(true|false),\s*PL_FRONT_CLOSE_(\w+)\)', FRONT)
    assert len(byes) == FRONT.count("pl_front_bye(") - 1, byes  # but for its definition
    page = rows(section("Events"), "code")
    same("bye", {code for code, _, _ in byes}, set(page))
    ends = rows(section("The end of a connection"), "WebSocket code")
    for code, is_resumable, close in byes:
        assert page[code][0] == is_resumable, code
        assert f"`{code}`" in ends[str(constant(f"PL_FRONT_CLOSE_{close}"))][0], (code, close)
    for code in re.findall(r"\bPL_FRONT_CLOSE_\w+ = ([0-9]+),", HEADERS):
        assert code in ends, code
    # who has a WebSocket while the server ends hears bye
    same("refused", set(refusals()) - {"shutdown"}, set(page_of_refusals()))
    reasons = set(re.findall(r'pl_front_session_destroy\(front, \w+, "(\w+)"\)', FRONT))
    peer = rows(section("Events"), "event")["peer"][0]
    same("reasons to leave", reasons, set(re.findall(r"`(\w+)`", peer.split("`reason` with `leave`:")[1])))


def statuses(page, files):
    """The faults of a page's table of statuses are those that the files name, and each stands beside its own."""
    code = dict(re.findall(r'X\(\w+, "(\w+)", (\d+)\)', MESSAGE_H))
    assert len(code) > 12
    thrown = {fault.lower() for name in files
              for fault in re.findall(r"PL_FAULT_(\w+)", (ROOT / "signaling" / name).read_text())} - {"none"}
    told = {}
    for status, row in page.items():
        for fault in re.findall(r"`(\w+)`", row[0]):
            told.setdefault(fault, set()).update(status.split(", "))
    for fault in thrown:
        assert code[fault] in told.get(fault, ()), (fault, code[fault])
    return code, thrown, set(told)


def http_answers_are_named():
    """The status of each fault, and what a refused client finds."""
    page = {status: row for status, row in rows(section("WHIP and WHEP"), "status | `code`").items()}
    code, thrown, told = statuses(page, ["front_http.c"])
    assert len(thrown) > 8
    # what the offer is found to be is said by what reads it
    same("faults over HTTP", thrown | set(refusals()) | {"bad_sdp", "bad_field"}, told)
    for refusal, status in refusals().items():
        assert f"`{refusal}`" in page[status][0], refusal


def admin_answers_are_named():
    """The status of each fault of the admin API, and none beside them."""
    _, thrown, told = statuses(rows(section("Admin"), "status | `code`"), ["front_admin.c"])
    same("admin faults", thrown, told)


def numbers_are_the_code_s():
    n = constant
    ping_s = int(re.search(r"^  ping_s: ([0-9]+)$", (ROOT / "config/plenum.yaml").read_text(), re.M)[1])
    said = (
        f"at most {n('PL_MESSAGE_SIZE_MAX'):,} bytes of UTF-8", f"nesting deeper than {n('PL_MESSAGE_DEPTH_MAX')} ",
        f"nested deeper than {n('PL_MESSAGE_DEPTH_MAX')},",
        f"within {n('PL_FRONT_JOIN_MS') // 1000} seconds of its opening",
        f"after {ping_s} seconds without a word from the client,",
        f"drops a connection that is silent for {2 * ping_s + 5}.",
        f'"ttl_ms":{n("PL_FRONT_RESUME_MS")}',
        f"from {n('PL_FRONT_RETRY_MS_MIN'):,} to {n('PL_FRONT_RETRY_MS_MAX'):,}, for `pressure` from {n('PL_FRONT_PRESSED_RETRY_MS_MIN'):,} to "
        f"{n('PL_FRONT_PRESSED_RETRY_MS_MAX'):,},",
        f"a quarter of all connections, or {n('PL_FRONT_WAITING_MIN')} where that is more,",
        f"at most once a second; it always" if n("PL_FRONT_DEGRADED_GAP_MS") == 1000 else "?",
        f"({n('PL_FRONT_EVENTS_KEPT')} are kept, of {n('PL_FRONT_EVENT_BYTES_KEPT') >> 10} KiB together)",
        f"more than {n('PL_FRONT_CONNECTION_BYTES_MAX') >> 20} MiB of events",
        f"more than {n('PL_FRONT_MESSAGES_PER_S')} a second, with a burst of {n('PL_FRONT_MESSAGES_BURST')};",
        f"{n('PL_FRONT_RATE_ERRORS_BURST')} more than the rate allows",
        f"At most {n('PL_FRONT_DATA_PER_S')} a second, with a burst of {n('PL_FRONT_DATA_BURST')} ",
        f"At most {n('PL_FRONT_RESTARTS_PER_S')} restarts a second, with a burst of {n('PL_FRONT_RESTARTS_BURST')}.",
        f"at most {n('PL_FRONT_HTTP_BODY_MAX'):,} bytes, with `Content-Length`",
        f"({n('PL_SLOTS_MAX')} at most)",
        f"loudest first, at most {n('PL_TOP_MAX')};",
        f"({n('PL_TRACKS_MAX')} that send, {n('PL_SLOTS_MAX')} that receive)",
        f'"limits":{{"message_bytes":{n("PL_MESSAGE_SIZE_MAX")},"data_bytes":{n("PL_DATA_SIZE_MAX")},'
        f'"attrs_bytes":{n("PL_ATTRS_SIZE_MAX")},"name_bytes":{n("PL_NAME_MAX")},"slots":{n("PL_SLOTS_MAX")},'
        f'"tracks":{n("PL_TRACKS_MAX")}}}',
        f"of at most {n('PL_SDP_LINE_MAX'):,} bytes; at most {n('PL_SDP_MEDIA_MAX')} m-lines",
        f"an `a=mid` of 1 to {n('PL_RTP_MID_MAX')} bytes", f"`a=ice-ufrag` (4-{n('PL_ICE_UFRAG_MAX')} letters",
        f"`a=ice-pwd` (22-{n('PL_ICE_PWD_MAX')})", f"no connectivity check for {n('PL_ICE_CONSENT_MS') // 1000} s,",
        f"not connected within {n('PL_TRANSPORT_SETUP_MS') // 1000} s,",
        f"not connected {n('PL_TRANSPORT_SETUP_MS') // 1000} seconds after the offer",
        f"({n('PL_ADMIN_TOKEN_MIN')} to {n('PL_ADMIN_TOKEN_MAX')} characters)",
    )
    for words in said:
        assert words in WORDS, f"not on the page: {words}"
    assert n("PL_ROOM_SPEAKERS_GAP_MS") == 1000 // 5 and "at most five a second" in WORDS


def paths_are_named():
    code = set(re.findall(r'strcmp\(path, "(/[\w/]+)"\)', (ROOT / "signaling/server_http.c").read_text()))
    assert len(code) >= 4
    page = set(re.findall(r"^\| `GET (/[\w/.]*)` \|", section("HTTP"), re.M))
    files = {path for path in page if (ROOT / "web-demo" / path[1:]).is_file()}
    assert files == {"/plenum.js", "/status.html", "/whip.html"}
    same("paths", code, page - files - {"/"})


for check in (messages_are_named, fields_are_named, what_is_written_is_named, codes_are_named, http_answers_are_named,
              admin_answers_are_named, numbers_are_the_code_s, paths_are_named):
    check()
    print(f"ok: {check.__name__}")
