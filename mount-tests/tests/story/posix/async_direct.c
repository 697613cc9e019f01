/* async_direct FILE aio|uring|sync ROUNDS
 *
 * Each round overwrites FILE with one direct write, waits for its completion, and reads it back through the page
 * cache. Two processes read the same pages all the time, so that they stay cached. Prints how many reads returned old
 * bytes, and exits with 1 if any did. Only system calls: no libaio or liburing is needed to build it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 655360
#define READERS 2

static int fail(const char *what)
{
	perror(what);
	exit(2);
}

static aio_context_t context;

static long aio_write(int fd, void *bytes)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd,
			      .aio_buf = (uintptr_t)bytes, .aio_nbytes = SIZE };
	struct iocb *blocks = &block;
	struct io_event event;
	if (!context && syscall(SYS_io_setup, 4, &context))
		fail("io_setup");
	if (syscall(SYS_io_submit, context, 1, &blocks) != 1)
		fail("io_submit");
	if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
		fail("io_getevents");
	return event.res;
}

static struct {
	int fd;
	char *queue, *done;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
} ring;

static void uring_open(void)
{
	ring.fd = syscall(SYS_io_uring_setup, 4, &ring.params);
	if (ring.fd < 0)
		fail("io_uring_setup");
	struct io_uring_params *p = &ring.params;
	int protection = PROT_READ | PROT_WRITE;
	ring.queue = mmap(0, p->sq_off.array + p->sq_entries * sizeof(unsigned), protection, MAP_SHARED, ring.fd,
			  IORING_OFF_SQ_RING);
	ring.done = mmap(0, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), protection, MAP_SHARED,
			 ring.fd, IORING_OFF_CQ_RING);
	ring.entries = mmap(0, p->sq_entries * sizeof(struct io_uring_sqe), protection, MAP_SHARED, ring.fd,
			    IORING_OFF_SQES);
	if (ring.queue == MAP_FAILED || ring.done == MAP_FAILED || ring.entries == MAP_FAILED)
		fail("mmap of the rings");
}

static long uring_write(int fd, void *bytes)
{
	if (!ring.fd)
		uring_open();
	struct io_uring_params *p = &ring.params;
	unsigned *tail = (unsigned *)(ring.queue + p->sq_off.tail);
	unsigned mask = *(unsigned *)(ring.queue + p->sq_off.ring_mask), at = *tail & mask;
	ring.entries[at] = (struct io_uring_sqe){ .opcode = IORING_OP_WRITE, .fd = fd, .addr = (uintptr_t)bytes,
						  .len = SIZE };
	((unsigned *)(ring.queue + p->sq_off.array))[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		fail("io_uring_enter");
	unsigned *head = (unsigned *)(ring.done + p->cq_off.head);
	if (*head == __atomic_load_n((unsigned *)(ring.done + p->cq_off.tail), __ATOMIC_ACQUIRE))
		fail("a completion");
	unsigned last = *(unsigned *)(ring.done + p->cq_off.ring_mask) & *head;
	long result = ((struct io_uring_cqe *)(ring.done + p->cq_off.cqes))[last].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

int main(int count, char **args)
{
	if (count != 4)
		return 2;
	char *bytes, *read;
	if (posix_memalign((void **)&bytes, 4096, SIZE) || posix_memalign((void **)&read, 4096, SIZE))
		return 2;
	int direct = open(args[1], O_CREAT | O_RDWR | O_DIRECT, 0644), cached = open(args[1], O_RDONLY);
	if (direct < 0 || cached < 0)
		fail(args[1]);
	memset(bytes, 0, SIZE);
	if (pwrite(direct, bytes, SIZE, 0) != SIZE)
		fail("pwrite");
	pid_t readers[READERS];
	for (int n = 0; n < READERS; n++) {
		readers[n] = fork();
		if (!readers[n]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			int own = open(args[1], O_RDONLY);
			while (pread(own, read, SIZE, 0) >= 0)
				;
			_exit(2);
		}
	}
	long old = 0, stay = 0, rounds = atol(args[3]);
	for (long round = 1; round <= rounds; round++) {
		memset(bytes, (int)(round % 251) + 1, SIZE);
		long written = !strcmp(args[2], "aio")	 ? aio_write(direct, bytes) :
			       !strcmp(args[2], "uring") ? uring_write(direct, bytes) :
							   pwrite(direct, bytes, SIZE, 0);
		if (written != SIZE) {
			fprintf(stderr, "a write returned %ld\n", written);
			return 2;
		}
		if (pread(cached, read, SIZE, 0) != SIZE)
			fail("pread");
		if (memcmp(bytes, read, SIZE)) {
			old++;
			if (pread(cached, read, SIZE, 0) != SIZE)
				fail("pread");
			stay += memcmp(bytes, read, SIZE) != 0;
		}
	}
	for (int n = 0; n < READERS; n++) {
		kill(readers[n], SIGKILL);
		waitpid(readers[n], NULL, 0);
	}
	printf("%s: %ld of %ld reads returned old bytes, %ld of these when repeated\n", args[2], old, rounds, stay);
	return old != 0;
}
