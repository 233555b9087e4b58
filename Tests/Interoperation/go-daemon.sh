#!/bin/sh
# Runs the interoperation tests of LibP2P against p2pd, a go-libp2p daemon, in both directions.
#
#   Tests/Interoperation/go-daemon.sh PATH-OF-P2PD
#
# The PyPI package `hivemind` carries the daemon: pip install --no-deps hivemind, then hivemind/hivemind_cli/p2pd.
set -eu
p2pd=${1:?expected the path of p2pd}
directory=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$directory"' EXIT
start() { # NAME ARGUMENTS…: starts a daemon whose output goes to a file of that name
    name=$1
    shift
    "$p2pd" -listen "/unix$directory/$name.sock" "$@" >"$directory/$name.log" 2>&1 &
    pids="$pids $!"
}

echo "== this implementation dials"
start listener -hostAddrs /ip4/127.0.0.1/tcp/45801
for _ in 1 2 3 4 5 6 7 8 9 10; do
    id=$(sed -n 's/.*[Pp]eer ID: *\([A-Za-z0-9]*\).*/\1/p' "$directory/listener.log" | head -n 1)
    [ -n "$id" ] && break
    sleep 1
done
INTEROPERATION_PEER=/ip4/127.0.0.1/tcp/45801/p2p/$id ${SWIFT_TEST:-swift test} --filter InteroperationTests

echo "== this implementation listens"
# The id of the key that the test has.
own=12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7
(
    sleep 6
    exec "$p2pd" -listen "/unix$directory/dialer.sock" -hostAddrs /ip4/127.0.0.1/tcp/45802 \
        -b -bootstrapPeers "/ip4/127.0.0.1/tcp/45800/p2p/$own" >"$directory/dialer.log" 2>&1
) &
pids="$pids $!"
INTEROPERATION_PORT=45800 ${SWIFT_TEST:-swift test} --filter InteroperationTests
