/* Places at which a running server can be watched from outside (USDT probes): bpftrace, perf and SystemTap attach to them by name.
 * While nobody does, each costs one instruction that does nothing.  Without Debian's systemtap-sdt-dev there are none.
 *
 *     probe           arguments
 *     packet_in       room, source, track, sequence number, payload bytes: RTP of a publisher, decrypted, of a known track
 *     packet_out      source of the receiver, bytes, where they are: encrypted and on its way to the socket
 *     packet_dropped  enum pl_drop, its name: whatever went no further (plenum_drops_total)
 *     join            room, source, shard
 *     join_refused    room, source: the shard has no place
 *     connected       room, source: ICE and DTLS are through, media may flow
 *     gone            room, source, why
 *     pressure        enum pl_pressure_level, cause, score in thousandths: there is another level
 *     tick_late       microseconds: a codec worker begins a step so much too late
 *
 * What they say is for operators: a name or an argument that is here stays.  docs/operating.md has a line of bpftrace for each, and
 * tests/probes proves that they are in the program.  A text is a char *.
 * Pure: nothing is read or written. */
#ifndef PL_MEDIA_TRACE_H
#define PL_MEDIA_TRACE_H

#if PLENUM_HAS_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define PL_TRACE(name, ...) STAP_PROBEV(plenum, name, __VA_ARGS__)
#else
static inline void pl_trace_nothing(int first, ...)
{
	(void)first;
}
#define PL_TRACE(name, ...)                               \
	do {                                              \
		if (0)                                    \
			pl_trace_nothing(0, __VA_ARGS__); \
	} while (0)
#endif

#endif
