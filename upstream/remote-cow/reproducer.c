// SPDX-License-Identifier: GPL-2.0-only
/*
 * reproducer FILE: a process maps FILE privately and reads a page of it; another one, which has its
 * own memory at that address, writes 8 bytes there by process_vm_writev(). All other bytes of the
 * page have to stay FILE's.
 *
 * Exit status: 0 they did, 1 they did not (how many is printed), 2 the write was refused, and the page
 * is as it was, 3 it could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS ((char *)0x700000000000UL)
#define AT      64
#define WRITER  0x5a

static long page;

/* How many bytes differ, but for those that are written. */
static int count_wrong(int fd, const char *mapped)
{
	char *file = malloc(page);
	int i, wrong = 0;

	if (!file || pread(fd, file, page, 0) != page)
		exit(3);
	for (i = 0; i < page; i++)
		wrong += mapped[i] != file[i] && (i < AT || i >= AT + 8);
	return wrong;
}

static void be_written_to(int fd, int ready, int written)
{
	char *p = mmap(ADDRESS, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
	char c;
	int wrong;

	if (p == MAP_FAILED)
		exit(3);
	c = *(volatile char *)p;
	if (write(ready, &c, 1) != 1 || read(written, &c, 1) != 1)
		exit(3);
	wrong = count_wrong(fd, p);
	printf("%d of %ld bytes that nobody wrote are wrong\n", wrong, page - 8);
	fflush(stdout);
	exit(wrong ? 1 : 0);
}

int main(int argc, char **argv)
{
	static char bytes[8] = "written";
	struct iovec local = { bytes, 8 }, remote = { ADDRESS + AT, 8 };
	int ready[2], written[2], fd, status;
	ssize_t done;
	pid_t pid;
	char *own;
	char c;

	if (argc != 2)
		errx(3, "expected a file on a DAX mount: reproducer FILE");
	page = sysconf(_SC_PAGESIZE);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || pipe(ready) || pipe(written))
		err(3, "%s", argv[1]);
	pid = fork();
	if (pid < 0)
		err(3, "fork");
	if (!pid)
		be_written_to(fd, ready[1], written[0]);

	own = mmap(ADDRESS, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	close(ready[1]);
	if (own == MAP_FAILED || read(ready[0], &c, 1) != 1)
		errx(3, "the other process could not map %s", argv[1]);
	memset(own, WRITER, page);
	done = process_vm_writev(pid, &local, 1, &remote, 1, 0);
	if (done < 0)
		warn("process_vm_writev");
	if (write(written[1], &c, 1) != 1 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		errx(3, "the other process is gone");
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : done < 0 ? 2 : 0;
}
