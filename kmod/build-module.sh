#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build daxfs.ko: build-module.sh SOURCE_DIR KERNEL_DIR OUTPUT_DIR STAMP
# The kernel's makefiles build beside the sources, so they get a copy, and a new one each time: an
# old header left there would be found first.
set -eu
source=$1 kernel=$2 output=$3 stamp=$4
rm -rf "$output"
mkdir -p "$(dirname "$output")"
cp -R "$source" "$output"
make -s -C "$kernel" M="$(realpath "$output")" DAXFS_WERROR=1 modules >"$output/build.log" 2>&1 || {
	cat "$output/build.log" >&2
	exit 1
}
touch "$stamp"
