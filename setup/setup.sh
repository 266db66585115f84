# SPDX-License-Identifier: Apache-2.0
# Sourced by run-bench and run-tests: packages, build folder, guest kernel, build.
# Expects $top, the repository. Everything it says goes to standard error.

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# stage NAME: what comes now. stages_done: how long each took.
stage='' stages=''
stage() {
	now=$(date +%s)
	[ -z "$stage" ] || stages="$stages${stages:+, }$stage $((now - stage_start)) s"
	stage=$1 stage_start=$now
	[ -z "$stage" ] || say "$stage"
}
stages_done() { stage ''; say "stages: $stages"; }

wanted_packages() { sed 's/#.*//; /^ *$/d' "$top/setup/$1"; }

# missing_packages LIST
missing_packages() {
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
	wanted_packages "$1" | grep -vxF "$installed" | tr '\n' ' '
}

# install_packages PACKAGE…: as root, or through sudo after asking on a terminal.
install_packages() {
	run=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null && [ -t 0 ] ||
			die "expected the packages: $*; install them as root: apt-get install $*"
		printf 'Install these packages with sudo? %s [y/N] ' "$*" >&2
		read -r answer
		case $answer in [yY]*) run=sudo ;; *) die "not installed: $*" ;; esac
	fi
	say "installing: $*"
	$run apt-get update -q >&2 || say "apt-get update failed, going on with the lists at hand"
	$run env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2 ||
		die "apt-get could not install: $*"
}

check_packages() {
	if ! command -v dpkg-query >/dev/null; then
		say "This is no Debian: the following must be here under your distribution's names:"
		say "$(wanted_packages packages.txt | tr '\n' ' ')"
		return
	fi
	missing=$(missing_packages packages.txt)
	[ -n "$missing" ] || return 0
	[ "$1" = install ] || die "expected these packages, they are missing: $missing"
	# shellcheck disable=SC2086
	install_packages $missing
}

# What only some tests need: they are skipped where it cannot be had.
check_test_packages() {
	command -v dpkg-query >/dev/null || return 0
	missing=$(missing_packages test-packages.txt)
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086
	(install_packages $missing) || say "some tests will be skipped"
}

# The build folder's compiler runs are long and dull: shown on a terminal, else only on failure.
quietly() {
	if [ -t 2 ]; then
		"$@" >&2
	else
		"$@" >"$top/build/setup.log" 2>&1 || {
			tail -n 40 "$top/build/setup.log" >&2
			die "failed: $*; all of it is in $top/build/setup.log"
		}
	fi
}

configure() {
	mkdir -p "$top/build"
	[ -e "$top/build/build.ninja" ] || {
		stage "configure"
		quietly meson setup "$top/build" "$top"
	}
}

# kernels_of_before: headers that the module was built against, and still can be.
kernels_of_before() {
	[ -e "$top/build/kernel_dirs" ] || return 0
	tr , '\n' <"$top/build/kernel_dirs" | while read -r dir || [ -n "$dir" ]; do
		grep -qs -v -e -debug "$dir/include/generated/utsrelease.h" && printf '%s\n' "$dir"
	done
}

# one_of_each_release: of the headers that come in, one a line, the first of each kernel release. Two may
# differ in their configuration alone, and modules are named by the release.
one_of_each_release() {
	releases=
	while read -r dir; do
		release=$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$dir/include/generated/utsrelease.h" 2>/dev/null) ||
			release=$dir
		case " $releases " in *" $release "*) continue ;; esac
		releases="$releases $release"
		printf '%s\n' "$dir"
	done
}

# build TARGET keep|only COMMAND…: the headers of the command's kernels first, then the module against them; keep:
# also against those of before, so that tests on another kernel do not run yesterday's module.
build() {
	target=$1
	others=$2
	shift 2
	stage "host tools"
	quietly ninja -C "$top/build" bench/host/daxbench
	stage "guest kernels"
	dirs=$("$top/build/bench/host/daxbench" setup "$@") || exit $?
	[ "$others" = only ] || dirs=$(printf '%s\n' "$dirs" "$(kernels_of_before)" | sed '/^$/d')
	dirs=$(printf '%s\n' "$dirs" | one_of_each_release)
	dirs=$(printf '%s\n' "$dirs" | paste -sd, -)
	stage "build"
	if [ "$dirs" != "$(cat "$top/build/kernel_dirs" 2>/dev/null)" ]; then
		quietly meson configure "$top/build" "-Dkernel_dirs=$dirs"
		printf '%s' "$dirs" >"$top/build/kernel_dirs"
	fi
	quietly ninja -C "$top/build" "$target"
}
