# SPDX-License-Identifier: Apache-2.0
# bash completion for mkdaxfs, fsck.daxfs, dump.daxfs, mount.daxfs and daxfs-fuse
_daxfs_tools()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options

	case ${COMP_WORDS[0]##*/} in
	mkdaxfs | mkfs.daxfs)
		options='--tar --layer --oci --platform --layers --text --pseudo --list --files-from --device --phys --heap --mount --label --uuid --threads --align --no-dedupe
			--order --digest --exclude --exclude-from --exclude-regex --one-file-system --hard-dereference --xattr-exclude --file-contexts --rules --all-root
			--force-uid --force-gid --uid-offset --gid-offset --mtime --force --keep-going --no-sync --quiet
			--json --help --version' ;;
	fsck.daxfs)
		options='--json --threads --help --version' ;;
	dump.daxfs)
		options='--json --ls --recursive --stat --cat --extract --only --exclude --overwrite --skip-existing --keep-newer
			--preserve-owner --no-preserve-owner --diff --layout --tar --text --help --version' ;;
	mount.daxfs)
		options='--help --version' ;;
	daxfs-fuse)
		options='--foreground --debug --help --version' ;;
	esac
	case $prev in
	--digest)
		mapfile -t COMPREPLY < <(compgen -W 'xxh3 sha256 none' -- "$cur")
		return ;;
	--heap)
		mapfile -t COMPREPLY < <(cd /dev/dma_heap 2>/dev/null && compgen -f -- "$cur")
		return ;;
	--label | -L | --uuid | -U | --threads | -j | --align | --exclude-regex | --xattr-exclude | --force-uid | \
		--force-gid | --uid-offset | --gid-offset | --mtime | -T | --phys)
		COMPREPLY=()
		return ;;
	--only | --ls | --stat | --cat) # of the image
		COMPREPLY=()
		return ;;
	--extract | --mount)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o filenames -F _daxfs_tools mkdaxfs mkfs.daxfs fsck.daxfs dump.daxfs mount.daxfs daxfs-fuse
