"""An offer of nobody: it is answered, and no media will come."""


def offer(directions=("sendonly", "recvonly", "recvonly"), ufrag="abcd", hexadecimal="AB", setup="actpass"):
    """What the page says an offer must have, and nothing else."""
    mids = " ".join(map(str, range(len(directions))))
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}",
             f"a=ice-ufrag:{ufrag}", "a=ice-pwd:" + "p" * 22, "a=fingerprint:sha-256 " + ":".join([hexadecimal] * 32),
             f"a=setup:{setup}"]
    for mid, direction in enumerate(directions):
        lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux",
                  "a=rtpmap:111 opus/48000/2"]
    return "\r\n".join(lines) + "\r\n"
