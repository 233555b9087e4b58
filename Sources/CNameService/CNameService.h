/* What glibc offers to configure its name service switch, which its module for Swift leaves out. */
#include <nss.h>
