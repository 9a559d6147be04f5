#!/bin/sh
# Builds the program as it is published: guided by a profile of its own work. Leaves it at target/optimized/wxgate.
#
#   docker/optimize.sh [TARGET]
#
# TARGET is a target whose programs run on this machine, such as x86_64-unknown-linux-musl; without one it is rustc's own.
# RUSTFLAGS of the caller are kept, LLVM_PROFDATA names another llvm-profdata than the toolchain's. Takes about a quarter of an hour on
# two cores and 2 GB below target/, which are given back at the end. `cargo build --release` needs nothing of this.
set -eu
cd "$(dirname "$0")/.."

fail() {
  printf 'optimize.sh: %s\n' "$1" >&2
  exit 1
}

# Says what is done and how long it took. What a command says itself stands in between.
step() {
  what=$1 began=$(date +%s)
  shift
  printf '=== %s\n' "$what"
  "$@" || fail "this failed: $what. The reason is above; to build without a profile: cargo build --release"
  printf '=== %s: %d s\n' "$what" $(($(date +%s) - began))
}

host=$(rustc --print host-tuple) || fail "rustc is missing or older than 1.84: install Rust with https://rustup.rs"
target=${1:-$host}
folder=$PWD/target/optimized
profile=$folder/wxgate.profdata
case $PWD in
  *[[:space:]]*) fail "RUSTFLAGS cannot name a folder with a space: move the project out of $PWD" ;;
esac

profdata=${LLVM_PROFDATA:-$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata}
[ -x "$profdata" ] || rustup component add llvm-tools ||
  fail "llvm-profdata is missing: run 'rustup component add llvm-tools', or name one of LLVM $(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p') in LLVM_PROFDATA"
[ -x "$profdata" ] || fail "llvm-profdata is not at $profdata: name it in LLVM_PROFDATA"

# Both builds in the same way: the names of functions hold features and profile of all crates, and counts under another name are
# lost. So the training, whose dependencies have more features, is no part of them. With a target, even this machine's own, flags are
# not for programs that run while building.
build() {
  RUSTFLAGS="${RUSTFLAGS:-} $1" cargo build --locked --release --bin wxgate --target "$target" --target-dir "$folder/build"
}

remove_builds() {
  rm -rf "$folder/build" "$folder/counts"
}

train() {
  # This variable is for wxgate; the training sets it there.
  cargo run --locked --quiet --example training -- "$folder/build/$target/release/wxgate" 30 "$folder/counts/wxgate.profraw"
}

mkdir -p "$folder"
remove_builds
trap remove_builds EXIT
trap 'exit 1' HUP INT TERM
step "build that counts what it does" build -Cprofile-generate
step "training" train
step "profile" "$profdata" merge -o "$profile" "$folder/counts/wxgate.profraw"
remove_builds
step "build guided by the profile" build "-Cprofile-use=$profile"
cp "$folder/build/$target/release/wxgate" "$folder/wxgate"
printf '%s\n' "$folder/wxgate"
