#!/bin/sh
# namespace.sh COMMAND...: runs the command in a network namespace of its own, where PLENUM_NAMESPACE is the address of an
# interface that is not loopback: Firefox talks to no other.  Processes get a namespace too, so that all of them end with
# the command, and the interfaces with them.  Exit status 77: this machine does not allow it.
set -eu

as_root=""
[ "$(id -u)" = 0 ] || as_root="--map-root-user"
# shellcheck disable=SC2086
unshare --net --pid --fork --mount-proc $as_root true 2>/dev/null || {
	echo "skipped: no network namespace can be made here (run as root, or allow user namespaces)"
	exit 77
}

# Both ends of the pair stay inside: one has the address, the other only makes the link be up.  The route is for
# browsers that gather no candidates while there is no way out.
# shellcheck disable=SC2086,SC2016
exec unshare --net --pid --fork --kill-child --mount-proc $as_root sh -ec '
	ip link set lo up
	ip link add plenum0 type veth peer name plenum1
	ip address add 10.77.0.1/24 dev plenum0
	ip link set plenum1 up
	ip link set plenum0 up
	ip route add default dev plenum0
	PLENUM_NAMESPACE=10.77.0.1 exec "$@"' sh "$@"
