/* What Linux offers to move bytes between descriptors, to wait for many of them, and to read what the page cache has,
   which glibc's module for Swift leaves out. */
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t splice(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length, unsigned int flags);
ssize_t tee(int from, int to, size_t length, unsigned int flags);
int pipe2(int ends[2], int flags);

/* Reads what the page cache has at an offset, without waiting for the disk: EAGAIN when it has nothing. */
ssize_t preadv2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags);
#define SPEGEL_READ_CACHED 8
