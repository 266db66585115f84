#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check-output.sh MKDAXFS FSCK DUMP: output that cannot be written is an error, whatever it was, and
# leaves no temporary file; a signal ends the wait for input.
set -u
mkdaxfs=$1 fsck=$2 dump=$3
failed=0
fail() { echo "$*" >&2; failed=1; }

dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
mkdir "$dir/tree" "$dir/out"
head -c 3000000 /dev/urandom >"$dir/tree/file"
image=$dir/out/image
"$mkdaxfs" -q "$image" "$dir/tree" || fail "cannot make an image"

# expect STATUS WORDS COMMAND...: it ends with this status and says these words in one line.
expect() {
	want=$1 words=$2
	shift 2
	"$@" 2>"$dir/err"
	got=$?
	[ $got -eq "$want" ] || fail "$*: expected status $want, got $got"
	{ [ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q "$words" "$dir/err"; } ||
		fail "$*: expected one line with \"$words\", got: $(cat "$dir/err")"
}

for args in "" --json; do
	expect 1 "summary cannot be written" "$mkdaxfs" $args "$image" "$dir/tree" >/dev/full
	expect 8 "cannot write the output" "$fsck" $args "$image" >/dev/full
	expect 1 "cannot write the output" "$dump" $args "$image" >/dev/full
done
for action in --text --tar "--cat file" --help --version; do
	expect 1 "cannot write" "$dump" $action "$image" >/dev/full
done
expect 1 "cannot write the image to standard output: No space left" "$mkdaxfs" -q - "$dir/tree" >/dev/full
"$mkdaxfs" -q - "$dir/tree" | cmp - "$image" || fail "mkdaxfs - makes another image"
expect 1 "cannot write the output" "$mkdaxfs" --help >/dev/full
expect 8 "cannot write the output" "$fsck" --help >/dev/full

# A closed standard stream does not become a file that messages are written into.
printf 'a file that waits in the temporary one\n' >"$dir/tree/small"
tar -C "$dir/tree" -cf "$dir/tar" .
{ cat "$dir/tar"; sleep 11; } | "$mkdaxfs" "$dir/piped" --tar - >/dev/null 2>&- || fail "mkdaxfs with a closed stderr fails"
for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
	eval '"$mkdaxfs" -q "$dir/closed" --tar "$dir/tar"' "$closed" || fail "mkdaxfs $closed fails"
	cmp "$dir/closed" "$dir/piped" || fail "mkdaxfs $closed makes another image"
done
rm "$dir/tree/small" "$dir/closed" "$dir/piped"
expect 1 "cannot read standard input: Bad file descriptor" "$mkdaxfs" -q "$dir/closed" --tar - <&-
expect 1 "summary cannot be written" "$mkdaxfs" "$image" "$dir/tree" >&-

# A system call that is handed what cannot be read says EFAULT: not the output's fault.
for action in --tar --text "--cat file"; do
	cp "$image" "$dir/cut"
	{ "$dump" $action "$dir/cut" 2>"$dir/err"; echo $? >"$dir/status"; } |
		{ head -c 1; truncate -s 4096 "$dir/cut"; cat; } >/dev/null
	[ "$(cat "$dir/status")" = 1 ] || fail "dump.daxfs $action of an image cut meanwhile ends with $(cat "$dir/status")"
	[ "$(wc -l <"$dir/err")" -eq 1 ] && grep -q "^dump.daxfs: cannot read $dir/cut at byte [0-9]*: the medium" "$dir/err" ||
		fail "dump.daxfs $action of an image cut meanwhile: $(cat "$dir/err")"
done
for tool in "8 $fsck" "1 $dump"; do
	cat "$image" | expect ${tool%% *} "expected an image file.* is a pipe" ${tool#* } /dev/stdin
done

# A pipe whose reader has gone. The shell's $? of a pipe is its last command's, hence the file.
{ sleep 0.2; "$dump" --text "$image"; echo $? >"$dir/status"; } 2>/dev/null | :
[ "$(cat "$dir/status")" != 0 ] || fail "dump.daxfs --text to a closed pipe ends with 0"
{ sleep 0.2; "$mkdaxfs" --json "$image" "$dir/tree"; echo $? >"$dir/status"; } 2>/dev/null | :
[ "$(cat "$dir/status")" = 1 ] || fail "mkdaxfs to a closed pipe ends with $(cat "$dir/status")"

{ sleep 0.2; "$mkdaxfs" -q - "$dir/tree"; echo $? >"$dir/status"; } 2>"$dir/err" | :
[ "$(cat "$dir/status")" = 1 ] && grep -q "^mkdaxfs: cannot write the image to standard output: Broken pipe$" "$dir/err" ||
	fail "mkdaxfs - to a closed pipe ends with $(cat "$dir/status"): $(cat "$dir/err")"
# The file that the shell opened is no part of the image.
touch "$dir/tree/out" && "$mkdaxfs" - "$dir/tree" 2>"$dir/err" >"$dir/tree/out"
grep -q "left out: /out, which is the image itself" "$dir/err" && "$dump" "$dir/tree/out" >/dev/null ||
	fail "mkdaxfs - into its source: $(cat "$dir/err")"
rm "$dir/tree/out"

# 512 or 1024 bytes a block, as the shell counts: less than the image in any case.
expect 1 "File too large" sh -c 'ulimit -f 1000 && exec "$@"' sh "$mkdaxfs" -q "$dir/out/large" "$dir/tree"
[ "$(ls -A "$dir/out")" = image ] || fail "a run over the limit of a file's size left: $(ls -A "$dir/out")"

# A pipe that its writer, this shell, holds open.
mkfifo "$dir/silent"
exec 3<>"$dir/silent"
for signal in INT TERM HUP; do
	expect 130 "interrupted, nothing was written" \
		timeout --preserve-status -k 60 -s $signal 0.5 "$mkdaxfs" -q "$dir/out/new" --tar - <&3
done
[ "$(ls -A "$dir/out")" = image ] || fail "a run that was interrupted left: $(ls -A "$dir/out")"

# What nohup(1) has the shell ignore is ignored.
mkfifo "$dir/slow"
(trap '' HUP; exec "$mkdaxfs" -q "$dir/out/nohup" --tar "$dir/slow") &
exec 4>"$dir/slow"
kill -HUP $!
cat "$dir/tar" >&4
exec 4>&-
wait $! && [ -s "$dir/out/nohup" ] || fail "a run that is to ignore SIGHUP does not"
exit $failed
