#!/usr/bin/env bash
# Installs from Debian's packages the peers of tests/peers: browsers, servers and proxies that nobody here wrote; and
# valgrind, for benches/instructions.py. Without them those tests are skipped. Says what cannot be installed and goes on; does nothing when all is there.
set -euo pipefail

WANTED="chromium node node-ws nginx haproxy microsocks tinyproxy openssl valgrind"

there() { # is it installed?
    case $1 in
        node-ws) test -e /usr/share/nodejs/ws ;;
        *) PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null ;;
    esac
}

package() { # the Debian package it is in
    case $1 in
        node) echo nodejs ;;
        nginx) echo nginx-light ;;
        *) echo "$1" ;;
    esac
}

missing=()
for peer in $WANTED; do
    there "$peer" || missing+=("$(package "$peer")")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "install_peers: all there"
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "install_peers: not installed (needs apt-get and root): ${missing[*]}"
    exit 0
fi

# The packages' own services must not start: the tests run these programs themselves.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
get() { timeout 600 apt-get install -o DPkg::Lock::Timeout=120 --yes --quiet=2 --no-install-recommends "$@" >"$log" 2>&1 </dev/null; }
timeout 300 apt-get update --quiet=2 >"$log" 2>&1 </dev/null || tail -n 3 "$log"
get "${missing[@]}" || for name in "${missing[@]}"; do
    get "$name" || { echo "install_peers: not installed: $name"; tail -n 3 "$log"; }
done
rm -f "$log"
for peer in $WANTED; do
    there "$peer" || echo "install_peers: still missing: $peer"
done
echo "install_peers: done"
