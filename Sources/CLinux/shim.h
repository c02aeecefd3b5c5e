// What the reactor needs of Linux and Swift's Glibc module leaves out.
#pragma once
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

// glibc declares these only for programs that define _GNU_SOURCE before any other header.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);
extern long syscall(long number, ...);

// The two calls of each message. glibc's own are cancellation points and switch that on and off around every call, which is 45
// instructions; nobody cancels a reactor's thread.
static inline ssize_t socket_send(int descriptor, const void *bytes, size_t count, int flags) {
  return syscall(SYS_sendto, descriptor, bytes, count, flags, NULL, 0);
}

static inline ssize_t socket_receive(int descriptor, void *bytes, size_t count, int flags) {
  return syscall(SYS_recvfrom, descriptor, bytes, count, flags, NULL, NULL);
}

// Whether a socket has nothing to read, not even its peer's end, and has not failed.
static inline bool socket_is_quiet(int descriptor) {
  char byte;
  return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

// Opens a file if no part of its path, which begins with "/", is a symbolic link: openat2(2) with RESOLVE_NO_SYMLINKS. Written with
// numbers, because the kernel's header brings types that Swift's Glibc module has, too.
static inline int open_without_links(const char *path, int flags) {
  const unsigned long long how[3] = {(unsigned)flags, 0, 0x04};
  return (int)syscall(SYS_openat2, -1, path, how, sizeof how);
}

// The bytes that wait in the receive queue of a socket. Swift cannot call ioctl, which takes any number of arguments.
static inline int socket_unread(int descriptor) {
  int count = 0;
  return ioctl(descriptor, FIONREAD, &count) == 0 ? count : 0;
}
