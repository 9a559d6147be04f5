#!/bin/sh
# Lays out a root file system that holds one program, the libraries it is linked with, and nothing else.
#
#   docker/rootfs.sh PROGRAM FOLDER
set -eu
program=$1
root=$2
install -D -m 0755 "$program" "$root/usr/bin/wxgate"
# Both forms that ldd prints: "name => /path (address)" and "/path (address)".
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  install -D -m 0755 "$(readlink -f "$library")" "$root$library"
done
install -d -m 0755 "$root/etc/wxgate"
