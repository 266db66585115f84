#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check-docs.sh COMPLETION MAGIC MKDAXFS [TOOL MANPAGE]...: man pages are clean and know every
# option of their tool, so does the completion, and file(1) knows an image.
set -u
completion=$1 magic=$2 mkdaxfs=$3
shift 3
failed=0
fail() { echo "$*"; failed=1; }

bash -n "$completion" || fail "$completion: bash does not parse it"
while [ $# -gt 0 ]; do
	tool=$1 page=$2
	shift 2
	if command -v mandoc >/dev/null; then
		mandoc -Tlint -W warning "$page" || fail "$page: mandoc has objections"
	else
		echo "mandoc is not installed, $page not linted"
	fi
	options=$("$tool" --help | grep -oE -e '(^|[ ,])--[a-z][a-z-]+' | tr -d ' ,' | sort -u)
	[ -n "$options" ] || fail "$tool --help names no options"
	name=$(basename "$tool")
	known=$(bash -c '. "$1"; COMP_WORDS=("$2" --); COMP_CWORD=1; _daxfs_tools; printf "%s\n" "${COMPREPLY[@]}"' \
		bash "$completion" "$name")
	for option in $options; do
		grep -qE -e "Fl -${option#--}( |\$)" "$page" || fail "$page: $option is missing"
		echo "$known" | grep -qxF -e "$option" || fail "$completion: $name $option is missing"
	done
done

for option in --label --uuid -U; do
	known=$(bash -c '. "$1"; COMP_WORDS=(mkdaxfs "$2" ""); COMP_CWORD=2; _daxfs_tools; echo "${COMPREPLY[@]}"' \
		bash "$completion" "$option")
	[ -z "$known" ] || fail "$completion: offers files after $option: $known"
done

if command -v file >/dev/null; then
	dir=$(mktemp -d)
	mkdir "$dir/tree"
	"$mkdaxfs" -q --label magic "$dir/image" "$dir/tree"
	file -m "$magic" "$dir/image" | grep -q 'DAXFS filesystem image, version 1, 1 inodes, 8192 bytes, label "magic"' ||
		fail "file(1) says: $(file -m "$magic" "$dir/image")"
	rm -r "$dir"
else
	echo "file is not installed, $magic not tried"
fi
exit $failed
