/* What Linux offers to move bytes between descriptors and to wait for many of them, which glibc's module for Swift
   leaves out. */
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

ssize_t splice(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length, unsigned int flags);
ssize_t tee(int from, int to, size_t length, unsigned int flags);
int pipe2(int ends[2], int flags);
