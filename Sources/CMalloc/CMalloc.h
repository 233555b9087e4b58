/* What glibc offers beyond the standard heap functions, which its module for Swift leaves out. */
#include <malloc.h>
